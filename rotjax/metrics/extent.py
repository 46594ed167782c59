"""Which angles a table or a figure is about, and what numbers mean there.

On nearly upright pages, within 10 degrees, everything is "within 10 degrees":
axes and thresholds follow the angles that were asked about. Summary, report,
plots and tables all ask here.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rotjax import angles as angles_lib
from rotjax.metrics import angular

# Thresholds worth a row. On the circle 2, 5, 10 and 30, within 10 degrees of
# upright .25, .5, 1 and 2: about a tenth of the arc, and what lies below it.
_ROWS = tuple(t for t in angular.ACCURACY_DEG if t != 15)
_NUM_ROWS = 4


def arc_deg(angles: angles_lib.Angles) -> tuple[float, float]:
  """Ends of the arc, in degrees, that the drawn angles lie on.

  The whole circle of the period is (-period/2, period/2). A list of values has
  the shortest arc that holds them all, where that is less than half a circle;
  else the circle, cut in the middle of its widest gap.
  """
  period = angles.period_deg
  whole = (-period / 2, period / 2)
  if angles.distribution != "values":
    low, high = map(float, angles.range_deg)
    return whole if high - low >= period else (low, high)
  points = np.unique(np.asarray(angles.values_deg, np.float64) % period)
  gaps = np.diff(points, append=points[:1] + period)
  widest = len(gaps) - 1 - int(gaps[::-1].argmax())
  width, after = float(period - gaps[widest]), (widest + 1) % len(points)
  if 0 < width < period / 2:
    low = float(angles_lib.wrap(points[after], period))
    return low, low + width
  # Else the circle is cut where no value lies: four quarters at -45.
  cut = float(angles_lib.wrap(points[widest] + gaps[widest] / 2, period))
  return cut, cut + period


def is_narrow(angles: angles_lib.Angles) -> bool:
  """Whether the angles lie on less than half of their circle."""
  low, high = arc_deg(angles)
  return high - low < angles.period_deg / 2


def arc_of(protocol: Mapping[str, Any]) -> tuple[float, float]:
  """`arc_deg` from the protocol of a summary.json, of older runs too."""
  if "arc_deg" in protocol:
    low, high = protocol["arc_deg"]
    return float(low), float(high)
  return arc_deg(
    angles_lib.Angles(
      range_deg=tuple(protocol.get("range_deg", (-180.0, 180.0))),
      period_deg=float(protocol.get("period_deg", 360.0)),
    )
  )


def onto(
  angle_deg: np.ndarray, arc: tuple[float, float], period_deg: float
) -> np.ndarray:
  """Degrees moved by whole periods to within half a one of an arc's middle."""
  middle = (arc[0] + arc[1]) / 2
  away = np.asarray(angle_deg, np.float64) - middle
  return middle + angles_lib.wrap(away, period_deg)


def within_deg(width_deg: float) -> tuple[float, ...]:
  """Thresholds t whose `acc_at_t` is worth a row, on an arc of this width."""
  thresholds = [t for t in _ROWS if t <= width_deg / 10] or _ROWS[:1]
  return tuple(thresholds[-_NUM_ROWS:])


def auc_deg(width_deg: float) -> float | None:
  """The t whose `auc_at_t` is worth a row; None on a very narrow arc."""
  # Half the chance level, which is a quarter of the width.
  return max((t for t in angular.AUC_DEG if t <= width_deg / 8), default=None)
