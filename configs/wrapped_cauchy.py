r"""Wrapped Cauchy density: heavy tails for outliers and flips.

python -m rotjax.main --config configs/wrapped_cauchy.py

RESULT
"""

from rotjax import config


def get_config(variant: str = ""):
  return config.make(
    variant,
    {
      "head.name": "wrapped_cauchy",
      **config.FLAGSHIP,
    },
    config.FLAGSHIP_VARIANTS,
  )
