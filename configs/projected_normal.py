r"""Projected normal density: the direction of a Gaussian vector.

python -m rotjax.main --config configs/projected_normal.py

RESULT
"""

from rotjax import config


def get_config(variant: str = ""):
  return config.make(
    variant,
    {
      "head.name": "projected_normal",
      **config.FLAGSHIP,
    },
    config.FLAGSHIP_VARIANTS,
  )
