r"""What is a restricted range of angles worth?

python -m rotjax.ablate --sweep experiments/angle_range.py \
  --workdir runs/angle_range
python -m rotjax.ablate --sweep experiments/angle_range.py:smoke

The full circle, half of it, a quarter, and the twenty degrees of a scan laid
askew. Chance differs between them and stands in the table for none.
"""

from rotjax.config import base

BASELINE = "180"


def get_config(variant: str = ""):
  return base.make(variant, {"num_seeds": 3, **base.FLAGSHIP})


def sweep():
  for half in (180.0, 90.0, 45.0, 10.0):
    yield f"{half:.0f}", {"angles.range_deg": (-half, half)}
