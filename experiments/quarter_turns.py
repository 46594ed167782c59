r"""How much of a precise network's precision belongs to its interpolator?

python -m rotjax.ablate --sweep experiments/quarter_turns.py \
  --workdir runs/quarter_turns
python -m rotjax.ablate --sweep experiments/quarter_turns.py:smoke

The head that is best in `experiments/heads.py`, with the source as it is
(`view.fineness=0`), under each control of the view that smooths the
interpolation's traces. The default removes them in another way. Near a quarter
turn a single bilinear pass blurs all pixels alike, elsewhere each differently:
a network can see that, and its answers gather there.
"""

from rotjax.config import base

BASELINE = "single"
COLUMNS = (
  "mae_deg",
  "difference",
  "other_warp.mae_deg",
  "median_deg",
  "near_90",
  "other_warp.near_90",
  "equivariance_deg",
  "seconds",
  "seeds",
)


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "num_seeds": 2,
      "num_steps": 3000,
      "data.name": "mnist",
      "data.classes": (3,),
      "head.name": "harmonics",
      "optim.learning_rate": 3e-2,
      "eval.every_steps": 1000,
    },
  )


def sweep():
  as_it_is = {"view.fineness": 0.0}
  yield "single", as_it_is
  yield "no-jitter", {**as_it_is, "view.jitter": 0.0}
  yield "double", {**as_it_is, "view.passes": "double"}
  yield "supersample", {**as_it_is, "view.passes": "supersample"}
  yield "blur-0.5", {**as_it_is, "view.blur": 0.5}
  yield "blur-1", {**as_it_is, "view.blur": 1.0}
