r"""What does each control of the view cost, and what does each habit give away?

python -m rotjax.ablate --sweep experiments/views.py --workdir runs/views
python -m rotjax.ablate --sweep experiments/views.py:smoke

The flagship's view with one thing changed at a time. The last four arms are the
habits of other tools; the table names what they leak, and the column of the
other interpolator shows a part of it.
"""

from rotjax.config import base

BASELINE = "default"


def get_config(variant: str = ""):
  return base.make(variant, {"num_seeds": 3, **base.FLAGSHIP})


def sweep():
  yield "default", {}
  yield "no-jitter", {"view.jitter": 0.0}
  yield "double", {"view.passes": "double"}
  yield "supersample", {"view.passes": "supersample"}
  yield "blur", {"view.blur": 0.7}
  yield "centroid", {"view.center": "centroid"}
  yield "canvas", {"view.center": "canvas"}
  yield "inscribed", {"view.crop": "inscribed"}
  yield "expand", {"view.crop": "expand"}
  yield "no-mask", {"view.mask": "none"}
