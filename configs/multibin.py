r"""Bin and residual (Mousavian et al. 2017).

python -m rotjax.main --config configs/multibin.py

Expected, seed 0, with `--config.view.fineness=0`: 5.75 degrees on 100 test
threes (350 to train on), in 59 s on 2 x86 cores that also did other work.
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
