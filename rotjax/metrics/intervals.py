"""Bootstrap confidence intervals that resample images, not views.

The angles of one image share its difficulty: taken as independent, 36 of them
give intervals up to six times too narrow.
"""

from collections.abc import Callable
import functools

import numpy as np

from rotjax.metrics import clumping, predictions

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
  if name == "mae_deg":
    return p.error_deg
  if name.startswith("acc_at_"):
    return p.error_deg <= float(name.removeprefix("acc_at_"))
  if name in clumping.NEAR:
    return clumping.is_near(name, p.decoded_deg, p.angles.period_deg)
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


def interval(
  p: predictions.Predictions,
  metric: str | Callable[..., np.ndarray],
  num_resamples: int = 1000,
  seed: int = 0,
  level: float = 0.95,
) -> tuple[float, float]:
  """Percentile bootstrap interval of a statistic (Efron & Tibshirani 1993, 13).

  Covers this data set's images, given the trained network; the spread over
  training seeds is another matter and is not in it.

  Args:
    p: the predictions.
    metric: the name of one that is `known`, or a function of predictions and
      `[B, num_images]` counts.
    num_resamples: B.
    seed: of the resampling.
    level: share of resamples inside.

  Returns:
    Lower and upper end.
  """
  function = (
    functools.partial(statistic, metric) if isinstance(metric, str) else metric
  )
  counts = resample_counts(p.num_clusters, num_resamples, seed)
  draws = np.concatenate(
    [
      function(p, counts[i : i + _CHUNK])
      for i in range(0, num_resamples, _CHUNK)
    ]
  )
  low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
  return float(low), float(high)
