"""Do the options of a view fit together? `view.View` asks when it is made."""

import math
from typing import Any

from rotjax import errors
from rotjax.image import center

PIXEL_RANGES = {"raw": 1.0, "unit": 1 / 255}
_CHOICES = {
  "mask": ("disc", "none"),
  "crop": ("none", "circle", "inscribed", "expand"),
  "passes": ("single", "double", "supersample"),
  "pixel_range": tuple(PIXEL_RANGES),
}
_LARGEST = 4096  # as data.side
_FINEST = 8
# What a finer source goes with; the rest stands for what other tools do, or
# for another cure.
_WITH_FINENESS = {
  "crop": ("none", "circle"),
  "passes": ("single",),
  "blur": (0,),
}


def check(view: Any) -> None:
  """Checks the options of a `view.View`.

  Raises:
    UserError: naming the field, its value and what is valid.
  """
  for field, valid in _CHOICES.items():
    errors.choose(f"view.{field}", getattr(view, field), valid)
  errors.check_range("view.size", view.size, 1, _LARGEST)
  if not 0 <= view.jitter <= view.size / 2:
    raise errors.UserError(
      f"view.jitter = {view.jitter} is not between 0 and half of"
      f" view.size = {view.size}"
    )
  errors.check_range("view.zoom", view.zoom, 1 / 8, 8)
  if view.zoom != 1 and (
    view.crop in ("inscribed", "expand") or view.passes == "double"
  ):
    raise errors.UserError(
      f"view.zoom = {view.zoom} does not go with view.crop = {view.crop!r}"
      f" and view.passes = {view.passes!r}"
    )
  if not 0 <= view.blur <= view.size / 4:
    raise errors.UserError(
      f"view.blur = {view.blur} is not between 0 and a quarter of view.size"
    )
  errors.check_share("view.threshold", view.threshold)
  if view.crop in ("inscribed", "expand") and view.passes != "single":
    raise errors.UserError(
      f'view.crop = "{view.crop}" is made in one pass: view.passes ='
      f' "{view.passes}" does not go with it'
    )
  if view.fineness:
    _check_fineness(view)
  _check_training_images(view)
  if view.center not in ("dataset", "canvas", "centroid"):
    center.explicit(view.center)


def _check_training_images(view):
  for field in ("brightness", "contrast", "color"):
    errors.check_share(f"view.{field}", getattr(view, field))
  errors.check_range("view.grey", view.grey, 0, 1)
  ends = view.radius_range
  if len(ends) != 2 or not 0.1 <= ends[0] <= ends[1] <= 1:
    raise errors.UserError(
      f"view.radius_range = {ends} is not two rising shares of the largest"
      " circle's radius, from 0.1 to 1"
    )
  if ends != (1, 1) and (
    view.crop not in ("none", "circle") or view.passes == "double"
  ):
    raise errors.UserError(
      f"view.radius_range = {ends} does not go with view.crop = {view.crop!r}"
      f" and view.passes = {view.passes!r}"
    )


def leaks(view: Any, dataset_center: tuple[float, float] | None) -> list[str]:
  """What a view lets the network read in place of the content; see `View`."""
  found = []
  if dataset_center is not None and _misses(view, dataset_center):
    found.append(
      f"view.center={view.center} turns about a point that is not the"
      " objects' centre: their offset tells the full angle"
    )
  if view.crop in ("inscribed", "expand"):
    found.append(
      f"view.crop={view.crop} zooms with the angle: tells it modulo 90"
    )
  if not view.fineness:
    found.append(
      "view.fineness=0 shows frequencies on the corners of the source's own"
      " pixel grid, which turn with it: they tell the angle modulo 90"
    )
  if view.mask == "none" and view.crop == "none":
    found.append(
      "view.mask=none shows the source's corners: where they are not black"
      " they tell the angle modulo 90"
    )
  return found


def _misses(view, dataset_center):
  """Whether the turn is about another point than the objects' centre."""
  if view.center in ("dataset", "centroid", "canvas"):
    return view.center == "canvas"  # theirs would not be stated if it were
  return math.dist(center.explicit(view.center), dataset_center) > 1e-3


def _check_fineness(view):
  if not 1 <= view.fineness <= _FINEST:
    raise errors.UserError(
      f"view.fineness = {view.fineness} is neither 0 (the source as it is) nor"
      f" in 1 ... {_FINEST}"
    )
  for field, valid in _WITH_FINENESS.items():
    value = getattr(view, field)
    if value not in valid:
      raise errors.UserError(
        f"view.{field} = {value!r} takes the source as it is: set"
        f" view.fineness = 0 with it, and not {view.fineness:g}"
      )


def check_room(
  view: Any, at: tuple[float, float], source_size: tuple[int, int]
) -> None:
  """Checks that a source has its centre, and what crop = "circle" needs.

  Args:
    view: a `view.View`.
    at: (y, x) of the centre, source pixels.
    source_size: height and width.

  Raises:
    UserError: a centre outside the source, or too small a source.
  """
  (y, x), (height, width) = at, source_size
  room = min(y, x, height - 1 - y, width - 1 - x)
  if room < 0:
    raise errors.UserError(
      f"view.center = {view.center!r} lies outside the source of {height} x"
      f" {width} pixels"
    )
  shifted = view.jitter * math.sqrt(2)  # along both axes at once
  reach = (view.size / 2 + shifted) / view.zoom
  if view.crop == "circle" and room < reach:
    raise errors.UserError(
      f'view.crop = "circle" needs {reach:.4g} source pixels on each side of'
      f" the centre and there are {room:g}: lower view.size to at most"
      f" {int(2 * (room * view.zoom - shifted))}, or use larger images"
    )


def check_finer(
  view: Any, shape: tuple[int, ...], at: tuple[float, float]
) -> None:
  """Refuses a source that is not finer: it would be shown far too small.

  Args:
    view: a `view.View` with a fineness.
    shape: of the image that it is to turn.
    at: (y, x) of the centre, pixels of the source.

  Raises:
    UserError: such an image does not hold the centre.
  """
  factor = view.fineness * view.zoom
  if any(c * factor >= side for c, side in zip(at, shape)):
    raise errors.UserError(
      f"an image of {shape[0]} x {shape[1]} does not hold the view's centre"
      f" {view.center} at {factor:g} samples a pixel: pass what"
      " view.finer(images) makes of the source, or set view.fineness = 0"
    )
