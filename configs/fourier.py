r"""The log-density as a Fourier series: the generalised von Mises.

python -m rotjax.main --config configs/fourier.py

Expected, seed 0: 3.94 degrees on 100 test threes (350 to train on), in
92 s on 2 x86 cores that also did other work.
"""

from rotjax import config


def get_config(variant: str = ""):
  return config.make(
    variant,
    {
      "head.name": "fourier",
      **config.FLAGSHIP,
    },
    config.FLAGSHIP_VARIANTS,
  )
