r"""RotNet's head: 360 classes, cross-entropy, argmax.

python -m rotjax.main --config configs/rotnet.py

The head of d4nst/RotNet on the flagship's honest view and backbone; its error
floor is 0.25 degrees.

Expected, seed 0: 6.71 degrees on 100 test threes (350 to train on),
in 104 s on 2 x86 cores that also did other work.
"""

from rotjax.config import base


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "head.name": "bins",
      "head.num_bins": 360,
      "head.loss": "cross_entropy",
      "head.decode": "argmax",
      **base.FLAGSHIP,
    },
    base.FLAGSHIP_VARIANTS,
  )
