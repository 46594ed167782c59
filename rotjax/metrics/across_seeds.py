"""Arms compared on the seeds and images that they share.

How intervals and p-values come about is told in `metrics.intervals`.
"""

from collections.abc import Sequence
import dataclasses
import math
from typing import Any

import numpy as np

from rotjax import metrics
from rotjax.metrics import intervals

Estimate = intervals.Estimate
combine = intervals.combine


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
    name: of the metric.
    values: seed -> the metric.
    draws: seed -> `[B]` the same on resampled images.
    influence: seed -> `[n]` how far each image moves it, times n.
    views: what the images and angles were: two samples are paired where these
      are equal.
    num_images: n.
  """

  name: str
  values: dict[int, float]
  draws: dict[int, np.ndarray]
  influence: dict[int, np.ndarray]
  views: bytes
  num_images: int

  def estimate(self) -> Estimate:
    """The arm's mean over seeds, its spread and interval."""
    estimate = combine(
      np.array(list(self.values.values())),
      np.stack(list(self.draws.values())),
      self.num_images,
      np.mean(list(self.influence.values()), axis=0),
    )
    return intervals.within_limits(self.name, estimate)

  def minus(self, other: "Sample") -> Estimate | None:
    """The difference from another arm, seed by seed on the same images.

    None where no seed is common, or images or angles differ.
    """
    common = sorted(self.values.keys() & other.values.keys())
    if not common or self.views != other.views:
      return None
    gaps = [self.influence[s] - other.influence[s] for s in common]
    return combine(
      np.array([self.values[s] - other.values[s] for s in common]),
      np.stack([self.draws[s] - other.draws[s] for s in common]),
      self.num_images,
      np.mean(gaps, axis=0),
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
  values = {
    seed: float(intervals.statistic(name, p, ones)[0])
    for seed, p in predictions.items()
  }
  draws = {s: intervals.draws_of(name, p) for s, p in predictions.items()}
  influence = {
    s: intervals.influence_of(name, p) for s, p in predictions.items()
  }
  views = first.example.tobytes() + np.float32(first.true_deg).tobytes()
  return Sample(name, values, draws, influence, views, first.num_clusters)


def known(value: float | None) -> bool:
  """Whether a number is there and finite: one image has no interval."""
  return value is not None and math.isfinite(value)


def ends(estimate: Any) -> tuple[float, float] | None:
  """The 95 % interval of an estimate; None where too little is known.

  A spread of zero is that of one image, or of results that are all the same:
  no knowledge of where others would lie.
  """
  low, high = estimate.low, estimate.high
  return (low, high) if known(low) and known(high) and low < high else None


def p_of(estimate: Any) -> float | None:
  """The p-value of an estimate; None where it has none, or no interval."""
  p = estimate.p_value
  return p if ends(estimate) and known(p) else None
