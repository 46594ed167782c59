r"""Power Spherical density (De Cao and Aziz 2020).

python -m rotjax.main --config configs/power_spherical.py

RESULT
"""

from rotjax import config


def get_config(variant: str = ""):
  return config.make(
    variant,
    {
      "head.name": "power_spherical",
      **config.FLAGSHIP,
    },
    config.FLAGSHIP_VARIANTS,
  )
