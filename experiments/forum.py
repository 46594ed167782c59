r"""Why do the forum's predictions sit on multiples of 45 degrees?

python -m rotjax.ablate --sweep experiments/forum.py --workdir runs/forum
python -m rotjax.ablate --sweep experiments/forum.py:smoke

The asker's network, data and optimizer (`configs/forum.py`) with one thing
changed at a time: the activation of the two outputs, the loss, the range of the
pixels, the optimizer, its step and the dropout.
"""

from rotjax.config import load, resolve

BASELINE = "as-asked"
COLUMNS = (
  "mae_deg",
  "median_deg",
  "near_45",
  "m1_excess",
  "m8_excess",
  "m8_p",
  "occupancy_max",
  "saturated_share",
  "tanh_slope",
  "seeds",
)


def get_config(variant: str = ""):
  smoke = "smoke" in variant.split(",")
  asked = load.load(f"forum:{variant}")
  if smoke:
    return asked
  # Five times through the 350 threes at their 18 angles.
  return resolve.apply(asked, {"num_seeds": 3, "num_steps": 250})


def sweep():
  yield "as-asked", {}
  yield "loss-mse", {"head.loss": "mse"}
  yield "linear", {"head.activation": "linear"}
  yield "von-mises", {"head.name": "vonmises"}
  yield "pixels-0-1", {"view.pixel_range": "unit"}
  yield "adam", {"optim.name": "adam"}
  yield "step-0.1", {"optim.learning_rate": 0.1}
  yield "no-dropout", {"model.conv_dropout": 0.0, "model.dropout": 0.0}
