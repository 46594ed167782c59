r"""Colour photos of your own with a ResNet-18, for an accelerator.

python -m rotjax.main --config configs/photos.py --config.data.dir=PATH
python -m rotjax.main --config configs/photos.py:224 --config.data.dir=PATH

Pictures are seen at 64 px; the variant `224` reads 320 px squares and runs in
bfloat16. The ranges and `smoke` are those of configs/folder.py. Photos that do
not fit into memory are streamed.

Expected: what your photos allow. Chance is 90 degrees on the full circle, and
stands beside every result.
"""

from rotjax.config import base


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "data.name": "folder",
      "data.channels": 3,
      # At least sqrt(2) times the view, as any turned square would need.
      "data.side": 96,
      "view.size": 64,
      "view.crop": "circle",
      "model.name": "resnet18",
      "batch_size": 128,
      "num_steps": 20_000,
      "eval.every_steps": 2000,
      "eval.num_angles": 12,
    },
    {
      "224": {
        "data.side": 320,
        "view.size": 224,
        "dtype": "bfloat16",
        "eval.batch_views": 256,
      },
      "smoke": base.SMOKE,
    },
  )
