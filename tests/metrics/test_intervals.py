"""Intervals over images: against plain resampling, and their coverage."""

import math

import numpy as np
import pytest
import scipy.stats

from rotjax import angles as angles_lib
from rotjax import metrics
from rotjax.metrics import angular, intervals


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


def sample_interval(values):
  """Of a mean over images, with Hall's transformation, in plain float64."""
  n, mean = len(values), values.mean()
  error = values.std(ddof=1) / math.sqrt(n)
  a = ((values - mean) ** 3).mean() / n**2 / error**3
  t = np.linspace(-60, 60, 400001)
  h = t + a * t**2 / 3 + a**2 * t**3 / 27 + a / 6
  reach = scipy.stats.t.ppf(0.975, n - 1)
  inside = t[np.abs(h) <= reach]
  return mean - error * inside.max(), mean - error * inside.min()


def test_the_interval_of_a_mean_is_halls():
  rng = np.random.default_rng(1)
  error = errors_of(rng, 30)
  p = predictions(error)
  # Its standard error is of 500 resamples: good to 3 %, more in its tail.
  wanted = sample_interval(error.mean(-1))
  width = wanted[1] - wanted[0]
  assert intervals.interval(p, "mae_deg") == pytest.approx(
    wanted, abs=0.08 * width
  )


def test_images_of_several_rows_count_by_their_views():
  rng = np.random.default_rng(7)
  error, example = errors_of(rng, 40), rng.integers(0, 12, 40)
  p = predictions(error, example)
  moved = intervals.influence_of("mae_deg", p)
  assert moved.sum() == pytest.approx(0, abs=1e-9)
  # Of a ratio: what the mean changes by where an image counts a little more.
  for image, index in enumerate(np.unique(example)):
    weight = np.where(example == index, 1 + 1e-6, 1.0)
    mean = np.average(error.mean(-1), weights=weight)
    slope = (mean - error.mean()) / 1e-6
    assert moved[image] == pytest.approx(12 * slope, rel=1e-3, abs=1e-6)


def test_nll_has_an_interval_where_the_head_states_a_density():
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
  assert nll[0] < 0  # no error, and so not cut off at zero
  assert intervals.interval(p, "recalibrated_nll") == nll
  assert intervals.known("nll", p) and not intervals.known("crps_deg", p)
  assert intervals.interval(p, "crps_deg") is None


@pytest.mark.parametrize("threshold", (2, 5, 10))
def test_a_share_and_its_interval_count_the_same_views(threshold):
  """A grid of 5 degrees, 72 bins: 43.1 % stood in "25.9 to 33.1"."""
  rng = np.random.default_rng(5)
  error = 5.0 * rng.integers(0, 5, (40, 6))
  # On the threshold but for the rounding of float32 radians.
  noisy = np.rad2deg(np.deg2rad(error).astype(np.float32)).astype(np.float64)
  p = predictions(noisy)
  name = f"acc_at_{threshold}"
  own = angular.compute(p)[name]
  assert own == (error <= threshold).mean()
  ones = np.ones((1, 40), int)
  assert intervals.statistic(name, p, ones)[0] == pytest.approx(own)
  low, high = intervals.interval(p, name)
  assert low < own < high


def test_every_interval_holds_its_own_estimate():
  rng = np.random.default_rng(6)
  for n in (8, 20):
    error = np.where(rng.uniform(size=(n, 3)) < 0.1, 180, errors_of(rng, n, 3))
    p = predictions(error)
    for name, value in angular.compute(p).items():
      ends = intervals.interval(p, name)
      if ends is not None:
        assert ends[0] <= value <= ends[1], name
        assert ends[0] >= 0
        assert ends[1] <= 1 or name.endswith("_deg")


@pytest.mark.parametrize("n", (1, 2, 7))
def test_few_images_have_no_interval_and_no_p_value(n):
  p = predictions(errors_of(np.random.default_rng(0), n))
  assert intervals.interval(p, "mae_deg") is None
  draws = intervals.draws_of("mae_deg", p)
  for num_seeds in (1, 3):
    values = np.arange(1.0, num_seeds + 1)
    e = intervals.combine(values, np.repeat(draws[None], num_seeds, 0), n)
    assert (e.low, e.high, e.p_value) == (None, None, None)


@pytest.mark.parametrize("value", (0.0, 3.1, 180.0))
def test_no_difference_between_images_is_no_interval(value):
  p = predictions(np.full((20, 4), value))
  for name in ("mae_deg", "median_deg", "acc_at_5"):
    assert intervals.interval(p, name) is None


# Errors of an image: exponential; with flips; the rule in a trained network.
POPULATIONS = {
  "exponential": lambda rng, n: rng.exponential(8, n),
  "lognormal": lambda rng, n: np.exp(rng.normal(1, 0.7, n)),
  "flips": lambda rng, n: np.where(
    rng.uniform(size=n) < 0.2, rng.uniform(80, 180, n), rng.exponential(4, n)
  ),
}


@pytest.mark.parametrize("kind", POPULATIONS)
def test_of_twenty_images_it_covers_what_it_says(kind):
  """Percentiles of resamples cover .79 to .89 there, and this fails of them."""
  rng = np.random.default_rng(8)
  draw = POPULATIONS[kind]
  truth = draw(rng, 2_000_000).mean()
  hits = naive = 0
  for _ in range(400):
    values = draw(rng, 20)
    p = predictions(values[:, None] * np.ones(2))
    low, high = intervals.interval(p, "mae_deg")
    hits += low <= truth <= high
    resampled = intervals.draws_of("mae_deg", p)
    low, high = np.quantile(resampled, [0.025, 0.975])
    naive += low <= truth <= high
  # Two standard errors of 400 trials are .022.
  assert 0.918 <= hits / 400 <= 0.99
  assert naive < hits


def test_it_covers_the_truth_as_often_as_it_says_and_views_alone_do_not():
  rng = np.random.default_rng(3)
  population = errors_of(rng, 200_000, 1)
  truth = {"mae_deg": population.mean(), "median_deg": np.median(population)}
  hits = dict.fromkeys(truth, 0)
  naive = 0
  for _ in range(200):
    error = errors_of(rng, 60)
    p = predictions(error)
    for name in truth:
      low, high = intervals.interval(p, name)
      hits[name] += low <= truth[name] <= high
    alone = 1.96 * error.std() / np.sqrt(error.size)
    naive += abs(error.mean() - truth["mae_deg"]) < alone
  for name in truth:
    assert 0.91 <= hits[name] / 200 <= 0.99, name
  assert naive / 200 < 0.6
