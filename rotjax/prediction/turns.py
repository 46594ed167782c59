"""Which turn is undone: the one that was predicted, or the nearest quarter."""

import math

# Of a quarter turn; what a float loses is less, what a person sees is more.
_EXACT = 1e-9


def settled(
  angle_deg: float, spread_deg: float, at_least: float, snap: bool
) -> float:
  """The turn to undo.

  Args:
    angle_deg: as predicted.
    spread_deg: how far the prediction is from the truth as a rule, by the
      model's own density; see `answers.Answers.spread`.
    at_least: tilts of fewer degrees off a quarter turn are left as they are.
    snap: so are those that are no more than the spread.

  Returns:
    `angle_deg`, or the multiple of 90 degrees next to it, in [-180, 180).
  """
  quarter = 90.0 * round(angle_deg / 90)
  tilt = abs(angle_deg - quarter)
  if tilt < at_least or (snap and tilt <= spread_deg):
    return (quarter + 180) % 360 - 180
  return angle_deg


def quarters(angle_deg: float) -> int | None:
  """0 to 3 quarter turns counter-clockwise; None for what is none."""
  count = round(angle_deg / 90)
  near = math.isclose(angle_deg, 90 * count, rel_tol=0, abs_tol=_EXACT)
  return count % 4 if near else None
