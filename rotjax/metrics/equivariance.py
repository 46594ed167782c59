"""Does the prediction turn with the image? |wrap(f(turn_a x) - f(x) - a)|.

Nothing has to be evaluated again: the views of one image are each other's
turned copies, and the equivariance error of a pair is the difference of their
residuals. It needs no truth, only the turn between the two: an image whose
upright was labelled 10 degrees off costs `mae_deg` and nothing here.
"""

import numpy as np

from rotjax import angles as angles_lib
from rotjax.metrics import predictions


def pair_error(p: predictions.Predictions, shift: int) -> np.ndarray:
  """`[n, A]` degrees, the error of each view with the one `shift` further."""
  residual = p.residual_deg
  return np.abs(
    angles_lib.difference(
      np.roll(residual, -shift, axis=1), residual, p.angles.period_deg
    )
  )


def quarter_shift(angle_deg: np.ndarray) -> int | None:
  """How many views further on each image is turned by exactly +-90 degrees.

  Read off the angles themselves, to within 1e-3 degrees for they went through
  float32; a full even circle of A has it at A/4 when 4 divides A. A quarter
  turn moves pixels without interpolation, so there any error is the network's
  alone.

  Args:
    angle_deg: `[n, A]`.

  Returns:
    The shift, or None where no shift does so for every view.
  """
  angle_deg = np.asarray(angle_deg, np.float64)
  for shift in range(1, angle_deg.shape[1]):
    turn = np.roll(angle_deg, -shift, axis=1) - angle_deg
    if np.all(np.abs(angles_lib.wrap(turn - 90, 180)) < 1e-3):
      return shift
  return None


def compute(p: predictions.Predictions) -> dict[str, float]:
  """`equivariance_deg`, mean over neighbouring angles of each image, and
  `equivariance_90_deg` over exact quarter turns, where the angles have them."""
  if p.true_deg.shape[1] < 2:
    return {}
  metrics = {"equivariance_deg": float(pair_error(p, 1).mean())}
  shift = quarter_shift(p.true_deg)
  if shift is not None:
    metrics["equivariance_90_deg"] = float(pair_error(p, shift).mean())
  return metrics
