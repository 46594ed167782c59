r"""The flagship: how far is a handwritten three turned?

python -m rotjax.main --config configs/vonmises.py
"""

from rotjax import config


def get_config(variant: str = ""):
  return config.make(
    variant,
    {
      "head.name": "vonmises",
      "num_steps": 3000,
      "optim.learning_rate": 3e-3,
    },
  )
