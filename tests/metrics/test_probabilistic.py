"""Scores of a density against float64 brute force, closed forms, simulation."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from rotjax import angles as angles_lib
from rotjax import metrics
from rotjax.heads import bins, unimodal
from rotjax.metrics import probabilistic

scores_of = jax.jit(probabilistic.density_scores)
RING = np.asarray(probabilistic.grid(), np.float64)
FINE = -np.pi + (np.arange(3000) + 0.5) * (2 * np.pi / 3000)


def arc(d):
  return np.abs(angles_lib.wrap(d))


def chord(d):
  return 2 * np.abs(np.sin(d / 2))


@functools.cache
def all_pairs(kernel):
  return kernel(FINE[:, None] - FINE[None, :])


def slow_score(density, y, kernel):
  """E k(X - y) - E k(X - X')/2 by sums over all pairs of a fine ring."""
  mass = density(FINE)
  mass = mass / mass.sum()
  spread = mass @ all_pairs(kernel) @ mass
  return (mass * kernel(FINE - y)).sum() - spread / 2


def bin_of(theta, num_bins):
  """Bin k is centred on 2 pi k / K."""
  return np.round(theta / (2 * np.pi) * num_bins).astype(int) % num_bins


def mixture(parts):
  """Density of a mixture of von Mises (weight, mean, kappa), float64."""
  return lambda t: sum(
    w * scipy.stats.vonmises.pdf(t, k, loc=m) for w, m, k in parts
  )


def score(density, y, uniform=0.5):
  with np.errstate(divide="ignore"):
    table = np.log(density(RING))
  result = scores_of(
    jnp.asarray(table, jnp.float32), jnp.float32(y), jnp.float32(uniform)
  )
  return {k: float(v) for k, v in result.items()}


DENSITIES = {
  "nearly uniform": ([(1, 0.3, 0.05)], 1e-5),
  "broad": ([(1, 0.3, 2)], 1e-5),
  "sharp": ([(1, -3.1, 1000)], 1e-3),
  "sharpest": ([(1, 0.3, 1e4)], 1e-2),
  "flip": ([(0.7, 1, 50), (0.3, 1 - np.pi, 50)], 1e-5),
  "three": ([(0.5, 1, 5), (0.3, 2, 80), (0.2, -2, 300)], 1e-4),
}


@pytest.mark.parametrize("name", DENSITIES)
def test_crps_and_energy_score_equal_brute_force(name):
  parts, rtol = DENSITIES[name]
  density = mixture(parts)
  sd = 1 / math.sqrt(max(k for _, _, k in parts))
  for y in (parts[0][1], parts[0][1] + 1.3 * sd, 2.5):
    fast = score(density, angles_lib.wrap(y))
    # The brute force itself is off by (spacing/sd)^2/24, .2 % at the sharpest.
    slow = slow_score(density, y, arc)
    assert fast["crps"] == pytest.approx(slow, rel=rtol), y
    slow = slow_score(density, y, chord)
    assert fast["energy_score"] == pytest.approx(slow, rel=rtol), y


def test_closed_forms():
  """Uniform: pi/2 - pi/4 wherever the truth is; certainty: the distance."""

  def uniform(t):
    return np.ones_like(t)

  for y in (-3.0, 0.0, 1.234):
    s = score(uniform, y)
    assert s["crps"] == pytest.approx(math.pi / 4, rel=1e-6)
    assert s["energy_score"] == pytest.approx(2 / math.pi, rel=1e-6)
    assert s["entropy"] == pytest.approx(math.log(2 * math.pi), rel=1e-6)
    assert s["hpd90"] == pytest.approx(0.9 * 2 * math.pi, rel=1e-5)
    assert s["resultant"] == pytest.approx(0, abs=1e-6)
  sure = mixture([(1, 0.5, 1e4)])
  s = score(sure, -2.0)
  assert s["crps"] == pytest.approx(2.5, rel=0.01)
  assert s["energy_score"] == pytest.approx(2 * math.sin(1.25), rel=0.01)
  # Exactly opposite, where both distances are as large as they get.
  s = score(mixture([(1, 0, 1e4)]), -math.pi)
  assert s["crps"] == pytest.approx(math.pi, rel=0.01)


@pytest.mark.parametrize("kappa", (0.01, 1, 30, 1e3, 1e4))
def test_entropy_width_and_resultant_of_a_von_mises(kappa):
  v = scipy.stats.vonmises(kappa)
  s = score(mixture([(1, 0.7, kappa)]), 0.7)
  assert s["entropy"] == pytest.approx(v.entropy(), abs=1e-4)
  width = v.ppf(0.95) - v.ppf(0.05)
  assert s["hpd90"] == pytest.approx(width, rel=0.01 if kappa < 5e3 else 0.03)
  resultant = scipy.special.i1e(kappa) / scipy.special.i0e(kappa)
  assert s["resultant"] == pytest.approx(resultant, abs=1e-5)


def test_the_arc_crps_is_not_strictly_proper_and_the_energy_score_is():
  """Sharp two- and four-fold mixtures score the uniform's 45 degrees."""
  uniform = mixture([(1, 0, 0)])
  folds = [
    mixture([(1 / n, 2 * np.pi * k / n, 2000) for k in range(n)])
    for n in (2, 4)
  ]
  truths = np.linspace(-3.1, 3.1, 16)
  for y in truths:
    for density in (uniform, *folds):
      assert math.degrees(score(density, y)["crps"]) == pytest.approx(
        45, abs=1e-3
      )
  # Truth uniform: the uniform forecast is best, and the chord says so.
  energy = [
    np.mean([score(d, y)["energy_score"] for y in truths])
    for d in (uniform, *folds)
  ]
  assert energy[0] + 0.01 < energy[2] and energy[2] + 0.05 < energy[1]
  # Truth two-fold: the two-fold forecast is best by far; the arc sees nothing.
  assert score(folds[0], 0)["energy_score"] < energy[0] - 0.1


def test_the_energy_score_is_least_for_the_true_density():
  rng = np.random.default_rng(0)
  truth = mixture([(0.6, 0.5, 20), (0.4, 0.5 - np.pi, 20)])
  mass = truth(RING) / truth(RING).sum()

  def expected(density):
    return float(
      (
        mass
        * np.asarray(
          scores_of(
            jnp.broadcast_to(
              jnp.asarray(np.log(density(RING)), jnp.float32), (720, 720)
            ),
            jnp.asarray(RING, jnp.float32),
            jnp.zeros(720),
          )["energy_score"]
        )
      ).sum()
    )

  best = expected(truth)
  for _ in range(10):
    weight = np.clip(0.6 + rng.normal(0, 0.2), 0.05, 0.95)
    kappa = 20 * np.exp(rng.normal(0, 0.7))
    mean = 0.5 + rng.normal(0, 0.1)
    other = mixture([(weight, mean, kappa), (1 - weight, mean - np.pi, kappa)])
    assert expected(other) > best


def test_scores_turn_with_the_ring_and_ignore_normalisation():
  rng = np.random.default_rng(1)
  table = jnp.asarray(3 * rng.normal(size=720), jnp.float32)
  theta, uniform = jnp.float32(RING[100] + 0.001), jnp.float32(0.3)
  first = scores_of(table, theta, uniform)
  for shift in (1, 250, 719):
    turned = scores_of(
      jnp.roll(table, shift) + 17,
      jnp.float32(angles_lib.wrap(float(theta) + shift * np.pi / 360)),
      uniform,
    )
    for name in first:
      np.testing.assert_allclose(turned[name], first[name], rtol=2e-4)


def test_leading_axes_and_low_precision_inputs():
  rng = np.random.default_rng(2)
  table = rng.normal(size=(2, 3, 720)).astype(np.float32)
  theta = rng.uniform(-3, 3, (2, 3)).astype(np.float32)
  uniform = rng.uniform(size=(2, 3)).astype(np.float32)
  batch = scores_of(table, theta, uniform)
  single = scores_of(table[1, 2], theta[1, 2], uniform[1, 2])
  for name, value in batch.items():
    assert value.shape == (2, 3) and value.dtype == jnp.float32
    np.testing.assert_allclose(value[1, 2], single[name], rtol=1e-5)
  low = scores_of(jnp.asarray(table, jnp.bfloat16), theta, uniform)
  np.testing.assert_allclose(low["crps"], batch["crps"], rtol=0.02)


def test_a_density_may_vanish():
  """Uniform on [-1, 1]: E|X - y| = (1 + y^2)/2, E|X - X'| = 2/3."""

  def box(t):
    return (np.abs(t) < 1) / 2.0

  for y in (0.0, 0.6):
    s = score(box, y)
    assert all(math.isfinite(v) for v in s.values())
    assert s["crps"] == pytest.approx((1 + y * y) / 2 - 1 / 3, rel=0.01)
    assert s["entropy"] == pytest.approx(math.log(2), abs=0.01)
  assert score(box, 2.0)["hpd_rank"] == pytest.approx(1)
  assert score(box, 2.0)["crps"] == pytest.approx(2 - 1 / 3, rel=0.01)


def test_crps_of_a_histogram_is_that_of_its_steps():
  """The grid treats a step as a wave; what that costs stays small."""
  rng = np.random.default_rng(3)
  logits = 3 * rng.normal(size=72)
  p = np.exp(logits) / np.exp(logits).sum()

  def steps(t):
    return p[bin_of(t, 72)]

  for y in rng.uniform(-3, 3, 5):
    assert score(steps, y)["crps"] == pytest.approx(
      slow_score(steps, y, arc), rel=5e-3
    )


def test_tabulate_is_the_heads_density_and_integrates_to_one():
  rng = np.random.default_rng(4)
  for head, outputs in (
    (unimodal.VonMises(), rng.normal(size=(2, 3, 2)) * 30),
    (bins.Bins(num_bins=36), rng.normal(size=(2, 3, 36)) * 3),
  ):
    outputs = jnp.asarray(outputs, jnp.float32)
    table = probabilistic.tabulate(head, outputs, probabilistic.grid())
    assert table.shape == (2, 3, 720)
    total = np.exp(np.asarray(table, np.float64)).mean(-1) * 2 * np.pi
    np.testing.assert_allclose(total, 1, atol=1e-4)
    for k in (0, 17, 719):
      theta = jnp.full((2, 3), RING[k], jnp.float32)
      np.testing.assert_allclose(
        table[..., k], head.log_density(outputs, theta), rtol=1e-5, atol=1e-5
      )


@pytest.mark.parametrize("num_points", (720, 1440))
def test_the_grid_gives_whole_degree_bins_equal_shares(num_points):
  ring = np.asarray(probabilistic.grid(num_points), np.float64)
  assert ring.min() > -np.pi and ring.max() < np.pi
  np.testing.assert_allclose(np.diff(ring), 2 * np.pi / num_points, rtol=1e-3)
  for num_bins in (12, 36, 72, 120, 360):
    shares = np.bincount(bin_of(ring, num_bins))
    assert (shares == num_points // num_bins).all()
  with pytest.raises(ValueError, match="even"):
    probabilistic.grid(num_points + 1)


def ranks_of(tables, truths, seed=0):
  uniform = np.random.default_rng(seed).uniform(size=len(truths))
  return np.asarray(
    scores_of(
      jnp.asarray(tables, jnp.float32),
      jnp.asarray(truths, jnp.float32),
      jnp.asarray(uniform, jnp.float32),
    )["hpd_rank"]
  )


@pytest.mark.parametrize("kappa", (0, 1, 100, 1e4))
def test_hpd_rank_of_a_calibrated_density_is_uniform(kappa):
  rng = np.random.default_rng(5)
  mean = rng.uniform(-np.pi, np.pi, 2000)
  truth = angles_lib.wrap(mean + rng.vonmises(0, kappa, 2000))
  tables = kappa * np.cos(RING - mean[:, None])
  assert scipy.stats.kstest(ranks_of(tables, truth), "uniform").pvalue > 0.01
  # Sure of itself beyond reason: too few truths in the dense region.
  if kappa:
    far = angles_lib.wrap(mean + rng.vonmises(0, kappa / 4, 2000))
    assert (ranks_of(tables, far) <= 0.5).mean() < 0.42


@pytest.mark.parametrize("num_bins", (12, 36, 360))
def test_hpd_rank_of_a_calibrated_histogram_is_uniform(num_bins):
  """Ties of equal steps, and of equal bins, are broken at random."""
  rng = np.random.default_rng(6)
  logits = np.round(2 * rng.normal(size=(2000, num_bins)))
  p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
  choice = (p.cumsum(-1) < rng.uniform(size=(2000, 1))).sum(-1)
  step = 2 * np.pi / num_bins
  truth = angles_lib.wrap((choice + rng.uniform(-0.5, 0.5, 2000)) * step)
  rank = ranks_of(logits[:, bin_of(RING, num_bins)], truth)
  assert scipy.stats.kstest(rank, "uniform").pvalue > 0.01


def predictions(scores, angles=None, error=None):
  shape = next(iter(scores.values())).shape
  error = np.zeros(shape) if error is None else error
  return metrics.Predictions(
    np.zeros(shape),
    error,
    np.arange(shape[0]),
    np.arange(shape[0]),
    angles or angles_lib.Angles(),
    scores,
  )


def test_aggregates_of_known_scores():
  rank = (np.arange(100) + 0.5).reshape(10, 10) / 100
  p = predictions(
    {
      "log_density": np.linspace(-3, 1, 100).reshape(10, 10),
      "hpd_rank": rank,
      "recalibrated_log_density": np.full((10, 10), 2.0),
      "recalibrated_hpd_rank": rank / 2,
    }
  )
  m = probabilistic.compute(p)
  assert m["nll"] == pytest.approx(1)
  assert m["nll_minus_uniform"] == pytest.approx(1 - math.log(2 * math.pi))
  assert m["recalibrated_nll"] == -2
  assert [m[f"coverage_{q}"] for q in (50, 80, 90, 95)] == [0.5, 0.8, 0.9, 0.95]
  assert m["calibration_error"] == pytest.approx(0, abs=1e-12)
  assert m["recalibrated_coverage_50"] == 1
  assert m["recalibrated_calibration_error"] == pytest.approx(0.25)
  assert "crps_deg" not in m and "aurc_deg" not in m


def test_no_density_no_metrics():
  p = metrics.Predictions(
    np.zeros((2, 2)),
    np.zeros((2, 2)),
    np.arange(2),
    np.arange(2),
    angles_lib.Angles(),
  )
  assert probabilistic.compute(p) == {}


def test_risk_coverage_by_hand_with_ties():
  error = np.array([1.0, 10.0, 3.0, 6.0])
  coverage, risk = probabilistic.risk_coverage(
    error, np.array([5.0, 1.0, 3.0, 3.0])
  )
  np.testing.assert_allclose(coverage, [0.25, 0.5, 0.75, 1])
  np.testing.assert_allclose(risk, [1, (1 + 4.5) / 2, 10 / 3, 5])
  _, flat = probabilistic.risk_coverage(error, np.full(4, 2.0))
  np.testing.assert_allclose(flat, 5)
  rng = np.random.default_rng(7)
  error = rng.exponential(size=300)
  sure = rng.permutation(300) / 100  # no ties
  _, risk = probabilistic.risk_coverage(error, sure)
  order = np.argsort(-sure)
  slow = [error[order[:k]].mean() for k in range(1, 301)]
  np.testing.assert_allclose(risk, slow)


def test_aurc_ranks_by_least_entropy():
  error = np.array([[1.0, 2.0, 3.0, 4.0]])

  def aurc(entropy):
    return probabilistic.compute(
      predictions({"entropy": np.array([entropy])}, error=error)
    )["aurc_deg"]

  assert aurc([1.0, 2, 3, 4]) == pytest.approx(np.mean([1, 1.5, 2, 2.5]))
  assert aurc([4.0, 3, 2, 1]) == pytest.approx(np.mean([4, 3.5, 3, 2.5]))
  assert aurc([0.0, 0, 0, 0]) == pytest.approx(2.5)


def test_units_of_a_symmetric_period():
  """A density on the doubled circle is one of half the width in real turns."""
  angles = angles_lib.Angles(period_deg=180)
  density = mixture([(1, 0.4, 30)])
  raw = score(density, 0.6)
  raw["log_density"] = math.log(density(0.6))
  real = probabilistic.in_degrees(
    {k: np.array([v]) for k, v in raw.items()}, angles
  )
  # The same density as a function of the real turn x = theta/2.
  x = np.linspace(-np.pi / 2, np.pi / 2, 20001)[:-1]
  step = x[1] - x[0]
  p = 2 * density(2 * x)
  assert p.sum() * step == pytest.approx(1)
  entropy = -(p * np.log(np.maximum(p, 1e-300))).sum() * step
  assert real["entropy"][0] == pytest.approx(entropy, abs=1e-4)
  assert real["log_density"][0] == pytest.approx(math.log(2 * density(0.6)))
  assert real["crps_deg"][0] == pytest.approx(math.degrees(raw["crps"]) / 2)
  assert real["hpd90_deg"][0] == pytest.approx(math.degrees(raw["hpd90"]) / 2)
  assert real["energy_score"][0] == raw["energy_score"]
  assert "crps" not in real and real["crps_deg"].dtype == np.float64


@pytest.mark.parametrize("period", (360.0, 180.0))
def test_the_uniform_density_is_at_chance(period):
  angles = angles_lib.Angles(period_deg=period)
  truth = np.linspace(-3.1, 3.1, 40)
  raw = scores_of(jnp.zeros((40, 720)), jnp.asarray(truth), jnp.zeros(40))
  raw = dict(raw) | {"log_density": np.full(40, -math.log(2 * math.pi))}
  scores = probabilistic.in_degrees(raw, angles)
  m = probabilistic.compute(
    predictions({k: v[None] for k, v in scores.items()}, angles)
  )
  level = probabilistic.chance(angles)
  for name in (
    "nll",
    "nll_minus_uniform",
    "crps_deg",
    "energy_score",
    "entropy",
    "hpd90_deg",
  ):
    assert m[name] == pytest.approx(level[name], rel=1e-4, abs=1e-6), name
    assert level["recalibrated_" + name] == level[name]
  assert level["crps_deg"] == pytest.approx(period / 8)
  assert level["aurc_deg"] == pytest.approx(period / 4)


def test_chance_on_a_range_is_the_uniform_density_on_it():
  angles = angles_lib.Angles(range_deg=(-30, 30))
  level = probabilistic.chance(angles)
  assert level["nll"] == pytest.approx(math.log(math.pi / 3))
  # E|X - X'| of two uniforms on an arc of w is w/3.
  assert level["crps_deg"] == pytest.approx(60 / 6, rel=1e-4)
  assert level["aurc_deg"] == pytest.approx(15)
