"""Clumping statistics: values by hand, power on clumps, level without."""

import math

import numpy as np
import pytest

from rotjax import angles as angles_lib
from rotjax import metrics
from rotjax.metrics import clumping

UNIFORM = angles_lib.Angles()


def predictions(truth, answer, angles=UNIFORM):
  n = len(truth)
  return metrics.Predictions(
    truth,
    angles_lib.wrap(answer, angles.period_deg),
    np.arange(n),
    np.arange(n),
    angles,
  )


def simulated(rng, n, angles=UNIFORM, num_angles=36):
  """Images of unlike difficulty, each with its own offset, some flipped."""
  first = int(rng.integers(1 << 30))
  truth = angles.evaluation_deg(first + np.arange(n), num_angles)
  scale = np.exp(rng.normal(1.5, 0.7, (n, 1)))
  noise = rng.normal(0, 1, truth.shape) * scale + rng.normal(0, 4, (n, 1))
  flip = (rng.random((n, 1)) < 0.1) * (rng.random(truth.shape) < 0.5) * 180
  return truth, truth + noise + flip + 2


def to_corners(truth):
  """The saturated tanh: both outputs on +-1."""
  return np.floor(truth / 90) * 90 + 45


def test_moments_by_hand():
  eight = np.arange(0, 360, 45.0)
  assert abs(clumping.moment(eight, 8, 360)) == pytest.approx(1)
  assert abs(clumping.moment(eight, 4, 360)) == pytest.approx(0, abs=1e-12)
  assert abs(clumping.moment(eight, 8, 180)) == pytest.approx(1)
  assert abs(clumping.moment(eight + 22.5, 8, 360)) == pytest.approx(1)
  assert clumping.moment(eight + 22.5, 8, 360).real == pytest.approx(-1)
  corners, axes = eight[1::2], eight[::2]
  assert clumping.moment(corners, 4, 360).real == pytest.approx(-1)
  assert clumping.moment(axes, 4, 360).real == pytest.approx(1)


def test_a_grid_of_truths_is_no_clumping():
  """The forum's 20-degree grid: right answers have |m18| = 1 and excess 0."""
  grid = angles_lib.Angles(distribution="grid", step_deg=20)
  truth = grid.evaluation_deg(np.arange(50), 18)
  m = clumping.compute(predictions(truth, truth, grid))
  assert abs(clumping.moment(truth, 18, 360)) == pytest.approx(1)
  for k in clumping.MOMENTS:
    assert m[f"m{k}_excess"] == pytest.approx(0, abs=1e-9)
    assert m[f"m{k}_p"] == pytest.approx(1, abs=1e-6)
  assert m["kuiper_v"] == 0 and m["kuiper_p"] == 1
  # The forum's fault on that grid is still seen.
  m = clumping.compute(predictions(truth, to_corners(truth), grid))
  assert m["m4_excess"] > 0.9 and m["m8_excess"] > 0.9
  assert m["m8_p"] < 1e-6 and m["near_45"] == 1 and m["kuiper_p"] == 0.001


def test_corners_one_constant_and_honest_answers_are_told_apart():
  rng = np.random.default_rng(0)
  truth, honest = simulated(rng, 200)
  corners = clumping.compute(predictions(truth, to_corners(truth)))
  constant = clumping.compute(predictions(truth, np.full(truth.shape, 45.0)))
  honest = clumping.compute(predictions(truth, honest))
  assert corners["m8_excess"] > 0.99 and constant["m8_excess"] > 0.99
  assert abs(corners["m1_excess"]) < 0.01 and constant["m1_excess"] > 0.99
  assert corners["m8_p"] < 1e-12 and constant["m1_p"] < 1e-12
  assert honest["m8_excess"] < 0.05 and honest["m8_p"] > 1e-3
  assert (corners["near_45"], constant["occupancy_max"]) == (1, 1)
  assert corners["occupancy_max"] == pytest.approx(0.25, abs=0.01)
  assert corners["occupancy_min"] == 0
  assert honest["near_45"] == pytest.approx(2 / 15, abs=0.02)
  assert honest["occupancy_max"] == pytest.approx(1 / 8, abs=0.02)
  assert corners["kuiper_v"] == pytest.approx(0.25, abs=0.02)
  assert constant["kuiper_v"] > 0.95 and honest["kuiper_p"] > 0.01


@pytest.mark.parametrize(
  "angles",
  [
    UNIFORM,
    angles_lib.Angles(range_deg=(-30, 30)),
    angles_lib.Angles(distribution="grid", step_deg=20),
    angles_lib.Angles(period_deg=180),
  ],
  ids=("uniform", "range", "grid", "axial"),
)
def test_p_values_keep_their_level_when_views_of_an_image_are_alike(angles):
  """300 data sets without clumping: 5 % and 20 % of the p-values lie below."""
  rng = np.random.default_rng(1)
  for k in (1, 4, 8):
    p = np.array(
      [
        clumping.moment_p_value(
          predictions(*simulated(rng, 60, angles, 12), angles), k
        )
        for _ in range(300)
      ]
    )
    # Three standard errors of a share of 300 draws.
    assert (p < 0.05).mean() < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)
    assert 0.2 - 0.07 < (p < 0.2).mean() < 0.2 + 0.07


def test_kuipers_p_value_keeps_its_level_and_has_power():
  rng = np.random.default_rng(2)
  null, pulled = [], []
  for _ in range(50):
    truth, answer = simulated(rng, 40, num_angles=12)
    null.append(clumping.kuiper_p_value(predictions(truth, answer)))
    answer = answer - 8 * np.sin(np.radians(2 * answer))
    pulled.append(clumping.kuiper_p_value(predictions(truth, answer)))
  assert np.mean(np.array(null) < 0.05) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 50)
  assert 0.3 < np.mean(null) < 0.7
  assert np.mean(np.array(pulled) < 0.05) > 0.9


def test_ignoring_the_clusters_would_have_no_level():
  """Each image answers its own constant: 36 views are one observation."""
  rng = np.random.default_rng(3)
  naive, clustered = [], []
  for _ in range(200):
    truth = UNIFORM.evaluation_deg(rng.integers(1 << 30, size=40), 36)
    answer = np.broadcast_to(rng.uniform(-180, 180, (40, 1)), truth.shape)
    length = abs(clumping.moment(answer, 8, 360))
    naive.append(math.exp(-truth.size * length**2) < 0.05)  # Rayleigh's
    clustered.append(
      clumping.moment_p_value(predictions(truth, answer), 8) < 0.05
    )
  assert np.mean(naive) > 0.8
  assert np.mean(clustered) < 0.1


def test_a_bias_or_broad_errors_on_a_grid_are_no_clumping():
  grid = angles_lib.Angles(distribution="grid", step_deg=20)
  rng = np.random.default_rng(4)
  truth = grid.evaluation_deg(np.arange(100), 18)
  noisy = truth + 3 + rng.normal(0, 5, truth.shape)
  m = clumping.compute(predictions(truth, noisy, grid))
  assert m["m18_excess"] < -0.5 and m["m18_p"] > 0.99
  assert m["m8_p"] > 0.01


def test_duplicate_rows_of_an_image_are_one_cluster():
  rng = np.random.default_rng(5)
  truth, answer = simulated(rng, 30)
  answer = answer - 3 * np.sin(np.radians(8 * answer))
  once = predictions(truth, answer)
  twice = metrics.Predictions(
    np.tile(truth, (2, 1)),
    np.tile(once.predicted_deg, (2, 1)),
    np.tile(np.arange(30), 2) + 7,
    np.zeros(60, int),
    UNIFORM,
  )
  assert clumping.compute(twice) == pytest.approx(clumping.compute(once))


@pytest.mark.parametrize("period", (360.0, 180.0))
def test_near_45_and_occupancy_by_counting(period):
  rng = np.random.default_rng(6)
  degrees = rng.uniform(-180, 180, 500)
  scaled = degrees * 360 / period
  gaps = [
    min(abs((d - 45 * k + 180) % 360 - 180) for k in range(8)) for d in scaled
  ]
  assert clumping.near("near_45", degrees, period) == np.mean(
    np.array(gaps) <= 3
  )
  shares = clumping.occupancy(degrees, period)
  for cell, center in enumerate(range(-180, 180, 45)):
    inside = np.abs((scaled - center + 180) % 360 - 180) < 22.5
    assert shares[cell] == pytest.approx(inside.mean())
  assert shares.sum() == pytest.approx(1)


def test_near_45_does_not_hang_on_float32_rounding():
  edge = np.degrees(np.radians(np.arange(8) * 45.0 + 3).astype(np.float32))
  assert clumping.near("near_45", edge, 360) == 1


def test_kuiper_by_counting_and_wherever_the_circle_is_cut():
  rng = np.random.default_rng(7)
  a = np.round(rng.uniform(-180, 180, 60))
  b = np.round(rng.vonmises(0, 1, 45) * 57)
  gaps = [0.0] + [
    (a <= x).mean() - (b <= x).mean() for x in np.concatenate([a, b])
  ]
  v = clumping.kuiper_statistic(a, b, 360)
  assert v == pytest.approx(max(gaps) - min(gaps))
  for turn in (10, 133, 300):
    assert clumping.kuiper_statistic(a + turn, b + turn, 360) == pytest.approx(
      v
    )
  assert clumping.kuiper_statistic(b, a, 360) == pytest.approx(v)
  assert clumping.kuiper_statistic([0.0], [90.0], 360) == 1


def test_too_few_images_give_no_p_values():
  truth, answer = simulated(np.random.default_rng(8), 5)
  m = clumping.compute(predictions(truth, answer))
  assert "m8_excess" in m and not any(name.endswith("_p") for name in m)


def test_chance_levels():
  level = clumping.chance(UNIFORM)
  assert level["near_45"] == pytest.approx(2 / 15)
  assert level["near_90"] == pytest.approx(2 / 90, abs=1e-3)
  assert level["occupancy_max"] == level["occupancy_min"] == 0.125
  grid = clumping.chance(angles_lib.Angles(distribution="grid", step_deg=20))
  assert grid["near_45"] == pytest.approx(2 / 18)


def test_saturation_is_averaged():
  truth, answer = simulated(np.random.default_rng(9), 3)
  p = metrics.Predictions(
    truth,
    angles_lib.wrap(answer, 360),
    np.arange(3),
    np.arange(3),
    UNIFORM,
    scores={"saturated_share": (answer > 0).astype(float)},
  )
  found = clumping.compute(p)
  assert found["saturated_share"] == pytest.approx((answer > 0).mean())
  assert "tanh_slope" not in found


@pytest.mark.parametrize("dtype", (np.float64, np.float32))
def test_occupancy_of_a_grid_of_half_cells_is_even(dtype):
  """To the even one, as `round` has it, cells got .1875 and .0625."""
  degrees = np.rad2deg(np.deg2rad(np.arange(16) * 22.5).astype(dtype))
  np.testing.assert_array_equal(clumping.occupancy(degrees, 360), 0.125)
  np.testing.assert_array_equal(clumping.occupancy(degrees / 2, 180), 0.125)


@pytest.mark.parametrize("num_points", (None, 180, 256, 360, 720))
def test_kuiper_passes_answers_rounded_to_a_fine_grid(num_points):
  """Honest errors of 1.5 degrees, as argmax of bins gives them."""
  rng = np.random.default_rng(3)
  found = []
  for _ in range(25):
    truth = rng.uniform(-180, 180, (100, 1)) + np.arange(36) * 10
    answer = truth + rng.normal(0, 1.5, truth.shape)
    if num_points:
      step = 360 / num_points
      answer = np.rad2deg(np.deg2rad(np.rint(answer / step) * step, dtype="f4"))
    found.append(clumping.kuiper_p_value(predictions(truth, answer)))
  # 25 trials at .05: more than 5 are one in a hundred.
  assert np.mean(np.array(found) < 0.05) <= 5 / 25
  assert 0.15 < np.mean(np.array(found) < 0.5) < 0.85


def test_kuiper_still_sees_clumps_among_answers_on_a_grid():
  rng = np.random.default_rng(4)
  truth = rng.uniform(-180, 180, (100, 12))
  pulled = truth - 3 * np.sin(np.deg2rad(8 * truth))
  for answer in (np.rint(pulled), 45 * np.rint(truth / 45)):
    assert clumping.kuiper_p_value(predictions(truth, answer)) < 0.01
