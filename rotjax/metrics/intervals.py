"""Intervals and tests of a run's metrics, over images and seeds.

One function, `combine`, makes every interval and every p-value, so that a run's
summary, its report and a table say the same. The angles of one image share its
difficulty: taken as independent, 36 of them give intervals up to six times too
narrow. So images are resampled, not views.

Seeds and images are crossed: every seed of an arm is scored on the same
images. With y[s, i] = mean + seed[s] + image[i] + both[s, i] the mean over S
seeds and n images has the variance

  V = var(seed)/S + var(image)/n + var(both)/(S n).

The spread of the seeds' results, over S, estimates the first term and the
third; resampling images, the same for every seed, the second and the third;
the third alone shows in how differently the seeds react to a resample, and is
subtracted once. The quantile is Student's, its degrees of freedom pooled by
Satterthwaite, for three seeds know their own spread badly. Resampling seeds
and images at random covers .77 instead of .95 at three seeds.

Errors are skewed, a few large ones among many small: of 20 images a mean is
then more often too low than too high. Hall's transformation takes the skewness
out (see `_unskewed`). Of exponential errors of 20 images the interval covers
.946; without it .92, resampling's percentiles .885.
"""

import dataclasses
import math

import numpy as np

from rotjax.metrics import angular, clumping, predictions

NUM_RESAMPLES = 500
# Fewer tell too little of how images differ for an interval or a test.
MIN_IMAGES = clumping.MIN_IMAGES
# Resamples whose weights are held at once, to bound memory.
_CHUNK = 64


def resample_counts(
  num_images: int, num_resamples: int, seed: int
) -> np.ndarray:
  """`[B, num_images]` how often each image occurs in each resample.

  The same for every arm evaluated on the same images, so that differences of
  two arms are paired.
  """
  rng = np.random.default_rng(seed)
  uniform = np.full(num_images, 1 / num_images)
  return rng.multinomial(num_images, uniform, size=num_resamples)


def weighted_mean(
  p: predictions.Predictions, values: np.ndarray, counts: np.ndarray
) -> np.ndarray:
  """`[B]` means over views of `values` `[n, A]`, images weighted by counts."""
  total = p.sum_by_image(values)
  views = p.sum_by_image(np.ones(values.shape))
  return (counts @ total) / (counts @ views)


def weighted_median(
  p: predictions.Predictions, values: np.ndarray, counts: np.ndarray
) -> np.ndarray:
  """`[B]` medians over views of `values` `[n, A]`, images weighted by counts.

  The mean of the two middle values where the number of views is even.
  """
  image = np.broadcast_to(p.cluster[:, None], values.shape).ravel()
  order = np.argsort(values, axis=None)
  image, ascending = image[order], values.ravel()[order]
  medians = []
  for row in counts:
    rank = np.cumsum(row[image])  # of each value's last copy, from 1
    middle = (rank[-1] + 1) // 2, rank[-1] // 2 + 1
    medians.append(ascending[np.searchsorted(rank, middle)].mean())
  return np.array(medians)


# Metrics that are medians over views, by the views' values.
_MEDIANS = {"median_deg": lambda p: p.error_deg}


def _view_values(name: str, p: predictions.Predictions) -> np.ndarray | None:
  """`[n, A]` what the metric `name` is the mean over views of, if it is one."""
  prefix = "recalibrated_" if name.startswith("recalibrated_") else ""
  of_errors = angular.view_values(name, p.error_deg, p.angles.period_deg)
  if of_errors is not None:
    return of_errors
  if name in clumping.NEAR:
    return clumping.is_near(name, p.predicted_deg, p.angles.period_deg)
  if name == prefix + "nll" and prefix + "log_density" in p.scores:
    return -p.scores[prefix + "log_density"]
  return p.scores.get(name)


def known(name: str, p: predictions.Predictions) -> bool:
  """Whether `statistic` can resample this metric."""
  return name in _MEDIANS or _view_values(name, p) is not None


def statistic(
  name: str, p: predictions.Predictions, counts: np.ndarray
) -> np.ndarray:
  """A metric on resampled images.

  Args:
    name: of the metric, as in summary.json; `known` here.
    p: the predictions.
    counts: `[B, num_images]` how often each image occurs.

  Returns:
    `[B]`.

  Raises:
    KeyError: not `known`.
  """
  if name in _MEDIANS:
    return weighted_median(p, _MEDIANS[name](p), counts)
  values = _view_values(name, p)
  if values is None:
    raise KeyError(name)
  return weighted_mean(p, values.astype(np.float64), counts)


def influence_of(name: str, p: predictions.Predictions) -> np.ndarray:
  """`[num_images]` how far each image moves a mean over views, times n.

  The variance of the mean is their mean square over n, its third central moment
  their mean cube over n^2. All zero for a median, whose draws are taken as
  symmetric.
  """
  values = _view_values(name, p)
  if values is None or name in _MEDIANS:
    return np.zeros(p.num_clusters)
  total = p.sum_by_image(values.astype(np.float64))
  views = p.sum_by_image(np.ones(values.shape))
  return (total - views * total.sum() / views.sum()) / views.mean()


@dataclasses.dataclass(frozen=True)
class Estimate:
  """A metric, or a difference of two arms in it.

  Attributes:
    mean: over seeds.
    sd: of the seeds' values, ddof 1; None with one seed.
    low: end of the 95 % interval; None where there is none: fewer than
      MIN_IMAGES images, or no spread at all.
    high: the other end; likewise.
    p_value: two-sided, of the mean being zero; None where the interval is.
    num_seeds: S.
  """

  mean: float
  sd: float | None
  low: float | None
  high: float | None
  p_value: float | None
  num_seeds: int


def _unskewed(t: float, skewness: float) -> float:
  """Hall's transformation of Student's statistic: nearly free of skewness.

  Hall 1992, "On the removal of skewness by transformation", eq. 2.5: a cubic
  that only grows.

  Args:
    t: the statistic.
    skewness: of the mean that it is of.
  """
  a = skewness
  return t + a * t**2 / 3 + a**2 * t**3 / 27 + a / 6


def _skewed(h: float, skewness: float) -> float:
  """The inverse of `_unskewed`."""
  a = skewness
  if abs(a) < 1e-6:
    return h
  return 3 * (float(np.cbrt(1 + a * (h - a / 6))) - 1) / a


def combine(
  values: np.ndarray,
  draws: np.ndarray,
  num_images: int,
  influence: np.ndarray | None = None,
  level: float = 0.95,
) -> Estimate:
  """Crosses the spread over seeds with the resampling of images.

  Args:
    values: `[S]` the metric of each seed.
    draws: `[S, B]` the same on B resamples of the images, column b being the
      same resample for every seed.
    num_images: n.
    influence: `[n]` how far each image moves the mean over seeds, times n;
      None: its distribution is taken as symmetric.
    level: of the interval.

  Returns:
    The estimate. With one seed the interval is about the images alone.
  """
  import scipy.special  # scipy.stats takes a second to import, this a fifth

  num_seeds, mean = len(values), float(values.mean())
  sd = float(values.std(ddof=1)) if num_seeds > 1 else None
  if num_images < MIN_IMAGES:
    return Estimate(mean, sd, None, None, None, num_seeds)
  # A resample's variance is that of n images, not of n - 1.
  lost = num_images / (num_images - 1)
  by_image = draws.mean(0).var(ddof=1) * lost
  if sd is None:
    variance, freedom = by_image, float(num_images - 1)
  else:
    by_seed = sd**2 / num_seeds
    both = (draws - draws.mean(0)).var(axis=1, ddof=1).mean() * lost
    both /= num_seeds - 1
    variance = max(by_seed + by_image - both, by_seed, by_image)
    pooled = by_seed**2 / (num_seeds - 1) + by_image**2 / (num_images - 1)
    freedom = variance**2 / pooled if pooled > 0 else math.inf
  error = math.sqrt(variance)
  # What is left of equal numbers after rounding is no spread.
  if error <= 1e-12 * np.abs(values).max():
    return Estimate(mean, sd, None, None, None, num_seeds)
  skewness = 0.0
  if influence is not None:
    skewness = float((influence**3).mean()) / num_images**2 / error**3
  reach = scipy.special.stdtrit(freedom, (1 + level) / 2)
  low, high = (mean - error * _skewed(h, skewness) for h in (reach, -reach))
  statistic = abs(_unskewed(mean / error, skewness))
  p_value = 2 * float(scipy.special.stdtr(freedom, -statistic))
  return Estimate(mean, sd, low, high, p_value, num_seeds)


def within_limits(name: str, estimate: Estimate) -> Estimate:
  """An arm's own estimate, its interval cut to the values the metric can have.

  Errors are not negative, shares neither that nor above 1.
  """
  low, high = estimate.low, estimate.high
  share = name.startswith(("acc_at_", "auc_at_", "near_", "share_"))
  if low is None or high is None or not (share or name.endswith("_deg")):
    return estimate
  low, high = max(low, 0.0), min(high, 1.0) if share else high
  return dataclasses.replace(estimate, low=low, high=high)


def draws_of(
  name: str, p: predictions.Predictions, num_resamples: int = NUM_RESAMPLES
) -> np.ndarray:
  """`[B]` a metric on resampled images, the same ones for every arm."""
  counts = resample_counts(p.num_clusters, num_resamples, 0)
  return np.concatenate(
    [
      statistic(name, p, counts[i : i + _CHUNK])
      for i in range(0, num_resamples, _CHUNK)
    ]
  )


def interval(
  p: predictions.Predictions, name: str
) -> tuple[float, float] | None:
  """The 95 % interval of one run's metric over its images.

  Covers this data set's images, given the trained network; the spread over
  training seeds is another matter and is not in it.

  Args:
    p: the predictions.
    name: of the metric, as in summary.json.

  Returns:
    Lower and upper end; None where there is none: a metric that is not `known`,
    fewer than MIN_IMAGES images, or no difference between them.
  """
  if not known(name, p):
    return None
  ones = np.ones((1, p.num_clusters), np.int64)
  estimate = within_limits(
    name,
    combine(
      statistic(name, p, ones),
      draws_of(name, p)[None],
      p.num_clusters,
      influence_of(name, p),
    ),
  )
  if estimate.low is None or estimate.high is None:
    return None
  return estimate.low, estimate.high
