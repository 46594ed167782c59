r"""Power Spherical density (De Cao and Aziz 2020).

python -m rotjax.main --config configs/power_spherical.py

Expected, seed 0: 6.62 degrees on 100 test threes (350 to train on),
in 59 s on 2 x86 cores that also did other work.
"""

from rotjax.config import base


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "head.name": "power_spherical",
      **base.FLAGSHIP,
    },
    base.FLAGSHIP_VARIANTS,
  )
