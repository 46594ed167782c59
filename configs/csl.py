r"""Circular smooth labels: 360 yes/no bins under a Gaussian window.

python -m rotjax.main --config configs/csl.py

Yang and Yan, ECCV 2020.

Expected, seed 0: 6.23 degrees on 100 test threes (350 to train on),
in 71 s on 2 x86 cores that also did other work.
"""

from rotjax.config import base


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "head.name": "csl",
      "head.window": "gaussian",
      "head.radius_deg": 6.0,
      **base.FLAGSHIP,
    },
    base.FLAGSHIP_VARIANTS,
  )
