"""Angles: wrapping, circular averages, and which angles are drawn."""

import dataclasses
import functools
import itertools
import math

import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from rotjax import angles, errors
from tests import reference

PERIODS = st.sampled_from((2 * math.pi, 360.0, 180.0, 120.0, 1.0))
RADIANS = st.floats(-20, 20)


# --- Wrapping ---------------------------------------------------------------


@hypothesis.given(theta=st.floats(-1e5, 1e5), period=PERIODS)
def test_property_wrap_is_congruent_and_in_range(theta, period):
  wrapped = float(angles.wrap(theta, period))
  assert -period / 2 <= wrapped < period / 2
  turns = (theta - wrapped) / period
  assert turns == pytest.approx(round(turns), abs=1e-9)


@hypothesis.given(
  theta=st.floats(-1e4, 1e4, width=32), period=st.sampled_from((360.0, 180.0))
)
def test_property_wrap_keeps_its_range_in_float32(theta, period):
  wrapped = angles.wrap(jnp.float32(theta), period)
  assert wrapped.dtype == jnp.float32
  assert -period / 2 <= float(wrapped) < period / 2
  away = reference.arc(math.radians(theta), math.radians(float(wrapped)))
  if period == 360:
    assert away == pytest.approx(0, abs=2e-5)


@pytest.mark.parametrize(
  "theta, expected",
  [
    (math.pi, -math.pi),
    (-math.pi, -math.pi),
    (0.0, 0.0),
    (3 * math.pi, -math.pi),
    # The remainder of these rounds up to the full turn.
    (-math.pi - 1e-17, -math.pi),
    (np.nextafter(-math.pi, -4), -math.pi),
    (np.nextafter(math.pi, 0), np.nextafter(math.pi, 0)),
  ],
)
def test_wrap_at_its_ends(theta, expected):
  got = float(angles.wrap(theta))
  assert -math.pi <= got < math.pi
  assert reference.arc(got, expected) < 1e-15


def test_wrap_at_its_ends_in_float32():
  # Every float32 within 50 of an odd multiple of pi.
  ends = []
  for multiple in (-3, -1, 1, 3):
    up = down = np.float32(multiple * math.pi)
    for _ in range(50):
      up, down = (
        np.nextafter(up, np.float32(99)),
        np.nextafter(down, np.float32(-99)),
      )
      ends += [up, down]
  for wrapped in (
    angles.wrap(np.array(ends, np.float32)),
    jax.jit(angles.wrap)(jnp.array(ends)),
  ):
    wrapped = np.asarray(wrapped)
    assert wrapped.dtype == np.float32
    assert (wrapped >= -np.float32(math.pi)).all()
    assert (wrapped < np.float32(math.pi)).all()
    assert (np.abs(wrapped) > 3.14).all()


def test_numpy_in_numpy_out_and_jax_in_jax_out():
  theta = np.linspace(-9, 9, 7)
  assert isinstance(angles.wrap(theta), np.ndarray)
  assert angles.wrap(theta).dtype == np.float64
  assert isinstance(angles.wrap(jnp.asarray(theta)), jax.Array)
  assert isinstance(angles.circular_mean(theta), np.floating | np.ndarray)
  assert isinstance(angles.circular_mean(jnp.asarray(theta)), jax.Array)


@hypothesis.given(a=RADIANS, b=RADIANS)
def test_property_difference_is_the_shortest_turn(a, b):
  turn = float(angles.difference(a, b))
  assert -math.pi <= turn < math.pi
  assert abs(turn) == pytest.approx(reference.arc(a, b), abs=1e-9)
  assert reference.arc(b + turn, a) == pytest.approx(0, abs=1e-9)


def test_difference_crosses_the_seam_and_knows_the_period():
  assert angles.difference(-179.0, 179.0, 360) == 2
  assert angles.difference(179.0, -179.0, 360) == -2
  assert angles.difference(89.0, -89.0, 180) == -2


# --- Averages ---------------------------------------------------------------


@hypothesis.given(
  sample=st.lists(RADIANS, min_size=1, max_size=9), turn=st.floats(-7, 7)
)
def test_property_circular_mean_equals_scipys_and_turns_along(sample, turn):
  sample = np.array(sample)
  resultant = abs(np.exp(1j * sample).mean())
  hypothesis.assume(resultant > 1e-3)  # else the direction is arbitrary
  got = float(angles.circular_mean(sample))
  assert -math.pi <= got < math.pi
  assert reference.arc(got, scipy.stats.circmean(sample)) < 1e-9
  turned = float(angles.circular_mean(sample + turn))
  assert reference.arc(turned, got + turn) < 1e-9


def test_circular_mean_along_axes_with_weights():
  theta = np.random.default_rng(0).uniform(-4, 4, (3, 5))
  weights = np.random.default_rng(1).uniform(0, 2, (3, 5))
  z = weights * np.exp(1j * theta)
  for axis in (0, 1, -1):
    np.testing.assert_allclose(
      angles.circular_mean(theta, weights, axis),
      np.angle(z.sum(axis)),
      atol=1e-12,
    )
  np.testing.assert_allclose(
    angles.circular_mean(jnp.asarray(theta), jnp.asarray(weights)),
    np.angle(z.sum(-1)),
    atol=1e-5,
  )
  # The mean of 170 and -170 is 180, written -180; not 0.
  opposite = angles.circular_mean(np.deg2rad([170.0, -170.0]))
  assert reference.arc(opposite, math.pi) < 1e-12
  assert -math.pi <= opposite < math.pi


def test_halves_go_up_and_no_multiple_gets_more_than_its_share():
  degrees = np.arange(-8, 8) * 22.5
  found = angles.nearest_multiple(degrees, 45)
  assert np.bincount(found % 8).tolist() == [2] * 8
  # Also where float32 radians left them a rounding off.
  noisy = np.rad2deg(np.deg2rad(degrees).astype(np.float32))
  np.testing.assert_array_equal(angles.nearest_multiple(noisy, 45), found)


# --- The hash ---------------------------------------------------------------


def test_hashed_uniform_never_changes():
  # Evaluation angles of finished runs rest on these very numbers.
  index = np.array([0, 1, 2, 3, 59_999, 10**9])
  golden = [
    0.5733975800685585,
    0.5883937727194279,
    0.7041337329428643,
    0.9277629151474684,
    0.2422799989581108,
    0.06164377764798701,
  ]
  np.testing.assert_array_equal(angles.hashed_uniform(index), golden)
  np.testing.assert_array_equal(
    angles.hashed_uniform(index.astype(np.int32)), golden
  )


def test_hashed_uniform_is_the_finaliser_of_murmurhash3():
  def finaliser(h):
    h ^= h >> 16
    h = h * 0x85EBCA6B % 2**32
    h ^= h >> 13
    h = h * 0xC2B2AE35 % 2**32
    return h ^ h >> 16

  index = np.random.default_rng(0).integers(0, 2**30, 200)
  expected = [finaliser((int(i) + 0x9E3779B9) % 2**32) / 2**32 for i in index]
  np.testing.assert_array_equal(angles.hashed_uniform(index), expected)


def test_hashed_uniform_is_uniform_and_unrelated_to_its_neighbours():
  u = angles.hashed_uniform(np.arange(20_000))
  assert u.dtype == np.float64 and 0 <= u.min() and u.max() < 1
  assert scipy.stats.kstest(u, "uniform").pvalue > 0.01
  assert len(np.unique(u)) == len(u)
  for lag in (1, 2, 10, 64):
    assert abs(np.corrcoef(u[lag:], u[:-lag])[0, 1]) < 0.03


# --- Drawing ----------------------------------------------------------------


@functools.partial(jax.jit, static_argnums=0)
def draws(a, index):
  """One angle for each index, from a key of its own."""

  def one(i):
    return a.draw(jax.random.fold_in(jax.random.key(0), i))

  return jax.vmap(one)(index)


@pytest.mark.parametrize(
  "low, high, period", [(-180, 180, 360), (-30, 45, 360), (10, 190, 180)]
)
def test_uniform_draws_fill_the_range_evenly(low, high, period):
  a = angles.Angles(range_deg=(low, high), period_deg=period)
  drawn = draws(a, np.arange(20_000))
  assert drawn.dtype == jnp.float32 and drawn.shape == (20_000,)
  drawn = np.asarray(drawn, np.float64)
  assert low <= drawn.min() and drawn.max() < high
  uniform = scipy.stats.uniform(low, high - low)
  assert scipy.stats.kstest(drawn, uniform.cdf).pvalue > 0.01


@pytest.mark.parametrize(
  "options, values",
  [
    (dict(distribution="grid", step_deg=20.0), np.arange(-180, 180, 20)),
    (
      dict(distribution="grid", step_deg=15.0, range_deg=(0.0, 60.0)),
      [0, 15, 30, 45, 60],
    ),
    (
      dict(distribution="grid", step_deg=50.0, range_deg=(-60.0, 60.0)),
      [-60, -10, 40],
    ),
    (
      dict(distribution="values", values_deg=(0.0, 90.0, 200.0)),
      [0, 90, 200],
    ),
    (dict(distribution="values", values_deg=(33.0,)), [33]),
  ],
)
def test_discrete_draws_take_each_value_equally_often(options, values):
  a = angles.Angles(**options)
  np.testing.assert_array_equal(a.discrete_deg, values)
  drawn = draws(a, np.arange(6_000))
  assert drawn.dtype == jnp.float32
  got, counts = np.unique(np.asarray(drawn), return_counts=True)
  np.testing.assert_array_equal(got, np.sort(values))
  if len(values) > 1:
    assert scipy.stats.chisquare(counts).pvalue > 0.01


@pytest.mark.parametrize("step", (1.0, 7.0, 20.0, 22.5, 0.1, 360.0))
def test_a_grid_over_a_full_turn_leaves_its_upper_end_out(step):
  a = angles.Angles(distribution="grid", step_deg=step)
  values = a.discrete_deg
  assert values[0] == -180
  assert len(values) == math.ceil(360 / step - 1e-6)
  directions = np.exp(1j * np.deg2rad(values))
  apart = np.abs(np.diff(np.append(directions, directions[0])))
  assert step == 360 or apart.min() > np.deg2rad(min(step, 3)) * 0.9


def test_a_grid_over_one_period_leaves_its_upper_end_out():
  # -90 and 90 are the same angle of a line: neither twice as often, nor twice
  # in the evaluation.
  a = angles.Angles(
    distribution="grid",
    step_deg=30.0,
    range_deg=(-90.0, 90.0),
    period_deg=180.0,
  )
  np.testing.assert_array_equal(a.discrete_deg, [-90, -60, -30, 0, 30, 60])


@pytest.mark.parametrize(
  "options",
  [
    {},
    dict(distribution="grid"),
    dict(distribution="values", values_deg=(1.0, 2.0, 4.0)),
  ],
)
def test_a_draw_depends_on_its_own_key_only(options):
  a = angles.Angles(**options)
  index = np.arange(24)
  whole = draws(a, index)
  for parts in (2, 3, 24):
    split = [draws(a, part) for part in np.split(index, parts)]
    np.testing.assert_array_equal(whole, np.concatenate(split))
  alone = a.draw(jax.random.fold_in(jax.random.key(0), 5))
  assert alone.shape == () and float(alone) == float(whole[5])
  assert len(np.unique(whole)) > 1


# --- Periods and units ------------------------------------------------------


@pytest.mark.parametrize("period", (360.0, 180.0, 120.0, 72.0))
def test_one_period_is_one_full_turn_of_theta(period):
  a = angles.Angles(period_deg=period)
  degrees = np.linspace(-700, 700, 301)
  theta = a.to_theta(degrees)
  assert (theta >= -math.pi).all() and (theta < math.pi).all()
  expected = np.exp(1j * np.deg2rad(degrees * (360 / period)))
  np.testing.assert_allclose(np.exp(1j * theta), expected, atol=1e-10)
  back = a.to_degrees(theta)
  assert (back >= -period / 2).all() and (back < period / 2).all()
  turns = (degrees - back) / period
  np.testing.assert_allclose(turns, np.round(turns), atol=1e-10)


def test_theta_keeps_its_range_in_float32():
  # Heads rely on theta < pi, which rounding of 360 to 2 pi could break.
  for period in (360.0, 180.0, 120.0):
    a = angles.Angles(period_deg=period)
    end = np.float32(period / 2)
    near = [end, -end]
    for _ in range(20):
      near += [
        np.nextafter(near[-2], np.float32(0)),
        np.nextafter(near[-1], np.float32(-999)),
      ]
    theta = np.asarray(jax.jit(a.to_theta)(jnp.array(near)))
    assert theta.dtype == np.float32
    assert (theta >= -np.float32(math.pi)).all()
    assert (theta < np.float32(math.pi)).all()


def test_log_jacobian_makes_densities_per_radian_of_real_turn():
  for period in (360.0, 180.0, 90.0):
    a = angles.Angles(period_deg=period)
    uniform_head = -math.log(2 * math.pi)
    real = -math.log(math.radians(period))
    assert uniform_head + a.log_jacobian == pytest.approx(real, abs=1e-12)


@pytest.mark.parametrize(
  "low, high, period, width",
  [
    (-180, 180, 360, 360),
    (-180, 180, 180, 180),
    (0, 50, 360, 50),
    (0, 90, 90, 90),
  ],
)
def test_width_is_the_arc_that_draws_cover(low, high, period, width):
  a = angles.Angles(range_deg=(low, high), period_deg=period)
  assert a.width_deg == width


# --- Evaluation -------------------------------------------------------------


@pytest.mark.parametrize(
  "low, high, period", [(-180, 180, 360), (-180, 180, 180), (-30, 60, 360)]
)
def test_evaluation_is_an_even_grid_over_the_range(low, high, period):
  a = angles.Angles(range_deg=(low, high), period_deg=period)
  got = a.evaluation_deg(np.arange(50), 36)
  assert got.shape == (50, 36) and got.dtype == np.float64
  width = min(high - low, period)
  assert (got >= low).all() and (got < low + width).all()
  np.testing.assert_allclose(np.diff(got), width / 36, atol=1e-9)
  offset = (got[:, 0] - low) / (width / 36)
  np.testing.assert_allclose(
    offset, angles.hashed_uniform(np.arange(50)), atol=1e-9
  )
  assert len(np.unique(offset)) == 50


@pytest.mark.parametrize(
  "options",
  [
    {},
    dict(distribution="grid", step_deg=5.0),
    dict(distribution="values", values_deg=(0.0, 9.0, 80.0, 170.0, 200.0)),
  ],
)
def test_an_images_evaluation_angles_do_not_depend_on_the_others(options):
  a = angles.Angles(**options)
  whole = a.evaluation_deg(np.arange(40), 4)
  order = np.random.default_rng(0).permutation(40)
  np.testing.assert_array_equal(a.evaluation_deg(order, 4), whole[order])
  np.testing.assert_array_equal(a.evaluation_deg(np.array([7]), 4), whole[7:8])
  assert len(np.unique(whole[:, 0])) > 1


def test_discrete_evaluation_takes_spread_members_without_repeats():
  a = angles.Angles(distribution="grid", step_deg=10.0)
  got = a.evaluation_deg(np.arange(300), 9)
  assert got.shape == (300, 9)
  assert np.isin(got, a.discrete_deg).all()
  gaps = np.diff(np.sort(got), append=np.sort(got)[:, :1] + 360)
  np.testing.assert_array_equal(gaps, 40)
  # Every value has its turn.
  assert len(np.unique(got)) == 36
  few = angles.Angles(distribution="values", values_deg=(0.0, 90.0, 180.0))
  got = few.evaluation_deg(np.arange(5), 36)
  np.testing.assert_array_equal(np.sort(got), np.tile([0, 90, 180], (5, 1)))


def test_quantiles_stand_for_the_distribution():
  a = angles.Angles(range_deg=(-40.0, 20.0))
  q = a.quantiles_deg(600)
  assert len(q) == 600 and -40 < q.min() and q.max() < 20
  np.testing.assert_allclose(np.diff(q), 0.1, atol=1e-9)
  assert q.mean() == pytest.approx(-10)
  # Chance on the full circle is 90 degrees from any guess.
  full = angles.Angles().quantiles_deg()
  for guess in (0.0, 17.3):
    chance = np.abs(angles.difference(full, guess, 360)).mean()
    assert chance == pytest.approx(90, abs=1e-3)
  half = angles.Angles(period_deg=180.0).quantiles_deg()
  chance = np.abs(angles.difference(half, 1.0, 180)).mean()
  assert chance == pytest.approx(45, abs=1e-3)
  listed = angles.Angles(distribution="values", values_deg=(5.0, 50.0))
  np.testing.assert_array_equal(listed.quantiles_deg(), [5, 50])


# --- Wrong input ------------------------------------------------------------


@pytest.mark.parametrize(
  "options, words",
  [
    (dict(distribution="unifrom"), ("unifrom", "did you mean 'uniform'")),
    (dict(distribution="normal"), ("normal", "grid", "uniform", "values")),
    (dict(period_deg=0.0), ("period_deg", "0.0", "180")),
    (dict(period_deg=-360.0), ("period_deg", "-360.0")),
    (dict(period_deg=100.0), ("period_deg", "100.0", "360/n")),
    (dict(period_deg=720.0), ("period_deg", "720.0")),
    (dict(range_deg=(10.0, 10.0)), ("range_deg", "low < high")),
    (dict(range_deg=(90.0, -90.0)), ("range_deg", "low < high")),
    (dict(range_deg=(1.0,)), ("range_deg", "(1.0,)")),
    (dict(range_deg=(0.0, 1.0, 2.0)), ("range_deg",)),
    (dict(range_deg=(-180.0, 181.0)), ("range_deg", "360")),
    (dict(range_deg=(0.0, 270.0), period_deg=180.0), ("one period or less",)),
    (dict(distribution="grid", step_deg=0.0), ("step_deg", "positive")),
    (dict(distribution="grid", step_deg=-5.0), ("step_deg", "-5.0")),
    (dict(distribution="values"), ("values_deg", "(0, 90, 180, 270)")),
  ],
)
def test_invalid_fields_are_refused_with_what_is_valid(options, words):
  with pytest.raises(errors.UserError) as caught:
    angles.Angles(**options)
  for word in words:
    assert word in str(caught.value)


def test_valid_corners_are_accepted_and_frozen():
  # A full turn is a whole number of any period; else at most one.
  for period, high in itertools.product((360.0, 90.0, 7.2), (-179.0, 180.0)):
    angles.Angles(range_deg=(-180.0, high), period_deg=period)
  with pytest.raises(dataclasses.FrozenInstanceError):
    angles.Angles().step_deg = 3.0
