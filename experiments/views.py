r"""What does each control of the view cost, and what does each habit give away?

python -m rotjax.ablate --sweep experiments/views.py --workdir runs/views
python -m rotjax.ablate --sweep experiments/views.py:smoke

The flagship's view with one thing changed at a time; from `single` on the
source is taken as it is, without the default's fineness. `canvas`, `no-mask`,
`inscribed` and `expand` are the habits of other tools; the table names what an
arm leaks, and the column of the other interpolator shows a part of it.
"""

from rotjax.config import base

BASELINE = "default"


def get_config(variant: str = ""):
  return base.make(variant, {"num_seeds": 3, **base.FLAGSHIP})


def sweep():
  yield "default", {}
  yield "fineness-2", {"view.fineness": 2.0}
  yield "fineness-4", {"view.fineness": 4.0}
  yield "no-jitter", {"view.jitter": 0.0}
  yield "centroid", {"view.center": "centroid"}
  yield "canvas", {"view.center": "canvas"}
  yield "no-mask", {"view.mask": "none"}
  # What training may change besides.
  yield "circle", {"view.radius_range": (0.65, 1.0)}
  yield "flip", {"view.flip": True}
  yield "brightness", {"view.brightness": 0.15}
  yield "contrast", {"view.contrast": 0.3}
  # The source as it is, and what was tried against its interpolation's traces.
  for name, option in (
    ("single", {}),
    ("double", {"view.passes": "double"}),
    ("supersample", {"view.passes": "supersample"}),
    ("blur", {"view.blur": 0.7}),
    ("inscribed", {"view.crop": "inscribed"}),
    ("expand", {"view.crop": "expand"}),
  ):
    yield name, {"view.fineness": 0.0, **option}
