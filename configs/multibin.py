r"""Bin and residual (Mousavian et al. 2017).

python -m rotjax.main --config configs/multibin.py

RESULT
"""

from rotjax import config


def get_config(variant: str = ""):
  return config.make(
    variant,
    {
      "head.name": "multibin",
      **config.FLAGSHIP,
    },
    config.FLAGSHIP_VARIANTS,
  )
