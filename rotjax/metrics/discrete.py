"""Accuracy where few angles are possible, as in 4-way orientation."""

import numpy as np

from rotjax import angles as angles_lib
from rotjax.metrics import predictions

MAX_VALUES = 16


def values(angles: angles_lib.Angles) -> np.ndarray | None:
  """`[v]` the possible angles on the period's circle, ascending degrees.

  None where they are a continuum or more than MAX_VALUES.
  """
  if angles.discrete_deg is None:
    return None
  # Rounded, so that 0 and 180 are one value where the period is 180.
  wrapped = angles_lib.wrap(np.round(angles.discrete_deg, 6), angles.period_deg)
  distinct = np.unique(np.round(wrapped, 6))
  return distinct if len(distinct) <= MAX_VALUES else None


def nearest(
  angle_deg: np.ndarray, values_deg: np.ndarray, period_deg: float
) -> np.ndarray:
  """`[...]` degrees -> `[...]` index of the nearest of `values_deg` `[v]`."""
  d = angles_lib.difference(
    np.asarray(angle_deg, np.float64)[..., None], values_deg, period_deg
  )
  return np.argmin(np.abs(d), axis=-1)


def confusion(p: predictions.Predictions) -> tuple[np.ndarray, np.ndarray]:
  """Counts of true against predicted value, each rounded to the nearest.

  Args:
    p: predictions on at most MAX_VALUES angles.

  Returns:
    `[v]` the values in degrees, and `[v, v]` counts of views, rows the truth.

  Raises:
    ValueError: there are no such values; `values` tells beforehand.
  """
  known = values(p.angles)
  if known is None:
    raise ValueError(f"{p.angles} is not a choice of {MAX_VALUES} or fewer")
  period = p.angles.period_deg
  truth = nearest(p.true_deg, known, period)
  predicted = nearest(p.predicted_deg, known, period)
  counts = np.zeros((len(known), len(known)), np.int64)
  np.add.at(counts, (truth.ravel(), predicted.ravel()), 1)
  return known, counts


def compute(p: predictions.Predictions) -> dict[str, float]:
  """`accuracy` over the possible values; empty where there are too many."""
  if values(p.angles) is None:
    return {}
  _, counts = confusion(p)
  return {"accuracy": float(np.trace(counts) / counts.sum())}


def chance(angles: angles_lib.Angles) -> dict[str, float]:
  """Accuracy of the commonest value."""
  known, possible = values(angles), angles.discrete_deg
  if known is None or possible is None:
    return {}
  index = nearest(possible, known, angles.period_deg)
  return {"accuracy": float(np.bincount(index).max() / index.size)}
