r"""Projected normal density: the direction of a Gaussian vector.

python -m rotjax.main --config configs/projected_normal.py

Expected, seed 0: 6.60 degrees on 100 test threes (350 to train on),
in 139 s on 2 x86 cores that also did other work.
"""

from rotjax.config import base


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "head.name": "projected_normal",
      **base.FLAGSHIP,
    },
    base.FLAGSHIP_VARIANTS,
  )
