r"""Biternion: two outputs normalised to a unit vector, cosine loss.

python -m rotjax.main --config configs/biternion.py

Beyer, Hermans, Leibe 2015. The protocol is the flagship's, so that only the
head differs.

Expected, seed 0: 7.26 degrees on 100 test threes (350 to train on),
in 63 s on 2 x86 cores that also did other work.
"""

from rotjax.config import base


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "head.name": "vector",
      "head.activation": "normalized",
      "head.loss": "cosine",
      **base.FLAGSHIP,
    },
    base.FLAGSHIP_VARIANTS,
  )
