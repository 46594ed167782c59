r"""Phase-shifting coder, three steps (Yu and Da, CVPR 2023).

python -m rotjax.main --config configs/psc.py

With one frequency and three steps it is a redundant linear re-coding of the
(cos, sin) regression.

Expected, seed 0: 6.90 degrees on 100 test threes (350 to train on),
in 63 s on 2 x86 cores that also did other work.
"""

from rotjax.config import base


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "head.name": "psc",
      "head.num_steps": 3,
      **base.FLAGSHIP,
    },
    base.FLAGSHIP_VARIANTS,
  )
