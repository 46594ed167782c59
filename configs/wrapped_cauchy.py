r"""Wrapped Cauchy density: heavy tails for outliers and flips.

python -m rotjax.main --config configs/wrapped_cauchy.py

Expected, seed 0: 4.99 degrees on 100 test threes (350 to train on), in
96 s on 2 x86 cores that also did other work.
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
