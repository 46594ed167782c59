r"""The flagship: a von Mises density over the angle of a handwritten three.

python -m rotjax.main --config configs/vonmises.py
python -m rotjax.main --config configs/vonmises.py:mnist

Expected, seed 0, 2 x86 cores: 6.87 degrees on 100 test threes (350 to train on)
in 36 s where its programs were compiled before; `:mnist` 4.66 degrees on 1,010
test threes (5,855 to train on) in 719 s on cores that also did other work.
"""

from rotjax.config import base


def get_config(variant: str = ""):
  return base.make(
    variant,
    {"head.name": "vonmises", **base.FLAGSHIP},
    base.FLAGSHIP_VARIANTS,
  )
