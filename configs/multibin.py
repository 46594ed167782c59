r"""Bin and residual (Mousavian et al. 2017).

python -m rotjax.main --config configs/multibin.py

Expected, seed 0: 7.11 degrees on 100 test threes (350 to train on),
in 77 s on 2 x86 cores that also did other work.
"""

from rotjax.config import base


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "head.name": "multibin",
      **base.FLAGSHIP,
    },
    base.FLAGSHIP_VARIANTS,
  )
