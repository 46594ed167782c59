r"""Which head tells the angle of a photo best, on features of one network?

python -m rotjax.ablate --sweep experiments/photo_heads.py \
  --workdir runs/photo_heads --config.data.dir=PATH
python -m rotjax.ablate --sweep experiments/photo_heads.py:smoke

The five methods that Woehrer (2026) compares, scalar, classes, unit vector,
phase shifts and circular Gaussian, beside three densities, on the frozen
features of EfficientNet-Lite0 (the extra `photos`). Every arm has the same
photos, views, epochs and rate. Of a frozen network an arm takes minutes, and
all of them an evening at most on two CPU cores.
"""

from rotjax.config import base

BASELINE = "cgd"
COLUMNS = (
  "mae_deg",
  "difference",
  "median_deg",
  "other_warp.mae_deg",
  "share_near_90",
  "share_near_180",
  "nll",
  "recalibrated_nll",
  "recalibrated_crps_deg",
  "parameters",
  "seeds",
)


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      **base.PHOTOS,
      **base.PHOTOS_FROZEN,
      "num_seeds": 3,
      "num_train_images": 3000,
      "head_first.views": 2,
      "eval.warp": "cubic",
    },
    {"smoke": base.PHOTOS_SMOKE},
  )


def sweep():
  yield "scalar", {"head.name": "scalar", "head.loss": "wrapped_l1"}
  yield "classes", {"head.name": "bins", "head.loss": "cross_entropy"}
  yield (
    "unit-vector",
    {"head.name": "vector", "head.activation": "normalized"},
  )
  yield "psc", {"head.name": "psc"}
  yield "cgd", {"head.name": "bins", "head.loss": "gaussian"}
  yield "vonmises", {"head.name": "vonmises"}
  yield "mixture", {"head.name": "mixture"}
  yield "fourier", {"head.name": "fourier"}
