r"""How should a density be read: mode, mean or median?

python -m rotjax.ablate --sweep experiments/decodings.py \
  --workdir runs/decodings
python -m rotjax.ablate --sweep experiments/decodings.py:smoke

All digits, where 0, 1 and 8 make a density bimodal. The arms of one head train
to the same network and differ in the reading alone.
"""

from rotjax.ablation import sweep as sweep_lib
from rotjax.config import base

BASELINE = "fourier-median"


def get_config(variant: str = ""):
  return base.make(
    variant, {"num_seeds": 3, "data.classes": (), **base.FLAGSHIP}
  )


def sweep():
  smooth = sweep_lib.over("head.name", ["fourier", "mixture"])
  histogram = sweep_lib.over("head.name", ["bins"])
  readings = ["mode", "mean", "median"]
  of_bins = ["argmax", "parabola", "local_mean", "mean", "median"]
  return sweep_lib.chain(
    sweep_lib.product(smooth, sweep_lib.over("head.decode", readings)),
    sweep_lib.product(histogram, sweep_lib.over("head.decode", of_bins)),
  )
