r"""Targets (cos k theta, sin k theta) for k = 1..4.

python -m rotjax.main --config configs/harmonics.py

Higher harmonics sharpen the answer, the first resolves which of their peaks is
meant.
RESULT
"""

from rotjax import config


def get_config(variant: str = ""):
  return config.make(
    variant,
    {
      "head.name": "harmonics",
      "head.num_harmonics": 4,
      **config.FLAGSHIP,
    },
    config.FLAGSHIP_VARIANTS,
  )
