r"""How many photos does a pretrained network take, and what if it is not?

python -m rotjax.ablate --sweep experiments/photo_data.py \
  --workdir runs/photo_data --config.data.dir=PATH
python -m rotjax.ablate --sweep experiments/photo_data.py:smoke

The new layers alone, on the frozen features of EfficientNet-Lite0 (the extra
`photos`), of parts of the training photos; and on the features of the same
network with random weights. All take the same number of passes.
"""

from rotjax.config import base

BASELINE = "all"
COLUMNS = (
  "mae_deg",
  "difference",
  "median_deg",
  "acc_at_5",
  "share_near_90",
  "share_near_180",
  "nll",
  "seeds",
)


def get_config(variant: str = ""):
  return base.make(
    variant,
    {**base.PHOTOS, **base.PHOTOS_FROZEN, "num_seeds": 3},
    {"smoke": base.PHOTOS_SMOKE},
  )


def sweep():
  for count in (300, 1200):
    yield str(count), {"num_train_images": count}
  yield "all", {}
  yield "random weights", {"model.weights": ""}
