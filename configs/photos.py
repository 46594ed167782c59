r"""Upright colour photos: an ImageNet backbone, fine-tuned on two CPU cores.

python -m rotjax.main --config configs/photos.py --config.data.dir=PATH
"""

from rotjax.config import base


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "data.name": "folder",
      "data.channels": 3,
      "data.side": 192,
      # The disc is nearly the largest of the prepared squares.
      "view.size": 128,
      "view.zoom": 0.675,
      "view.crop": "circle",
      # Places come from the random circles.
      "view.jitter": 0.0,
      "view.fineness": 1.5,
      "view.radius_range": (0.65, 1.0),
      "view.flip": True,
      "view.brightness": 0.15,
      "view.contrast": 0.3,
      "view.color": 0.1,
      "view.grey": 0.1,
      "model.name": "efficientnet_lite0",
      "model.dropout": 0.3,
      "head.name": "bins",
      "head.loss": "gaussian",
      "batch_size": 32,
      "num_steps": 1600,
      "head_first.views": 4,
      "head_first.epochs": 12,
      "optim.learning_rate": 6e-4,
      "optim.weight_decay": 0.01,
      "optim.freeze": "block4",
      "optim.backbone_rate": 0.5,
      "eval.every_steps": 400,
      "eval.num_angles": 8,
      "eval.batch_views": 128,
      "checkpoint.every_steps": 100,
    },
    {
      "frozen": {"optim.freeze": "all"},
      "smoke": base.SMOKE,
    },
  )
