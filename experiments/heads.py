r"""Which head tells the angle of a handwritten three best, and how surely?

python -m rotjax.ablate --sweep experiments/heads.py --workdir runs/heads
python -m rotjax.ablate --sweep experiments/heads.py:smoke

One arm for each family of the catalogue, all on the flagship's data, view,
backbone and schedule. Each takes the learning rate that is best on validation
among the same four, after 500 steps each.
"""

from rotjax.ablation import tuning
from rotjax.config import base

BASELINE = "vonmises"
TUNING = tuning.Budget()
COLUMNS = (
  "mae_deg",
  "difference",
  "other_warp.mae_deg",
  "median_deg",
  "nll",
  "recalibrated_nll",
  "recalibrated_crps_deg",
  "near_45",
  "other_warp.near_45",
  "learning_rate",
  "parameters",
  "seeds",
)


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "num_seeds": 3,
      "num_steps": 3000,
      "data.name": "mnist",
      "data.classes": (3,),
      "eval.every_steps": 1000,
    },
    {"smoke": {**base.VARIANTS["smoke"], "num_seeds": 1}},
  )


def sweep():
  yield "scalar", {"head.name": "scalar", "head.loss": "wrapped_l1"}
  yield "vector", {"head.name": "vector", "head.loss": "mse"}
  yield (
    "biternion",
    {"head.name": "vector", "head.activation": "normalized"},
  )
  yield "harmonics", {"head.name": "harmonics"}
  yield "classes", {"head.name": "bins", "head.loss": "cross_entropy"}
  yield "cgd", {"head.name": "bins", "head.loss": "gaussian"}
  yield "csl", {"head.name": "csl"}
  yield "multibin", {"head.name": "multibin"}
  yield "vonmises", {"head.name": "vonmises"}
  yield "projected-normal", {"head.name": "projected_normal"}
  yield "mixture", {"head.name": "mixture"}
  yield "fourier", {"head.name": "fourier"}
