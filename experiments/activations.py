r"""Do the two outputs of a vector head want an activation?

python -m rotjax.ablate --sweep experiments/activations.py \
  --workdir runs/activations
python -m rotjax.ablate --sweep experiments/activations.py:smoke

Linear, tanh and normalised, each under squared error and cosine; the normalised
cosine and the linear one are the same function, and a check on the noise.
"""

from rotjax.ablation import sweep as sweep_lib
from rotjax.ablation import tuning
from rotjax.config import base

BASELINE = "linear-cosine"
TUNING = tuning.Budget()


def get_config(variant: str = ""):
  return base.make(
    variant, {"num_seeds": 3, "head.name": "vector", **base.FLAGSHIP}
  )


def sweep():
  return sweep_lib.product(
    sweep_lib.over("head.activation", ["linear", "tanh", "normalized"]),
    sweep_lib.over("head.loss", ["mse", "cosine"]),
  )
