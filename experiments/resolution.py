r"""How few pixels still show the angle of a three?

python -m rotjax.ablate --sweep experiments/resolution.py \
  --workdir runs/resolution
python -m rotjax.ablate --sweep experiments/resolution.py:smoke

The whole digit on canvases of 10 to 28 pixels, each pixel an average of 3 x 3
samples so that nothing is skipped.
"""

from rotjax.ablation import sweep as sweep_lib
from rotjax.config import base

BASELINE = "28"


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "num_seeds": 3,
      "view.passes": "supersample",
      "view.fineness": 0.0,
      **base.FLAGSHIP,
    },
  )


def sweep():
  sizes = [10, 14, 20, 28]
  return sweep_lib.zipped(
    sweep_lib.over("view.size", sizes),
    [("", {"view.zoom": size / 28}) for size in sizes],
    [("", {"view.jitter": size / 28}) for size in sizes],
  )
