r"""The log-density as a Fourier series: the generalised von Mises.

python -m rotjax.main --config configs/fourier.py

Expected, seed 0: 6.97 degrees on 100 test threes (350 to train on),
in 270 s on 2 x86 cores that also did other work.
"""

from rotjax.config import base


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "head.name": "fourier",
      **base.FLAGSHIP,
    },
    base.FLAGSHIP_VARIANTS,
  )
