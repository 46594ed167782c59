r"""Everything once, in seconds: for tests and for trying an installation.

python -m rotjax.main --config configs/smoke.py
RESULT
"""

from rotjax import config


def get_config(variant: str = ""):
  return config.make(variant, config.VARIANTS["smoke"])
