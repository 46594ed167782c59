r"""The flagship: a von Mises density over the angle of a handwritten three.

python -m rotjax.main --config configs/vonmises.py
python -m rotjax.main --config configs/vonmises.py:mnist

Expected with `--config.view.fineness=0`, seed 0, 2 x86 cores: 6.29 degrees on
100 test threes (350 to train on) in 44 s from a cold start; `:mnist` 3.00
degrees on 1,010 test threes (5,855 to train on) in 139 s.
"""

from rotjax.config import base


def get_config(variant: str = ""):
  return base.make(
    variant,
    {"head.name": "vonmises", **base.FLAGSHIP},
    base.FLAGSHIP_VARIANTS,
  )
