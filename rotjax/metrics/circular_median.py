"""The circular median: the angle of least mean arc distance to a sample."""

import math

import numpy as np

from rotjax import angles


def _arc_distance(points: np.ndarray, x: np.ndarray) -> np.ndarray:
  """`[n]` ascending, `[m]`, both in [-pi, pi) -> `[m]` sums of n arcs."""
  n = len(points)
  turns = np.concatenate([points, points + angles.TWO_PI])
  total = np.concatenate([[0.0], np.cumsum(turns)])
  first = np.searchsorted(turns, x)
  # [first, middle) lie within half a turn counter-clockwise of each x.
  middle = np.searchsorted(turns, x + math.pi, side="right")
  ahead = total[middle] - total[first] - (middle - first) * x
  behind = (n + first - middle) * (x + angles.TWO_PI) - (
    total[n + first] - total[middle]
  )
  return ahead + behind


def least_distant(theta: np.ndarray) -> np.ndarray:
  """Those points of a sample with the least mean arc distance to it.

  Among all angles some of the sample's own points attain the minimum (Mardia &
  Jupp 2000, section 2.2.2), so that a search over them is exact, O(n log n).

  Args:
    theta: `[n]` radians, n >= 1.

  Returns:
    `[k]` radians in [-pi, pi), ascending, k >= 1: more than one where they tie.
  """
  points = np.sort(angles.wrap(np.asarray(theta, np.float64).ravel()))
  candidates = np.unique(points)
  distance = _arc_distance(points, candidates)
  return candidates[distance <= distance.min() + _tie(len(points))]


def _tie(n: int) -> float:
  """What the sums of n arcs may differ by for rounding alone."""
  return 1e-9 + 1e-14 * n * n


def circular_median(theta: np.ndarray) -> float:
  """The angle with the least mean arc distance to a sample.

  Where all of an arc has it, as between the two middle points of an even
  number, the arc's middle. Where several apart have it, as for opposite points
  or for points that are spread evenly, there is none.

  Args:
    theta: `[n]` radians, n >= 1.

  Returns:
    Radians in [-pi, pi); NaN where it is not defined.
  """
  points = np.sort(angles.wrap(np.asarray(theta, np.float64).ravel()))
  best = least_distant(points)
  if len(best) == 1:
    return float(best[0])
  # From each to the next, the last to the first: joined where it is flat.
  gap = np.diff(best, append=best[0] + angles.TWO_PI)
  height = _arc_distance(points, angles.wrap(best + gap / 2))
  apart = height > _arc_distance(points, best) + _tie(len(points))
  if apart.sum() != 1:
    return math.nan
  start = (int(np.argmax(apart)) + 1) % len(best)
  length = angles.TWO_PI - gap[np.argmax(apart)]
  return float(angles.wrap(best[start] + length / 2))
