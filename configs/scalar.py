r"""One unbounded number, wrapped absolute error: the baseline that must jump.

python -m rotjax.main --config configs/scalar.py

A scalar output has to be discontinuous somewhere on the circle (Beyer et al.
2015; OAD). Compare everything else with this.

Expected, seed 0: 8.13 degrees on 100 test threes (350 to train on),
in 110 s on 2 x86 cores that also did other work.
"""

from rotjax.config import base


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "head.name": "scalar",
      "head.loss": "wrapped_l1",
      **base.FLAGSHIP,
    },
    base.FLAGSHIP_VARIANTS,
  )
