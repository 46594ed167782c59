r"""Everything once, in seconds: for tests and for trying an installation.

python -m rotjax.main --config configs/smoke.py

Expected, seed 0: far from converged, in about 15 s on 2 x86 cores.
"""

from rotjax.config import base


def get_config(variant: str = ""):
  return base.make(variant, base.VARIANTS["smoke"])
