"""What is read off an even grid, against brute force in float64."""

from hypothesis import given, settings
from hypothesis import strategies as st
import jax
import numpy as np
import pytest

from rotjax.heads import grid
from tests.heads import reference

READINGS = {
  name: jax.jit(getattr(grid, name))
  for name in ("argmax", "local_mean", "mean", "median", "parabola")
}
nearest = jax.jit(grid.nearest, static_argnums=1)


def test_points_are_on_whole_degrees_for_360():
  """Half a bin off would cost half a degree, silently."""
  degrees = np.rad2deg(np.asarray(grid.centers(360), np.float64))
  expected = np.concatenate([np.arange(180), np.arange(-180, 0)])
  np.testing.assert_allclose(degrees, expected, atol=2e-5)


@pytest.mark.parametrize("num_points", [3, 7, 36, 360])
def test_points_stand_for_half_a_step_to_either_side(num_points):
  step = 2 * np.pi / num_points
  k = np.arange(num_points)
  for offset in (-0.49, 0.0, 0.49):
    theta = ((k + offset) * step).astype(np.float32)
    assert (nearest(theta, num_points) == k).all()
    wrapped = reference.wrap(theta).astype(np.float32)
    assert (nearest(wrapped, num_points) == k).all()


@pytest.mark.parametrize("num_points", [8, 12, 72, 360])
def test_angles_on_the_edges_of_cells_fall_to_all_of_them_alike(num_points):
  """A grid of half a step; to the even one, every other got three in two."""
  step = 2 * np.pi / num_points
  for turn in (0.0, -np.pi):
    theta = (np.arange(2 * num_points) * step / 2 + turn).astype(np.float32)
    theta = reference.wrap(theta).astype(np.float32)
    counts = np.bincount(nearest(theta, num_points), minlength=num_points)
    assert (counts == 2).all()


def normal(num_points, mode, width):
  """Log-values of a wrapped normal, one turn each side."""
  d = reference.wrap(reference.centers(num_points) - mode)
  return (-0.5 * (d / width) ** 2).astype(np.float32)


@pytest.mark.parametrize("name", READINGS)
@pytest.mark.parametrize("num_points", [8, 45, 360])
def test_one_symmetric_mode_reads_the_same_everywhere(name, num_points):
  step = 2 * np.pi / num_points
  modes = np.linspace(-np.pi, np.pi, 24, endpoint=False) + 0.01
  values = np.stack([normal(num_points, m, 1.2 * step) for m in modes])
  error = reference.arc(READINGS[name](values), modes).max()
  # Within 15 degrees are only three points of eight: not all of the mode.
  exact = name in ("mean", "parabola") or (name == "median" and step < 0.2)
  assert error < (2e-2 * step if exact else 0.51 * step)


def test_parabola_is_exact_for_a_gaussian_and_survives_large_logits():
  values = normal(90, 0.321, 0.1)
  assert abs(READINGS["parabola"](values) - 0.321) < 1e-5
  values = normal(90, 0.321, 1e-4)  # logits of -1e9
  assert abs(READINGS["parabola"](values) - 0.321) < 1e-4
  flat = np.zeros(90, np.float32)
  assert READINGS["parabola"](flat) == 0


def test_mean_is_the_direction_of_the_mean_vector():
  values = np.random.default_rng(0).normal(size=(5, 36)).astype(np.float32)
  p = np.exp(values.astype(np.float64))
  expected = np.angle((p * np.exp(1j * reference.centers(36))).sum(-1))
  assert reference.arc(READINGS["mean"](values), expected).max() < 1e-5


def test_mean_of_two_equal_modes_is_between_them_and_mode_and_median_not():
  values = np.logaddexp(normal(360, 0.2, 0.1), normal(360, 1.4, 0.1))
  values = np.logaddexp(values, normal(360, 0.2, 0.1) - 3)  # a little more
  assert abs(READINGS["mean"](values) - 0.8) < 0.05
  assert abs(READINGS["parabola"](values) - 0.2) < 0.01
  # With slightly more than half of it at one mode, the median is inside.
  assert READINGS["median"](values) < 0.5


@settings(max_examples=25, deadline=None)
@given(
  st.integers(0, 2**31), st.sampled_from([7, 12, 36, 90]), st.floats(0.1, 8.0)
)
def test_median_has_the_least_expected_arc(seed, num_points, scale):
  """Among all angles, for the histogram of the values."""
  rng = np.random.default_rng(seed)
  values = (scale * rng.normal(size=num_points)).astype(np.float32)
  p = np.exp(values.astype(np.float64) - values.max())
  p /= p.sum()
  fine = np.linspace(-np.pi, np.pi, 4 * num_points, endpoint=False)
  median = READINGS["median"](values)
  found = reference.expected_arc_of_histogram(p, [median])[0]
  best = reference.expected_arc_of_histogram(p, fine).min()
  # Inside a bin the distance is a parabola, read off a straight line.
  assert found <= best + p.max() * np.pi / num_points / 4 + 1e-5


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 35))
def test_readings_turn_with_the_ring(seed, shift):
  values = np.random.default_rng(seed).normal(size=36).astype(np.float32) * 3
  turn = 2 * np.pi * shift / 36
  for reading in READINGS.values():
    once, turned = reading(values), reading(np.roll(values, shift))
    assert reference.arc(turned, np.float64(once) + turn) < 1e-3
