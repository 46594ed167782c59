"""Clustered bootstrap: against plain resampling, and its coverage."""

import numpy as np
import pytest

from rotjax import angles as angles_lib
from rotjax import metrics
from rotjax.metrics import intervals


def predictions(error, example=None, scores=None):
  n = len(error)
  return metrics.Predictions(
    np.zeros(error.shape),
    error,
    np.arange(n) if example is None else example,
    np.zeros(n, int),
    angles_lib.Angles(),
    scores or {},
  )


def errors_of(rng, n, num_angles=12):
  """Views of an image share its difficulty."""
  difficulty = rng.exponential(8, (n, 1))
  return np.minimum(difficulty * rng.uniform(0.8, 1.2, (n, num_angles)), 180)


@pytest.mark.parametrize("num_angles", (1, 3, 4))
def test_weighted_statistics_are_those_of_repeated_images(num_angles):
  rng = np.random.default_rng(0)
  error = np.round(errors_of(rng, 9, num_angles), 1)
  example = np.array([4, 9, 9, 1, 7, 7, 7, 30, 2])  # six images, 1-3 rows each
  p = predictions(error, example)
  counts = intervals.resample_counts(p.num_clusters, 20, seed=1)
  assert counts.shape == (20, 6) and (counts.sum(1) == 6).all()
  mae = intervals.statistic("mae_deg", p, counts)
  median = intervals.statistic("median_deg", p, counts)
  names = np.unique(example)
  for b in range(20):
    rows = [
      i
      for image, times in zip(names, counts[b], strict=True)
      for i in np.flatnonzero(example == image).tolist() * times
    ]
    assert mae[b] == pytest.approx(error[rows].mean())
    assert median[b] == pytest.approx(np.median(error[rows]))


def test_the_interval_is_the_percentiles_of_the_resamples():
  rng = np.random.default_rng(1)
  p = predictions(errors_of(rng, 30))
  counts = intervals.resample_counts(30, 1000, seed=5)
  draws = intervals.weighted_mean(p, p.error_deg, counts)
  assert intervals.interval(p, "mae_deg", seed=5) == pytest.approx(
    tuple(np.quantile(draws, [0.025, 0.975]))
  )
  low, high = intervals.interval(p, "mae_deg", level=0.5)
  wide = intervals.interval(p, "mae_deg")
  assert wide[0] < low < p.error_deg.mean() < high < wide[1]


def test_nll_and_own_statistics():
  rng = np.random.default_rng(2)
  log_density = rng.normal(size=(50, 4))
  p = predictions(
    np.abs(log_density),
    scores={
      "log_density": log_density,
      "recalibrated_log_density": log_density,
    },
  )
  nll = intervals.interval(p, "nll")
  assert nll[0] < -log_density.mean() < nll[1]
  assert intervals.interval(p, "recalibrated_nll") == nll
  assert intervals.known("nll", p) and not intervals.known("crps_deg", p)

  def own(p, counts):
    return intervals.weighted_mean(p, -log_density, counts)

  assert intervals.interval(p, own) == nll


def test_it_covers_the_truth_as_often_as_it_says_and_views_alone_do_not():
  rng = np.random.default_rng(3)
  population = errors_of(rng, 200_000, 1)
  truth = {"mae_deg": population.mean(), "median_deg": np.median(population)}
  hits = dict.fromkeys(truth, 0)
  naive = 0
  for i in range(200):
    error = errors_of(rng, 60)
    p = predictions(error)
    for name in truth:
      low, high = intervals.interval(p, name, num_resamples=200, seed=i)
      hits[name] += low <= truth[name] <= high
    alone = 1.96 * error.std() / np.sqrt(error.size)
    naive += abs(error.mean() - truth["mae_deg"]) < alone
  for name in truth:
    assert 0.88 <= hits[name] / 200 <= 0.99, name
  assert naive / 200 < 0.6
