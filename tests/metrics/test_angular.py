"""Angular metrics against slow definitions, invariances and known traps."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import scipy.integrate

from rotjax import angles as angles_lib
from rotjax import metrics
from rotjax.metrics import angular

PERIODS = (360.0, 180.0, 90.0)


def predictions(truth, answer, period=360.0, example=None, label=None):
  truth = np.atleast_2d(np.asarray(truth, np.float64))
  n = len(truth)
  angles = angles_lib.Angles(period_deg=period)
  return metrics.Predictions(
    truth,
    angles_lib.wrap(np.atleast_2d(np.asarray(answer, np.float64)), period),
    np.arange(n) if example is None else example,
    np.zeros(n, int) if label is None else label,
    angles,
  )


def noisy(seed, n=40, num_angles=12, sd=20.0, period=360.0):
  rng = np.random.default_rng(seed)
  truth = rng.uniform(-180, 180, (n, num_angles))
  return predictions(
    truth,
    truth + rng.normal(0, sd, truth.shape),
    period,
    label=rng.integers(0, 3, n),
  )


@pytest.mark.parametrize(
  "truth, answer, period, error",
  [
    (359, 1, 360, 2),
    (1, 359, 360, 2),
    (-179, 179, 360, 2),
    (10, 190, 360, 180),
    (10, 190, 180, 0),
    (0, 90, 180, 90),
    (89, 1, 90, 2),
    (725, 5, 360, 0),
    (0, -0.0, 360, 0),
  ],
)
def test_the_error_is_the_short_way_around(truth, answer, period, error):
  p = predictions(truth, answer, period)
  np.testing.assert_allclose(p.error_deg, [[error]], atol=1e-9)
  assert angular.compute(p)["mae_deg"] == pytest.approx(error, abs=1e-9)


def test_known_errors_give_known_metrics():
  errors = [0, 1, 2, 5, 10, 15, 30, 85, 120, 175]
  m = angular.error_metrics(np.array(errors), 360)
  assert m["mae_deg"] == pytest.approx(44.3)
  assert m["median_deg"] == pytest.approx(12.5)
  assert m["rmse_deg"] == pytest.approx(math.sqrt(np.mean(np.square(errors))))
  # Nine of ten lie at or below 120: all from there to 175 does as well.
  assert m["p90_deg"] == pytest.approx((120 + 175) / 2)
  assert m["p95_deg"] == 175
  assert [m[f"acc_at_{t}"] for t in (1, 2, 5, 10, 15, 30)] == [
    0.2,
    0.3,
    0.4,
    0.5,
    0.6,
    0.7,
  ]
  assert m["auc_at_2"] == pytest.approx((1 + 0.5) / 10)
  assert m["auc_at_10"] == pytest.approx((1 + 0.9 + 0.8 + 0.5) / 10)
  assert (m["share_near_90"], m["share_near_180"]) == (0.1, 0.1)
  assert m["share_over_90"] == 0.2
  forgiven = [0, 1, 2, 5, 10, 15, 30, 5, 30, 5]
  assert m["mae_mod_90_deg"] == pytest.approx(np.mean(forgiven))


@given(st.lists(st.floats(0, 180), min_size=1, max_size=30))
@settings(deadline=None, max_examples=50)
def test_auc_is_the_area_under_the_accuracy_curve(errors):
  errors = np.array(errors)
  m = angular.error_metrics(errors, 360)
  for t in angular.AUC_DEG:
    knots = np.sort(np.clip(np.concatenate([[0, t], errors]), 0, t))
    middle = (knots[1:] + knots[:-1]) / 2
    share = (errors[None, :] <= middle[:, None]).mean(1)
    area = (share * np.diff(knots)).sum() / t
    assert m[f"auc_at_{t}"] == pytest.approx(area, abs=1e-9)


def test_accuracy_does_not_hang_on_float32_rounding():
  truth = np.arange(-180.0, 180.0, 20.0)
  radians = np.radians(truth + 5).astype(np.float32)
  p = predictions(truth, np.degrees(radians.astype(np.float64)))
  m = angular.compute(p)
  assert (m["acc_at_5"], m["acc_at_2"]) == (1, 0)


@given(
  st.integers(0, 1000),
  st.floats(-1000, 1000),
  st.sampled_from(PERIODS),
)
@settings(deadline=None, max_examples=40)
def test_turning_truth_and_answer_together_changes_nothing(seed, turn, period):
  p = noisy(seed, period=period)
  q = predictions(p.true_deg + turn, p.predicted_deg + turn, period)
  before, after = angular.compute(p), angular.compute(q)
  assert before.keys() == after.keys()
  for name in before:
    assert after[name] == pytest.approx(before[name], abs=1e-6), name


@given(st.integers(0, 1000), st.sampled_from(PERIODS))
@settings(deadline=None, max_examples=20)
def test_whole_periods_change_nothing(seed, period):
  p = noisy(seed, period=period)
  turns = np.random.default_rng(seed).integers(-3, 4, p.true_deg.shape)
  q = predictions(p.true_deg + turns * period, p.predicted_deg, period)
  before, after = angular.compute(p), angular.compute(q)
  for name in before:
    assert after[name] == pytest.approx(before[name], abs=1e-6), name


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("constant", (-180.0, 0.0, 33.3))
def test_every_constant_answer_is_at_chance(period, constant):
  level = angular.chance(angles_lib.Angles(period_deg=period))
  assert level["mae_deg"] == pytest.approx(period / 4)
  assert level["median_deg"] == pytest.approx(period / 4)
  assert level["rmse_deg"] == pytest.approx(period / 2 / math.sqrt(3), abs=1e-4)
  assert level["acc_at_10"] == pytest.approx(20 / period)
  assert level["share_near_90"] == pytest.approx(1 / 9, abs=1e-3)
  assert level["share_near_180"] == pytest.approx(1 / 18, abs=1e-3)
  assert level["share_over_90"] == pytest.approx(0.5, abs=1e-3)
  assert level["mae_mod_90_deg"] == pytest.approx(period / 16)
  truth = angles_lib.Angles(period_deg=period).evaluation_deg(
    np.arange(200), 36
  )
  m = angular.compute(
    predictions(truth, np.full(truth.shape, constant), period)
  )
  for name in ("mae_deg", "median_deg", "rmse_deg", "p95_deg", "acc_at_10"):
    assert m[name] == pytest.approx(level[name], rel=0.02), name


def test_chance_of_a_range_and_of_a_grid():
  narrow = angular.chance(angles_lib.Angles(range_deg=(-30, 30)))
  assert narrow["mae_deg"] == pytest.approx(15)
  assert narrow["acc_at_10"] == pytest.approx(1 / 3)
  shifted = angular.chance(angles_lib.Angles(range_deg=(150, 210)))
  assert shifted["mae_deg"] == pytest.approx(15)
  four = angular.chance(
    angles_lib.Angles(distribution="values", values_deg=(0, 90, 180, 270))
  )
  assert (four["mae_deg"], four["acc_at_1"]) == (90, 0.25)
  uneven = angular.chance(
    angles_lib.Angles(distribution="values", values_deg=(0, 10, 20, 170))
  )
  assert uneven["mae_deg"] == pytest.approx((10 + 0 + 10 + 160) / 4)


def test_chance_names_are_metric_names():
  assert (
    angular.chance(angles_lib.Angles()).keys()
    <= angular.compute(noisy(0)).keys()
  )


@given(st.integers(0, 1000), st.integers(3, 25))
@settings(deadline=None, max_examples=30)
def test_correlation_t_equals_the_sum_over_pairs(seed, n):
  rng = np.random.default_rng(seed)
  a = rng.uniform(-np.pi, np.pi, n)
  b = a + rng.normal(0, 1, n)
  i, j = np.triu_indices(n, 1)
  sine_a, sine_b = np.sin(a[i] - a[j]), np.sin(b[i] - b[j])
  slow = (sine_a * sine_b).sum() / math.sqrt(
    (sine_a**2).sum() * (sine_b**2).sum()
  )
  assert angular.correlation_t(a, b) == pytest.approx(slow, abs=1e-9)


def test_correlations_of_a_constant_are_zero():
  a = np.random.default_rng(0).uniform(-3, 3, 100)
  for f in (angular.correlation_js, angular.correlation_t):
    assert f(a, np.full(100, 1.234)) == 0
    assert f(a, a) == pytest.approx(1)


def test_only_correlation_t_is_stable_for_uniform_angles():
  truth = angles_lib.Angles().evaluation_deg(np.arange(50), 36)
  rng = np.random.default_rng(0)
  stable, unstable = [], []
  for offset in range(0, 360, 15):
    noise = rng.normal(0, 5, truth.shape)
    m = angular.compute(predictions(truth, truth + offset + noise))
    stable.append(m["correlation_t"])
    unstable.append(m["correlation_js"])
  assert min(stable) > 0.98
  assert np.ptp(unstable) > 0.5


def test_correlation_js_on_concentrated_angles_is_pearsons():
  rng = np.random.default_rng(1)
  a = rng.normal(1, 0.02, 2000)
  b = 0.6 * (a - 1) + rng.normal(2, 0.02, 2000)
  assert angular.correlation_js(a, b) == pytest.approx(
    np.corrcoef(a, b)[0, 1], abs=1e-3
  )


@pytest.mark.parametrize("period", PERIODS)
def test_half_a_bin_shows_as_bias(period):
  """argmax over K bins has the floor P/4K; half a bin off shows as bias."""
  rng = np.random.default_rng(2)
  truth = rng.uniform(-180, 180, (200, 36))
  width = period / 90
  floor = np.round(truth / width) * width
  m = angular.compute(predictions(truth, floor, period))
  assert m["mae_deg"] == pytest.approx(width / 4, rel=0.03)
  assert abs(m["bias_deg"]) < 0.03 * width
  m = angular.compute(predictions(truth, floor + width / 2, period))
  assert m["bias_deg"] == pytest.approx(width / 2, rel=0.03)
  assert m["bias_median_deg"] == pytest.approx(width / 2, rel=0.05)


def test_bias_is_a_circular_average():
  """Residuals of 170 and -170, whose linear mean is 0, as wrong as can be."""
  truth = np.zeros((1, 101))
  answer = np.where(np.arange(101) % 2, 170.0, -170.0)[None]
  m = angular.compute(predictions(truth, answer))
  assert abs(m["bias_deg"]) > 179
  assert abs(m["bias_median_deg"]) == pytest.approx(170)
  flips = np.concatenate([np.full(70, 4.0), np.full(31, 180.0)])[None]
  assert angular.compute(predictions(truth, flips))[
    "bias_median_deg"
  ] == pytest.approx(4)


@pytest.mark.parametrize("period", PERIODS)
def test_circular_sd_of_a_wrapped_normal_is_its_sigma(period):
  rng = np.random.default_rng(3)
  truth = rng.uniform(-180, 180, (400, 36))
  sigma = period / 12
  answer = truth + rng.normal(0, sigma, truth.shape)
  m = angular.compute(predictions(truth, answer, period))
  assert m["circular_sd_deg"] == pytest.approx(sigma, rel=0.03)


def test_error_by_angle():
  truth = np.arange(-180.0, 180.0, 5.0)[None] + 1.0
  error = np.where(np.abs(truth) < 15, 40.0, 3.0)
  p = predictions(truth, truth + error)
  centers, mae, median = angular.by_angle(p, 12)
  np.testing.assert_allclose(centers, np.arange(-180, 180, 30))
  assert mae[6] == pytest.approx(40) and median[6] == pytest.approx(40)
  np.testing.assert_allclose(np.delete(mae, 6), 3)
  for k, center in enumerate(centers):
    near = np.abs((truth - center + 180) % 360 - 180) < 15
    assert mae[k] == pytest.approx(error[near].mean())


def test_error_by_angle_puts_round_angles_in_the_middle_of_bins():
  truth = np.arange(0, 360, 10.0)[None]
  jitter = np.where(np.arange(36) % 2, 1e-9, -1e-9)
  _, mae, _ = angular.by_angle(predictions(truth + jitter, truth + 7), 36)
  np.testing.assert_allclose(mae, 7)
  _, mae, _ = angular.by_angle(predictions(np.zeros((1, 3)), [1, 2, 6]), 4)
  np.testing.assert_allclose(mae, [np.nan, np.nan, 3, np.nan])


def test_error_by_class():
  truth = np.zeros((3, 2))
  p = predictions(
    truth,
    [[1, 3], [10, 10], [2, 2]],
    label=np.array([7, 1, 7]),
    example=np.array([4, 5, 4]),
  )
  table = angular.by_class(p)
  assert set(table) == {1, 7}
  assert table[7]["mae_deg"] == pytest.approx(2)
  assert table[7]["num_images"] == 1
  assert table[1]["mae_deg"] == pytest.approx(10)


def test_a_wrong_shape_is_refused_not_broadcast():
  truth = np.zeros((5, 4))
  good = dict(
    true_deg=truth,
    predicted_deg=truth,
    example=np.arange(5),
    label=np.arange(5),
    angles=angles_lib.Angles(),
  )
  metrics.Predictions(**good)
  for name, value in {
    "predicted_deg": np.zeros((5, 1)),
    "example": np.arange(4),
    "label": np.zeros((5, 4)),
    "scores": {"entropy": np.zeros(5)},
    "true_deg": np.zeros(20),
  }.items():
    with pytest.raises(ValueError, match="shape"):
      metrics.Predictions(**good | {name: value})


def test_all_metrics_together_are_finite_numbers_with_known_chance():
  p = noisy(5)
  m = metrics.compute(p)
  assert all(isinstance(v, float) and math.isfinite(v) for v in m.values())
  rank = np.random.default_rng(0).uniform(size=p.true_deg.shape)
  names = (
    "log_density",
    "crps_deg",
    "energy_score",
    "hpd_rank",
    "entropy",
    "hpd90_deg",
    "resultant",
  )
  scores = {k: rank for k in names} | {f"recalibrated_{k}": rank for k in names}
  full = metrics.compute(
    metrics.Predictions(
      p.true_deg, p.predicted_deg, p.example, p.label, p.angles, scores
    )
  )
  assert metrics.chance(p.angles).keys() <= full.keys()
  assert m.items() <= full.items()


def test_rho_t_approaches_its_population_value():
  """For b = a + von Mises noise, a uniform: rho_T = (E cos noise)^2."""
  rng = np.random.default_rng(4)
  a = rng.uniform(-np.pi, np.pi, 200_000)
  b = a + rng.vonmises(0, 2, a.size)
  ratio = [
    scipy.integrate.quad(
      lambda t, w=w: w(t) * math.exp(2 * math.cos(t)), 0, np.pi
    )[0]
    for w in (math.cos, lambda t: 1.0)
  ]
  expected = (ratio[0] / ratio[1]) ** 2
  assert angular.correlation_t(a, b) == pytest.approx(expected, abs=0.01)


def test_percentiles_of_few_possible_errors_are_possible_errors():
  four = angles_lib.Angles("values", values_deg=(0.0, 90.0, 180.0, 270.0))
  level = angular.chance(four)
  # Wherever the answer, one truth in four is a half turn away: more than 10 %.
  assert (level["p90_deg"], level["p95_deg"]) == (180, 180)
  assert (level["median_deg"], level["mae_deg"]) == (90, 90)
  for step in (20.0, 45.0):
    grid = angles_lib.Angles("grid", step_deg=step)
    errors = np.abs(np.arange(-180, 180, step))
    wanted = np.sort(errors)[math.ceil(0.95 * len(errors)) - 1]
    assert angular.chance(grid)["p95_deg"] == wanted


def test_where_errors_cancel_no_direction_is_stated():
  """R = 0: its logarithm gave a standard deviation of 426 degrees."""
  truth = np.arange(0, 360, 10.0)[None]
  turned = np.resize([0.0, 90.0, 180.0, 270.0], truth.shape)
  m = angular.compute(predictions(truth, truth + turned))
  assert m["mae_deg"] == 90
  assert not {"bias_deg", "bias_median_deg", "circular_sd_deg"} & m.keys()
  # Two errors of 0 and 90: all of that is defined.
  m = angular.compute(predictions([[10.0, 50.0]], [[10.0, 140.0]]))
  assert m["bias_deg"] == pytest.approx(45)
  assert m["bias_median_deg"] == pytest.approx(45)
  sd = math.degrees(math.sqrt(-2 * math.log(math.sqrt(0.5))))
  assert m["circular_sd_deg"] == pytest.approx(sd)


def test_by_angle_gives_every_bin_of_a_half_step_grid_the_same():
  truth = np.arange(-16, 16) * 5.625 * 2  # a quarter of 45 degrees each
  error = np.linspace(0, 1, 32)
  p = predictions(truth[None], (truth + error)[None])
  _, mae, _ = angular.by_angle(p, 8)
  # Bins are [c - 22.5, c + 22.5): four angles each.
  groups = np.roll(error, 2).reshape(8, 4)
  np.testing.assert_allclose(np.sort(mae), np.sort(groups.mean(-1)), atol=1e-9)
