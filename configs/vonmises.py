r"""The flagship: a von Mises density over the angle of a handwritten three.

python -m rotjax.main --config configs/vonmises.py
python -m rotjax.main --config configs/vonmises.py:mnist
RESULT
"""

from rotjax import config


def get_config(variant: str = ""):
  return config.make(
    variant,
    {"head.name": "vonmises", **config.FLAGSHIP},
    config.FLAGSHIP_VARIANTS,
  )
