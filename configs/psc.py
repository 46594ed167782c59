r"""Phase-shifting coder, three steps (Yu and Da, CVPR 2023).

python -m rotjax.main --config configs/psc.py

With one frequency and three steps it is a redundant linear re-coding of the
(cos, sin) regression.
RESULT
"""

from rotjax import config


def get_config(variant: str = ""):
  return config.make(
    variant,
    {
      "head.name": "psc",
      "head.num_steps": 3,
      **config.FLAGSHIP,
    },
    config.FLAGSHIP_VARIANTS,
  )
