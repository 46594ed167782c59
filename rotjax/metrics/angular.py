"""Errors of the prediction, in degrees on the circle of the period."""

import math

import numpy as np

from rotjax import angles as angles_lib
from rotjax.metrics import circular_median, predictions

ACCURACY_DEG = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30)
AUC_DEG = (2, 5, 10)

# float32 radians hold a degree to about 1e-5: an error that lies exactly on a
# threshold, as on a grid of angles, must not be decided by that rounding.
_TIE_DEG = 1e-4
# Below this a mean vector is what rounding left of one.
_CANCELLED = 1e-6


def view_values(
  name: str, error_deg: np.ndarray, period_deg: float
) -> np.ndarray | None:
  """What a metric is the mean over views of: the one place that counts.

  Args:
    name: of the metric.
    error_deg: `[...]` absolute errors, in [0, period/2].
    period_deg: the period.

  Returns:
    `[...]` float64, or bool of those that are shares; None where the metric is
    no mean over views of the error.
  """
  e = np.asarray(error_deg, np.float64)
  turns = e * (360 / period_deg)  # degrees of a full turn
  if name.startswith("acc_at_"):
    return e <= float(name.removeprefix("acc_at_")) + _TIE_DEG
  if name.startswith("auc_at_"):
    return np.maximum(0, 1 - e / float(name.removeprefix("auc_at_")))
  if name == "mae_deg":
    return e
  if name == "mae_mod_90_deg":
    return np.abs(angles_lib.wrap(e, period_deg / 4))
  if name == "share_near_90":
    return np.abs(turns - 90) <= 10 + _TIE_DEG
  if name == "share_near_180":
    return turns >= 170 - _TIE_DEG
  if name == "share_over_90":
    return turns > 90 + _TIE_DEG
  return None


def error_metrics(error_deg: np.ndarray, period_deg: float) -> dict[str, float]:
  """Summaries of absolute errors.

  `acc_at_t` is the share of errors of at most t degrees; `auc_at_t` the area
  under the curve of that share against the threshold from 0 to t, divided by
  t: exactly the mean of max(0, 1 - error/t), no histogram of thresholds.

  A few predictions a quarter or half turn off dominate the mean, so their
  shares stand beside it: `share_near_90` counts errors within [80, 100],
  `share_near_180` those within [170, 180], `share_over_90` those above 90, and
  `mae_mod_90_deg` is the mean after the best quarter turn was forgiven. These
  four count degrees of a circle of 360: on a shorter period all their numbers
  shrink by period/360 (with period 180, `share_near_180` is [85, 90]).

  Args:
    error_deg: `[...]` absolute errors, in [0, period/2].
    period_deg: the period.

  Returns:
    The metrics by name; those ending in `_deg` in real degrees.
  """
  e = np.asarray(error_deg, np.float64).ravel()
  # Not interpolated: of errors of 0, 90, 90 and 180 none is 153.
  median, p90, p95 = np.percentile(
    e, (50, 90, 95), method="averaged_inverted_cdf"
  )
  metrics = {
    "mae_deg": e.mean(),
    "median_deg": median,
    "rmse_deg": math.sqrt(np.square(e).mean()),
    "p90_deg": p90,
    "p95_deg": p95,
  }
  means = [
    *(f"acc_at_{t}" for t in ACCURACY_DEG),
    *(f"auc_at_{t}" for t in AUC_DEG),
    *("share_near_90", "share_near_180", "share_over_90", "mae_mod_90_deg"),
  ]
  for name in means:
    values = view_values(name, e, period_deg)
    if values is not None:
      metrics[name] = values.mean()
  return {name: float(value) for name, value in metrics.items()}


def correlation_js(a: np.ndarray, b: np.ndarray) -> float:
  """Circular correlation of Jammalamadaka & SenGupta (2001, eq. 8.2.2).

  sum sin(a - a0) sin(b - b0) / sqrt(sum sin^2(a - a0) sum sin^2(b - b0)), with
  a0 and b0 the mean directions; astropy's `circcorrcoef`. Where an angle is
  uniform on the circle, as the true angles mostly are here, its mean direction
  is undefined: a0 is then the noise of the sample, turns at random from one
  sample to the next, and the coefficient of even perfect predictions shifted
  by a constant turns with it. Read `correlation_t` there; this one is for
  comparison with others.

  Args:
    a: `[n]` radians.
    b: `[n]` radians.

  Returns:
    In [-1, 1]; 0 where one of them is constant.
  """
  sine_a = np.sin(a - angles_lib.circular_mean(a))
  sine_b = np.sin(b - angles_lib.circular_mean(b))
  scale = math.sqrt(np.square(sine_a).sum() * np.square(sine_b).sum())
  # Rounding of a constant's sines is some 1e-16 each.
  return (
    float((sine_a * sine_b).sum() / scale) if scale > 1e-14 * a.size else 0.0
  )


def correlation_t(a: np.ndarray, b: np.ndarray) -> float:
  """Circular correlation rho_T of Fisher & Lee (1983).

  sum over pairs i < j of sin(a_i - a_j) sin(b_i - b_j), over the root of the
  product of the sums of squares. It needs no mean direction, so it is stable
  for uniform angles; turning either sample leaves it as it is. Computed in
  O(n) from trigonometric sums (Fisher 1993, eq. 6.36), exact for all pairs.

  Args:
    a: `[n]` radians.
    b: `[n]` radians.

  Returns:
    In [-1, 1]: 1 for b = a + constant; 0 where one of them is constant.
  """
  n = a.size
  cos_a, sin_a, cos_b, sin_b = np.cos(a), np.sin(a), np.cos(b), np.sin(b)
  pairs = (cos_a @ cos_b) * (sin_a @ sin_b) - (cos_a @ sin_b) * (sin_a @ cos_b)
  spread_a = n**2 - np.abs(np.exp(2j * a).sum()) ** 2
  spread_b = n**2 - np.abs(np.exp(2j * b).sum()) ** 2
  least = 1e-12 * n**2
  if spread_a < least or spread_b < least:
    return 0.0
  return float(np.clip(4 * pairs / math.sqrt(spread_a * spread_b), -1, 1))


def residual_metrics(p: predictions.Predictions) -> dict[str, float]:
  """Where the errors point, and how the predictions go with the truth.

  `bias_deg` is the mean direction of the signed errors, `bias_median_deg` their
  circular median (a constant offset, as of half a bin, shows in both; flips
  move only the first), `circular_sd_deg` is sqrt(-2 ln R) with R the length of
  their mean vector (Mardia & Jupp 2000, section 2.3.1). Where the errors cancel
  that vector has no direction and its length no logarithm: these two are left
  out, and so is the median where it is not defined.
  """
  residual = p.angles.to_theta(p.residual_deg.ravel())
  truth = p.angles.to_theta(np.asarray(p.true_deg, np.float64).ravel())
  predicted = p.angles.to_theta(np.asarray(p.predicted_deg, np.float64).ravel())
  measures: dict[str, float] = {}
  length = min(1.0, abs(np.exp(1j * residual).mean()))
  if length > _CANCELLED:
    measures["bias_deg"] = float(angles_lib.circular_mean(residual))
    measures["circular_sd_deg"] = math.sqrt(-2 * math.log(length))
  measures["bias_median_deg"] = circular_median.circular_median(residual)
  degrees = {k: float(p.angles.to_degrees(v)) for k, v in measures.items()}
  return {k: v for k, v in degrees.items() if not math.isnan(v)} | {
    "correlation_js": correlation_js(truth, predicted),
    "correlation_t": correlation_t(truth, predicted),
  }


def compute(p: predictions.Predictions) -> dict[str, float]:
  """All of this file's metrics; averaged over views, each counted once."""
  return error_metrics(p.error_deg, p.angles.period_deg) | residual_metrics(p)


def chance(angles: angles_lib.Angles) -> dict[str, float]:
  """`error_metrics` of the best constant prediction, which looks at no image.

  The best constant is the middle of a range, or of several values the circular
  median. On the full circle every constant gives 90, 90 and 103.9 degrees of
  mean, median and root mean square error.
  """
  truth = angles.quantiles_deg()
  if angles.discrete_deg is None:
    # Between two quantiles, so that shares are exact: 20 of 3,600 within 1.
    constant_deg = angles.range_deg[0] + angles.width_deg / 2
  else:
    best = circular_median.least_distant(angles.to_theta(truth))
    constant_deg = angles.to_degrees(best[0])
  error = np.abs(
    angles_lib.difference(truth, np.asarray(constant_deg), angles.period_deg)
  )
  return error_metrics(error, angles.period_deg) | {
    "correlation_js": 0.0,
    "correlation_t": 0.0,
  }


def by_angle(
  p: predictions.Predictions, num_bins: int = 36
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Error against the true angle; dips at multiples of 90 betray a leak.

  Bins are centred on multiples of period/num_bins, 0 among them, so that no
  round angle lies on an edge.

  Args:
    p: the predictions.
    num_bins: bins around the circle of the period.

  Returns:
    `[num_bins]` centres in [-period/2, period/2), ascending; mean absolute
    error and median absolute error of each bin, NaN in one without views. All
    in degrees.
  """
  step = p.angles.period_deg / num_bins
  index = angles_lib.nearest_multiple(p.true_deg, step)
  index = ((index + num_bins // 2) % num_bins).ravel()
  centers = (np.arange(num_bins) - num_bins // 2) * step
  error = p.error_deg.ravel()
  order = np.argsort(index, kind="stable")
  groups = np.split(
    error[order], np.searchsorted(index[order], np.arange(1, num_bins))
  )
  mae = np.array([g.mean() if g.size else np.nan for g in groups])
  median = np.array([np.median(g) if g.size else np.nan for g in groups])
  return centers, mae, median


def by_class(p: predictions.Predictions) -> dict[int, dict[str, float]]:
  """`error_metrics` of each class, and its number of images as `num_images`."""
  label = np.asarray(p.label)
  return {
    int(c): {"num_images": int(np.unique(p.example[label == c]).size)}
    | error_metrics(p.error_deg[label == c], p.angles.period_deg)
    for c in np.unique(label)
  }
