"""From what estimators gain on unseen originals to bounds that hold.

Originals are divided in three. Estimators learn on the first part. The second
says how far each is to be believed and which is best. The third gives the
intervals, of the best and of all the others.
"""

from collections.abc import Mapping
import dataclasses
import math

import numpy as np
import scipy.optimize
import scipy.stats

# What no leak may be worth, and each planted one is: nats.
LIMIT = 0.02
CONFIDENCE = 0.95
PARTS = ("fit", "select", "report")
# Of the originals, for the three parts.
_SHARES = (0.45, 0.15, 0.4)
# An estimator is believed at least so far, or its interval would say nothing.
_LEAST_WEIGHT = 0.1


def parts(cluster: np.ndarray, seed: int) -> np.ndarray:
  """`[n]` originals' numbers -> `[n]` index into `PARTS`, by original."""
  originals = np.unique(cluster)
  order = np.random.default_rng(seed).permutation(len(originals))
  bounds = np.round(np.cumsum(_SHARES)[:-1] * len(originals))
  part = np.searchsorted(bounds, order, side="right")
  return part[np.searchsorted(originals, cluster)]


@dataclasses.dataclass(frozen=True)
class Interval:
  """A mean across originals.

  Attributes:
    nats: the mean.
    low: lower end of its interval.
    high: upper end.
  """

  nats: float
  low: float
  high: float


def interval(
  gain: np.ndarray, cluster: np.ndarray, confidence: float
) -> Interval:
  """A t interval across originals.

  Args:
    gain: `[n]` nats of each view over the uniform density.
    cluster: `[n]` original of each view; its views are not independent.
    confidence: of the two-sided interval.
  """
  _, number = np.unique(cluster, return_inverse=True)
  per_image = np.bincount(number, gain) / np.bincount(number)
  n = len(per_image)
  error = per_image.std(ddof=1) / math.sqrt(n)
  reach = float(scipy.stats.t.ppf((1 + confidence) / 2, n - 1) * error)
  mean = float(per_image.mean())
  return Interval(mean, mean - reach, mean + reach)


def believed(gain: np.ndarray, weight: float) -> np.ndarray:
  """Gain of the density mixed with the uniform one, which has 1 - `weight`."""
  return np.log1p(weight * np.expm1(np.clip(gain, -50, 50)))


def best_weight(gain: np.ndarray) -> float:
  """The weight at which the mean of `believed` is greatest; it is concave."""
  found = scipy.optimize.minimize_scalar(
    lambda w: -believed(gain, w).mean(),
    bounds=(_LEAST_WEIGHT, 1.0),
    method="bounded",
  )
  return float(found.x)


@dataclasses.dataclass(frozen=True)
class Finding:
  """What a family of estimators found.

  Attributes:
    chosen: the member that was best on the second part.
    nats: what it gained on the third, mean over originals.
    low: lower end of its interval.
    high: upper end.
    highest: the greatest upper end of any member, corrected for their number.
    highest_member: whose it is.
    num_originals: in the third part.
    members: name -> [nats, upper end] of each.
  """

  chosen: str
  nats: float
  low: float
  high: float
  highest: float
  highest_member: str
  num_originals: int
  members: dict[str, tuple[float, float]]


def find(
  select: Mapping[str, np.ndarray],
  report: Mapping[str, np.ndarray],
  cluster: np.ndarray,
  num_findings: int,
) -> Finding:
  """Chooses a member of a family and bounds them all.

  Args:
    select: member -> `[m]` gains on the second part.
    report: member -> `[n]` gains on the third.
    cluster: `[n]` originals of the third part.
    num_findings: how many such findings share the error (Bonferroni).
  """
  alpha = (1 - CONFIDENCE) / num_findings
  weights = {name: best_weight(gain) for name, gain in select.items()}
  chosen = max(
    select, key=lambda name: believed(select[name], weights[name]).mean()
  )
  gains = {name: believed(report[name], weights[name]) for name in report}
  own = interval(gains[chosen], cluster, 1 - alpha)
  each = {
    name: interval(gain, cluster, 1 - alpha / len(gains))
    for name, gain in gains.items()
  }
  top = max(each, key=lambda name: each[name].high)
  return Finding(
    chosen,
    own.nats,
    own.low,
    own.high,
    max(each[top].high, own.high),
    top,
    len(np.unique(cluster)),
    {name: (found.nats, found.high) for name, found in each.items()},
  )
