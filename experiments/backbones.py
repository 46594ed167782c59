r"""Which backbone turns CPU seconds into accuracy best?

python -m rotjax.ablate --sweep experiments/backbones.py \
  --workdir runs/backbones
python -m rotjax.ablate --sweep experiments/backbones.py:smoke

The same head, data and number of steps; the table's seconds are the price.
"""

from rotjax.ablation import tuning
from rotjax.config import base

BASELINE = "strided"
TUNING = tuning.Budget()


def get_config(variant: str = ""):
  return base.make(variant, {"num_seeds": 3, **base.FLAGSHIP})


def sweep():
  yield "strided", {"model.name": "strided"}
  yield "strided-half", {"model.widths": (16, 32, 64)}
  yield "keras-mnist", {"model.name": "keras_mnist"}
  yield "resnet18-half", {"model.name": "resnet18", "model.stages": (2, 2)}
