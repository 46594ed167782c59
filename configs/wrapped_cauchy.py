r"""Wrapped Cauchy density: heavy tails for outliers and flips.

python -m rotjax.main --config configs/wrapped_cauchy.py

Expected, seed 0: 6.64 degrees on 100 test threes (350 to train on),
in 81 s on 2 x86 cores that also did other work.
"""

from rotjax.config import base


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "head.name": "wrapped_cauchy",
      **base.FLAGSHIP,
    },
    base.FLAGSHIP_VARIANTS,
  )
