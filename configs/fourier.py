r"""The log-density as a Fourier series: the generalised von Mises.

python -m rotjax.main --config configs/fourier.py

RESULT
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
