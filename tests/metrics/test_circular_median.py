"""The circular median against brute force, ties and antipodes included."""

import math

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from rotjax import angles
from rotjax.metrics import circular_median
from tests import reference

RADIANS = st.floats(-20, 20)


def _median_arc(sample):
  """Brute force: the only arc of least mean distance, on a fine grid.

  Returns:
    Its middle, or None where there are several or the whole circle.
  """
  grid = np.linspace(-math.pi, math.pi, 2881)[:-1]
  height = np.array([reference.mean_arc(x, sample) for x in grid])
  low = height < height.min() + 1e-9
  starts = np.flatnonzero(low & ~np.roll(low, 1))
  if len(starts) != 1:
    return None
  return grid[starts[0]] + (low.sum() - 1) * (grid[1] - grid[0]) / 2


@hypothesis.given(sample=st.lists(RADIANS, min_size=1, max_size=12))
def test_property_circular_median_is_the_brute_force_one(sample):
  best = reference.circular_median(sample)
  points = circular_median.least_distant(np.array(sample))
  assert all(min(reference.arc(p, b) for b in best) < 1e-8 for p in points)
  got = circular_median.circular_median(np.array(sample))
  assert isinstance(got, float)
  if math.isnan(got):
    assert len(points) > 1
  else:
    assert -math.pi <= got < math.pi
    assert reference.mean_arc(got, sample) == pytest.approx(
      reference.mean_arc(best[0], sample), abs=1e-8
    )


@hypothesis.given(steps=st.lists(st.integers(-8, 7), min_size=1, max_size=10))
def test_property_circular_median_with_ties_and_antipodes(steps):
  # On a grid of eighths of a half turn antipodes and ties are the rule.
  sample = np.array(steps) * (math.pi / 8)
  wanted, got = _median_arc(sample), circular_median.circular_median(sample)
  if wanted is None:
    assert math.isnan(got)
  else:
    assert reference.arc(got, wanted) < 1e-6


@pytest.mark.parametrize(
  "sample_deg, median_deg",
  [
    ([10], 10),
    ([190], -170),
    ([0, 90], 45),  # all between are as near
    ([0, 10, 20, 190], 10),
    ([170, -150, 170, -150], -170),
    ([-90, 90], math.nan),  # opposite: one way is as good as the other
    ([0, 180], math.nan),
    ([0, 90, 180, 270], math.nan),
    ([0, 120, 240], math.nan),
    ([170, -170, 175], 175),
    ([170, 180, -170], -180),
    ([0, 0, 0, 180], 0),
    ([1, 2, 3, 4, 100], 3),
  ],
)
def test_circular_median_of_samples_one_can_check_by_hand(
  sample_deg, median_deg
):
  got = math.degrees(circular_median.circular_median(np.deg2rad(sample_deg)))
  assert got == pytest.approx(median_deg, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("n", (500, 501))
def test_circular_median_of_many_points_and_of_any_shape(n):
  rng = np.random.default_rng(0)
  sample = rng.vonmises(3.0, 0.8, (1, n))
  got = circular_median.circular_median(sample)
  distance = [np.abs(angles.difference(p, sample)).mean() for p in sample.flat]
  assert np.abs(angles.difference(got, sample)).mean() < min(distance) + 1e-8
  # A point of the sample, or midway between two.
  gap = np.sort(np.abs(angles.difference(got, sample)).ravel())
  assert gap[0] < 1e-12 if n % 2 else gap[1] - gap[0] < 1e-12
