"""Bounds that hold: intervals, weights, and the choice of the best."""

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
import scipy.stats

from rotjax.leakage import estimators, evidence


def test_the_interval_counts_originals_not_views():
  rng = np.random.default_rng(0)
  per_image = rng.normal(0.1, 0.5, 40)
  got = evidence.interval(
    np.repeat(per_image, 25), np.repeat(np.arange(40), 25), 0.95
  )
  want = scipy.stats.t.interval(
    0.95, 39, per_image.mean(), scipy.stats.sem(per_image)
  )
  assert (got.low, got.high) == pytest.approx(want)


@hypothesis.given(st.integers(10, 200), st.integers(1, 5))
def test_an_original_is_in_one_part_whatever_its_copies(count, copies):
  part = evidence.parts(np.tile(np.arange(count), copies), seed=0)
  assert (part.reshape(copies, count) == part[:count]).all()
  shares = np.bincount(part, minlength=3) / len(part)
  assert np.abs(shares - evidence._SHARES).max() <= 1 / count


def test_a_mixture_with_the_uniform_density_is_believed_as_far_as_it_is_right():
  rng = np.random.default_rng(1)
  # Sure of a right half of the circle and of a wrong one as often: log 2, -inf.
  gain = np.where(rng.random(4000) < 0.5, np.log(2), -40.0)
  assert evidence.best_weight(gain) == pytest.approx(0.1, abs=1e-3)
  assert evidence.best_weight(np.full(100, np.log(2))) == pytest.approx(
    1, abs=1e-3
  )
  # Right three times in four: the best mixture has density 3/2, weight 1/2.
  gain = np.where(rng.random(40_000) < 0.75, np.log(2), -40.0)
  assert evidence.best_weight(gain) == pytest.approx(0.5, abs=0.02)


def test_the_best_of_many_blind_members_is_no_finding():
  """Without the split the best of 200 would look like a leak."""
  rng = np.random.default_rng(2)
  select, report = (
    {str(i): rng.normal(0, 0.3, 300) for i in range(200)} for _ in range(2)
  )
  found = evidence.find(select, report, np.arange(300), 1)
  raw = max(gain.mean() for gain in select.values())
  assert raw > 0.03
  assert found.low < 0
  assert found.highest >= found.high
  assert found.num_originals == 300
  assert set(found.members) == set(select)


def test_a_density_of_moments_gains_what_its_information_is():
  """Directions with von Mises noise: the gain is the mutual information."""
  rng = np.random.default_rng(3)
  n, kappa, k = 40_000, 1.5, 4
  theta = rng.uniform(-np.pi, np.pi, n)
  shown = k * theta + rng.vonmises(0, kappa, n)
  length = scipy.special.i1(kappa) / scipy.special.i0(kappa)
  predicted = length * np.stack([np.cos(shown), np.sin(shown)], -1)
  gain = estimators.gains(predicted, theta, (k,))[k].mean()
  want = np.log(2 * np.pi) - scipy.stats.vonmises(kappa).entropy()
  assert gain == pytest.approx(want, abs=0.01)


@pytest.mark.parametrize("name", estimators.ESTIMATORS)
@pytest.mark.parametrize("k", [1, 12])
def test_an_estimator_finds_a_fold_among_idle_summaries(name, k):
  rng = np.random.default_rng(4)
  theta = rng.uniform(-np.pi, np.pi, 3000)
  features = rng.normal(size=(3000, 60))
  features[:, 7] = np.cos(k * theta) + 0.3 * rng.normal(size=3000)
  estimator = estimators.ESTIMATORS[name]()
  folds = (k, 5)
  estimator.fit(features[:2000], estimators.moments(theta[:2000], folds))
  predicted = estimator.predict(features[2000:])
  gain = estimators.gains(predicted, theta[2000:], folds)
  assert gain[k].mean() > 0.25
  assert evidence.believed(gain[5], 0.1).mean() < 0.005
