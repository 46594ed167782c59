"""Intervals and tests for a table whose runs share their test images.

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
"""

from collections.abc import Sequence
import dataclasses
import math

import numpy as np
import scipy.stats

from rotjax import metrics
from rotjax.metrics import intervals

NUM_RESAMPLES = 500


@dataclasses.dataclass(frozen=True)
class Estimate:
  """A metric, or a difference of two arms in it.

  Attributes:
    mean: over seeds.
    sd: of the seeds' values, ddof 1; None with one seed.
    low: end of the 95 % interval.
    high: the other end.
    p_value: two-sided, of the mean being zero.
    num_seeds: S.
  """

  mean: float
  sd: float | None
  low: float
  high: float
  p_value: float
  num_seeds: int


def combine(
  values: np.ndarray, draws: np.ndarray, num_images: int, level: float = 0.95
) -> Estimate:
  """Crosses the spread over seeds with the resampling of images.

  Args:
    values: `[S]` the metric of each seed.
    draws: `[S, B]` the same on B resamples of the images, column b being the
      same resample for every seed.
    num_images: n.
    level: of the interval.

  Returns:
    The estimate. With one seed the interval is about the images alone.
  """
  num_seeds = len(values)
  by_image = draws.mean(0).var(ddof=1)
  if num_seeds == 1:
    variance, freedom = by_image, float(num_images - 1)
    sd = None
  else:
    sd = float(values.std(ddof=1))
    by_seed = sd**2 / num_seeds
    both = (draws - draws.mean(0)).var(axis=1, ddof=1).mean() / (num_seeds - 1)
    variance = max(by_seed + by_image - both, by_seed, by_image)
    pooled = by_seed**2 / (num_seeds - 1) + by_image**2 / (num_images - 1)
    freedom = variance**2 / pooled if pooled > 0 else math.inf
  mean, error = float(values.mean()), math.sqrt(variance)
  reach = scipy.stats.t.ppf((1 + level) / 2, freedom) * error
  if error > 0:
    p_value = 2 * scipy.stats.t.sf(abs(mean) / error, freedom)
  else:
    p_value = float(mean == 0)
  return Estimate(
    mean, sd, mean - reach, mean + reach, float(p_value), num_seeds
  )


def holm(p_values: Sequence[float]) -> list[float]:
  """Holm's adjusted p-values (Holm 1979), in the order given."""
  order = np.argsort(p_values)
  adjusted, largest = np.empty(len(p_values)), 0.0
  for rank, i in enumerate(order):
    scaled = min(1.0, (len(p_values) - rank) * p_values[i])
    largest = adjusted[i] = max(largest, scaled)
  return adjusted.tolist()


@dataclasses.dataclass(frozen=True)
class Sample:
  """A metric of one arm on the seeds it has, ready to be compared.

  Attributes:
    values: seed -> the metric.
    draws: seed -> `[B]` the same on resampled images.
    views: what the images and angles were: two samples are paired where these
      are equal.
    num_images: n.
  """

  values: dict[int, float]
  draws: dict[int, np.ndarray]
  views: bytes
  num_images: int

  def estimate(self) -> Estimate:
    """Of the arm alone."""
    return combine(
      np.array(list(self.values.values())),
      np.stack(list(self.draws.values())),
      self.num_images,
    )

  def minus(self, other: "Sample") -> Estimate | None:
    """Of the difference, seed by seed on the same images.

    None where no seed is common, or images or angles differ.
    """
    common = sorted(self.values.keys() & other.values.keys())
    if not common or self.views != other.views:
      return None
    return combine(
      np.array([self.values[s] - other.values[s] for s in common]),
      np.stack([self.draws[s] - other.draws[s] for s in common]),
      self.num_images,
    )


def sample(
  name: str, predictions: dict[int, metrics.Predictions]
) -> Sample | None:
  """A metric of an arm's seeds; None where it is no mean or median of views.

  Args:
    name: of the metric, as in summary.json.
    predictions: seed -> test predictions, all of the same views.
  """
  first = next(iter(predictions.values()))
  if any(not intervals.known(name, p) for p in predictions.values()):
    return None
  ones = np.ones((1, first.num_clusters), np.int64)
  counts = intervals.resample_counts(first.num_clusters, NUM_RESAMPLES, 0)
  values, draws = {}, {}
  for seed, p in predictions.items():
    values[seed] = float(intervals.statistic(name, p, ones)[0])
    draws[seed] = intervals.statistic(name, p, counts)
  views = first.example.tobytes() + np.float32(first.angle_deg).tobytes()
  return Sample(values, draws, views, first.num_clusters)
