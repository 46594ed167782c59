r"""Which loss of (cos, sin) and of 360 bins trains best?

python -m rotjax.ablate --sweep experiments/losses.py --workdir runs/losses
python -m rotjax.ablate --sweep experiments/losses.py:smoke

Every loss of the two heads that have many, each with its own learning rate and,
after that, its own concentration or width of labels.
"""

from rotjax.ablation import sweep as sweep_lib
from rotjax.ablation import tuning
from rotjax.config import base
from rotjax.heads import bins, vector

BASELINE = "vector-cosine"
TUNING = tuning.Budget(
  scales={"head.kappa": (0.5, 2.0, 8.0), "head.width_deg": (3.0, 6.0, 12.0)}
)


def get_config(variant: str = ""):
  return base.make(variant, {"num_seeds": 3, **base.FLAGSHIP})


def sweep():
  families = {"vector": vector.LOSSES, "bins": bins.LOSSES}
  return sweep_lib.chain(
    *(
      sweep_lib.product(
        sweep_lib.over("head.name", [name]),
        sweep_lib.over("head.loss", sorted(losses)),
      )
      for name, losses in families.items()
    )
  )
