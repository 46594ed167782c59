r"""How many digits does the angle of a three take?

python -m rotjax.ablate --sweep experiments/data_size.py \
  --workdir runs/data_size
python -m rotjax.ablate --sweep experiments/data_size.py:smoke

Evenly spaced parts of the training threes of MNIST, the same steps for all.
"""

from rotjax.ablation import sweep as sweep_lib
from rotjax.config import base

BASELINE = "5855"


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "num_seeds": 3,
      **base.FLAGSHIP,
      "data.name": "mnist",
      "data.classes": (3,),
    },
  )


def sweep():
  return sweep_lib.over("num_train_images", [100, 300, 1000, 3000, 5855])
