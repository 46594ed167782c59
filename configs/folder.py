r"""Your own upright pictures: a von Mises density over the angle, at 64 px.

python -m rotjax.main --config configs/folder.py --config.data.dir=PATH
python -m rotjax.main --config configs/folder.py:deskew --config.data.dir=PATH

Pictures are grey, and a few CPU cores are enough. The variants ask for other
angles than the full circle: `deskew` (within 10 degrees of upright), `tilt`
(within 45), `quarters` (0, 90, 180, 270) and `lines` (known modulo 180).
`smoke` runs everything once. docs/own-images.md says how pictures are read.

Expected: what your pictures allow. Chance is 90 degrees on the full circle, and
stands beside every result.
"""

from rotjax.config import base


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "data.name": "folder",
      "data.channels": 1,
      "view.size": 64,
      # The disc never sees the border of a prepared square.
      "view.crop": "circle",
      "model.widths": (24, 48, 96, 128),
      "model.kernels": (3, 3, 3, 3),
      "batch_size": 64,
      "num_steps": 4000,
      "eval.every_steps": 1000,
    },
    {"smoke": base.SMOKE},
  )
