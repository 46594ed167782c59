"""Recalibration: simulated residuals, known temperatures, round trips."""

import dataclasses
import functools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats

from rotjax import angles, errors
from rotjax.evaluation import calibration, density
from rotjax.heads import (
  bins,
  bits,
  fourier,
  mixture,
  shifted,
  unimodal,
  vector,
  wrapped,
)
from rotjax.metrics import probabilistic

VONMISES = unimodal.VonMises()


CIRCLE = angles.Angles()


def fit(head, outputs, theta):
  """To one pass of the network over each picture."""
  theta = jnp.asarray(theta, jnp.float32)
  return calibration.fit(
    head,
    CIRCLE,
    predicted_theta=jax.jit(head.decode)(outputs),
    outputs=outputs[:, None],
    theta=theta,
  )


@functools.partial(jax.jit, static_argnums=1)
def apply(fitted, head, outputs, theta):
  return calibration.apply(
    fitted,
    head,
    CIRCLE,
    predicted_theta=head.decode(outputs),
    outputs=outputs[:, None],
    theta=theta,
  )


def answers(kappa, m=6000, seed=0):
  """Truth and a von Mises answer around it, `[m]` radians each."""
  rng = np.random.default_rng(seed)
  theta = rng.uniform(-np.pi, np.pi, m)
  return theta, angles.wrap(theta + rng.vonmises(0, kappa, m))


def as_vector(mean, length=1.0):
  return jnp.asarray(
    np.stack([np.cos(mean), np.sin(mean)], -1) * length, jnp.float32
  )


@pytest.mark.parametrize("kappa", (0.3, 2.0, 50.0, 5000.0, 2e5))
def test_simulated_residuals_give_back_kappa(kappa):
  theta, answer = answers(kappa, 20000)
  fitted = calibration.fit_vonmises(answer - theta)
  assert fitted == pytest.approx(kappa, rel=0.06)


@pytest.mark.parametrize("kappa", (0.3, 50.0, 5000.0))
def test_kappa_maximises_the_penalised_likelihood(kappa):
  theta, answer = answers(kappa, 500, seed=1)
  residual = answer - theta
  slow = scipy.optimize.minimize_scalar(
    lambda k: (
      math.log1p(math.exp(k))
      - scipy.stats.vonmises.logpdf(residual, math.exp(k)).sum()
    ),
    bounds=(-5, 12),
    method="bounded",
    options={"xatol": 1e-9},
  )
  assert calibration.fit_vonmises(residual) == pytest.approx(
    math.exp(slow.x), rel=1e-5
  )


def test_kappa_at_its_ends():
  assert calibration.fit_vonmises(np.zeros(10)) == calibration.MAX_KAPPA
  assert calibration.fit_vonmises(np.full(10, np.pi)) == 0
  quarters = np.array([0, np.pi / 2, np.pi, -np.pi / 2])
  assert calibration.fit_vonmises(quarters) == pytest.approx(0, abs=1e-6)
  # Residuals come wrapped or not.
  residual = np.random.default_rng(0).normal(0, 0.2, 100)
  assert calibration.fit_vonmises(residual + 2 * np.pi) == pytest.approx(
    calibration.fit_vonmises(residual)
  )


def test_a_head_without_density_gets_a_von_mises():
  theta, answer = answers(40.0)
  head = vector.Vector()
  fitted = fit(head, as_vector(answer), theta)
  assert fitted.kind == "vonmises"
  assert fitted.value == pytest.approx(40, rel=0.05)
  at_truth, table = apply(
    fitted, head, as_vector(answer), jnp.asarray(theta, jnp.float32)
  )
  assert table.shape == (6000, 720)
  exact = scipy.stats.vonmises.logpdf(theta, fitted.value, loc=answer)
  np.testing.assert_allclose(at_truth, exact, atol=2e-4)
  total = np.exp(np.asarray(table[:50], np.float64)).mean(-1) * 2 * np.pi
  np.testing.assert_allclose(total, 1, atol=1e-4)


@pytest.mark.parametrize("kappa", (0.0, 1e-4, 1e4, 1e6))
def test_the_von_mises_is_finite_at_all_concentrations(kappa):
  theta = jnp.asarray([0.0, 0.001, 3.1, -math.pi], jnp.float32)
  at_truth, table = apply(
    calibration.Calibration("vonmises", kappa),
    vector.Vector(),
    as_vector(np.zeros(4)),
    theta,
  )
  exact = scipy.stats.vonmises.logpdf(np.asarray(theta, np.float64), kappa)
  if kappa == 0:
    exact = np.full(4, -math.log(2 * math.pi))
  np.testing.assert_allclose(at_truth, exact, rtol=1e-5, atol=1e-5)
  assert np.isfinite(table).all()


@pytest.mark.parametrize("claimed", (5.0, 20.0, 400.0, 8000.0))
def test_tempering_corrects_the_concentration(claimed):
  """vM(kappa)^tau is vM(tau kappa), so tau is true over claimed kappa."""
  theta, answer = answers(20.0)
  outputs = as_vector(answer, claimed)
  fitted = fit(VONMISES, outputs, theta)
  assert fitted.kind == "temper"
  assert fitted.value == pytest.approx(20 / claimed, rel=0.06)
  truth = jnp.asarray(theta, jnp.float32)
  after, _ = apply(fitted, VONMISES, outputs, truth)
  exact = scipy.stats.vonmises.logpdf(theta, fitted.value * claimed, loc=answer)
  np.testing.assert_allclose(after, exact, rtol=1e-3, atol=1e-3)


def test_overconfidence_is_tempered_on_fresh_data_too():
  """A histogram head, twice too sure: tau < 1, better NLL and coverage."""
  head = bins.Bins(num_bins=72)
  directions = 2 * np.pi * np.arange(72) / 72  # the bins' centres

  def logits(answer):
    return jnp.asarray(40 * np.cos(directions - answer[:, None]), jnp.float32)

  theta, answer = answers(10.0)
  fitted = fit(head, logits(answer), theta)
  assert fitted.value == pytest.approx(0.25, rel=0.1)
  theta, answer = answers(10.0, seed=9)
  truth = jnp.asarray(theta, jnp.float32)
  before, raw = apply(
    calibration.Calibration("temper", 1.0), head, logits(answer), truth
  )
  np.testing.assert_allclose(
    before, jax.jit(head.log_density)(logits(answer), truth), atol=1e-4
  )
  after, table = apply(fitted, head, logits(answer), truth)
  assert after.mean() > before.mean() + 0.2
  uniform = jnp.asarray(angles.hashed_uniform(np.arange(6000)), jnp.float32)
  rank = jax.jit(probabilistic.density_scores)

  def covered(table):
    return float((rank(table, truth, uniform)["hpd_rank"] <= 0.8).mean())

  assert covered(raw) < 0.6
  assert covered(table) == pytest.approx(0.8, abs=0.03)


def test_tau_maximises_the_likelihood():
  rng = np.random.default_rng(2)
  head = bins.Bins(num_bins=36)
  outputs = jnp.asarray(2 * rng.normal(size=(400, 36)), jnp.float32)
  theta = jnp.asarray(rng.uniform(-np.pi, np.pi, 400), jnp.float32)
  # Pull the truths half of the time to the likeliest bin.
  theta = jnp.where(jnp.arange(400) % 2 == 0, head.decode(outputs), theta)
  ring = probabilistic.grid()
  table = np.asarray(probabilistic.tabulate(head, outputs, ring), np.float64)
  at_truth = np.asarray(head.log_density(outputs, theta), np.float64)

  def nll(log_tau):
    tau = math.exp(log_tau)
    log_z = np.log(np.exp(tau * table).mean(-1) * 2 * np.pi)
    prior = 0.5 * log_tau**2 / len(at_truth)
    return (log_z - tau * at_truth).mean() + prior

  slow = scipy.optimize.minimize_scalar(
    nll, bounds=(-3, 3), method="bounded", options={"xatol": 1e-8}
  )
  fitted = fit(head, outputs, theta)
  assert fitted.value == pytest.approx(math.exp(slow.x), rel=1e-3)
  after, _ = apply(fitted, head, outputs, theta)
  prior = 0.5 * slow.x**2 / 400
  assert -float(after.mean()) == pytest.approx(slow.fun - prior, abs=1e-5)
  assert slow.fun < nll(0.0)


def test_a_useless_or_perfect_density_stops_at_the_bounds():
  theta, answer = answers(0.0)
  fitted = fit(VONMISES, as_vector(answer + np.pi, 50.0), answer)
  assert fitted.value == pytest.approx(calibration.TAU_RANGE[0])
  assert fitted.at_bound
  fitted = fit(VONMISES, as_vector(theta, 0.01), theta)
  assert fitted.value == pytest.approx(calibration.TAU_RANGE[1])


@dataclasses.dataclass(frozen=True)
class HalfCircle:
  """A density that is zero on a part of the circle; outputs: mean, slope."""

  num_outputs: int = 2

  def decode(self, outputs):
    return outputs[..., 0]

  def log_density(self, outputs, theta):
    d = angles.difference(theta, outputs[..., 0])
    slope = outputs[..., 1]
    log_z = jnp.log(2 * jnp.sinh(slope) / slope)
    return jnp.where(jnp.abs(d) < 1, -slope * d - log_z, -jnp.inf)

  def temper(self, outputs, tau):
    return jnp.stack([outputs[..., 0], tau * outputs[..., 1]], axis=-1)


def test_zero_density_is_not_nan_and_a_head_tempers_as_it_knows():
  rng = np.random.default_rng(3)
  mean = rng.uniform(-1, 1, 4000)
  # Density exp(-D) on [-1, 1], by its inverse; two are where it is zero.
  low, high = math.exp(-1), math.exp(1)
  theta = mean - np.log(rng.uniform(low, high, 4000))
  outputs = jnp.asarray(np.stack([mean, np.full(4000, 0.5)], -1), jnp.float32)
  fitted = fit(HalfCircle(), outputs, theta)
  assert fitted.value == pytest.approx(2, rel=0.1)
  theta[:2] = mean[:2] + 2
  truth = jnp.asarray(theta, jnp.float32)
  assert math.isfinite(fit(HalfCircle(), outputs, theta).value)
  at_truth, table = apply(fitted, HalfCircle(), outputs, truth)
  assert np.isfinite(at_truth).all() and not np.isnan(table).any()
  total = np.exp(np.asarray(table[:500], np.float64)).mean(-1) * 2 * np.pi
  np.testing.assert_allclose(total, 1, atol=6e-3)


def test_it_survives_json_and_is_an_argument_of_jit():
  theta, answer = answers(20.0, 64)
  truth = jnp.asarray(theta, jnp.float32)
  traces = []

  @jax.jit
  def run(fitted, outputs, truth):
    traces.append(fitted.kind)
    return apply(fitted, VONMISES, outputs, truth)

  for tau in (0.5, 2.0):
    fitted = calibration.Calibration("temper", tau)
    stored = json.loads(json.dumps(fitted.to_dict()))
    assert calibration.Calibration.from_dict(stored) == fitted
    at_truth, _ = run(fitted, as_vector(answer, 9.0), truth)
    exact = scipy.stats.vonmises.logpdf(theta, 9 * tau, loc=answer)
    np.testing.assert_allclose(at_truth, exact, rtol=1e-4, atol=1e-4)
  assert traces == ["temper"]  # a new value is no new program
  with pytest.raises(errors.UserError, match="temper"):
    calibration.Calibration.from_dict({"kind": "tempre", "value": 1})


# What follows: densities finer than half a degree, the first ring's step.


def angles_of(rng, m, four_way=False):
  quarters = rng.integers(-2, 2, m) * np.pi / 2
  return quarters if four_way else rng.uniform(-np.pi, np.pi, m)


def honest_vonmises(kappa, rng, m):
  theta = angles_of(rng, m)
  mean = theta - rng.vonmises(0, kappa, m)
  return unimodal.VonMises(), as_vector(mean, kappa), theta


def honest_softplus(kappa, rng, m):
  theta = angles_of(rng, m)
  mean = theta - rng.vonmises(0, kappa, m)
  raw = np.full((m, 1), kappa + math.log(-math.expm1(-kappa)), np.float32)
  outputs = jnp.concatenate([as_vector(mean), jnp.asarray(raw)], -1)
  return unimodal.VonMises("softplus"), outputs, theta


def honest_cauchy(gamma, rng, m):
  theta = angles_of(rng, m)
  mean = theta - gamma * np.tan(np.pi * (rng.uniform(size=m) - 0.5))
  return wrapped.WrappedCauchy(), as_vector(mean, 1 / gamma), theta


def honest_mixture(kappa, rng, m):
  """Two opposite directions, with odds of 3 to 1."""
  theta = angles_of(rng, m)
  off = np.where(rng.uniform(size=m) < 0.25, np.pi, 0)
  mean = theta - rng.vonmises(0, kappa, m) - off
  parts = [
    np.stack([np.full(m, w), k * np.cos(mean + t), k * np.sin(mean + t)], -1)
    for w, k, t in ((math.log(3), kappa, 0), (0, kappa, np.pi))
  ]
  outputs = jnp.asarray(np.concatenate(parts, -1), jnp.float32)
  return mixture.Mixture(num_components=2), outputs, theta


def honest_fourier(kappa, rng, m):
  theta = angles_of(rng, m)
  mean = theta - rng.vonmises(0, kappa, m)
  outputs = np.zeros((m, 16), np.float32)
  outputs[:, :2] = np.asarray(as_vector(mean, kappa))
  return fourier.Fourier(), jnp.asarray(outputs), theta


def honest_bins(num_bins, rng, m):
  """Truths drawn from what a smooth softmax says, evenly in each bin."""
  directions = 2 * np.pi * np.arange(num_bins) / num_bins
  mean = angles_of(rng, m)
  logits = 30 * np.cos(directions - mean[:, None])
  p = np.cumsum(scipy.special.softmax(logits, -1), -1)
  bin_ = (p < rng.uniform(size=(m, 1))).sum(-1)
  theta = (bin_ + rng.uniform(-0.5, 0.5, m)) * 2 * np.pi / num_bins
  return bins.Bins(num_bins), jnp.asarray(logits, jnp.float32), theta


def honest_bits(num_bits, rng, m):
  """Each bit right as often as its log-odds say."""
  log_odds = rng.choice([-4.0, -1.0, 0.5, 3.0], (m, num_bits))
  drawn = rng.uniform(size=log_odds.shape) < scipy.special.expit(log_odds)
  number = drawn @ (1 << np.arange(num_bits)[::-1])
  theta = (number + rng.uniform(-0.5, 0.5, m)) * 2 * np.pi / 2**num_bits
  outputs = jnp.asarray(log_odds, jnp.float32)
  return bits.Bits(num_bits, "binary"), outputs, theta


def honest_shifted(num_bins, rng, m):
  logits = 2 * rng.normal(size=(m, 3, num_bins))
  net = rng.integers(0, 3, m)
  p = np.cumsum(scipy.special.softmax(logits[np.arange(m), net], -1), -1)
  bin_ = (p < rng.uniform(size=(m, 1))).sum(-1)
  place = bin_ + rng.uniform(-0.5, 0.5, m) + net / 3
  head = shifted.Shifted(num_nets=3, num_bins=num_bins)
  outputs = jnp.asarray(logits.reshape(m, -1), jnp.float32)
  return head, outputs, place * 2 * np.pi / num_bins


HONEST = [
  *((honest_vonmises, kappa) for kappa in (10.0, 3e3, 1e5, 1e6)),
  *((honest_softplus, kappa) for kappa in (1e5,)),
  *((honest_cauchy, gamma) for gamma in (1e-3,)),
  *((honest_mixture, kappa) for kappa in (1e5,)),
  *((honest_fourier, kappa) for kappa in (5e3,)),
  *((honest_bins, num_bins) for num_bins in (77, 360)),
  pytest.param(honest_bins, 3600, marks=pytest.mark.slow),
  (honest_bits, 8),
  *(
    pytest.param(honest_bits, num_bits, marks=pytest.mark.slow)
    for num_bits in (10, 12)
  ),
  *((honest_shifted, num_bins) for num_bins in (50,)),
]


@pytest.mark.parametrize(
  "make, size", HONEST, ids=lambda x: getattr(x, "__name__", str(x))
)
def test_a_calibrated_density_stays_as_it_is(make, size):
  """However fine: tau is 1, the NLL the raw one, regions hold their share."""
  m = 1500
  head, outputs, theta = make(size, np.random.default_rng(0), m)
  truth = jnp.asarray(angles.wrap(theta), jnp.float32)
  fitted = fit(head, outputs, truth)
  raw = np.asarray(jax.jit(head.log_density)(outputs, truth), np.float64)
  after, ring = apply(fitted, head, outputs, truth)
  # Of a scale, log tau is known to sqrt(2/m) = .037; of a bit to less.
  assert abs(math.log(fitted.value)) < 0.13 and not fitted.at_bound
  assert -after.mean() == pytest.approx(-raw.mean(), abs=0.01)
  assert -after.mean() <= -raw.mean() + 1e-4
  total = np.exp(np.asarray(ring[:100], np.float64)).mean(-1) * 2 * np.pi
  assert np.median(total) == pytest.approx(1, abs=0.02)
  uniform = jnp.asarray(angles.hashed_uniform(np.arange(m)), jnp.float32)
  rank = jax.jit(probabilistic.density_scores)(ring, truth, uniform)
  for level in (0.5, 0.9):
    covered = float((rank["hpd_rank"] <= level).mean())
    assert covered == pytest.approx(level, abs=0.045)


def test_four_way_angles_always_right_are_no_miracle(caplog):
  """The likelihood grows to the bound, which is said; it is no density of a
  point: log of the von Mises at its mode, 100 times as concentrated."""
  theta = angles_of(np.random.default_rng(0), 400, four_way=True)
  outputs = as_vector(theta, 1e5)
  fitted = fit(VONMISES, outputs, theta)
  assert fitted.value == pytest.approx(100) and fitted.at_bound
  assert "ended at its bound, tau = 100" in caplog.text
  assert fitted.to_dict()["at_bound"] is True
  after, _ = apply(fitted, VONMISES, outputs, jnp.asarray(theta, jnp.float32))
  mode = scipy.stats.vonmises.logpdf(0, 1e7)
  assert after.mean() == pytest.approx(mode, abs=0.05)


@pytest.mark.parametrize("claimed", (1e4, 1e7))
def test_overconfidence_finer_than_the_ring_is_mended(claimed):
  rng = np.random.default_rng(1)
  theta = angles_of(rng, 3000)
  outputs = as_vector(theta - rng.vonmises(0, 1e5, 3000), claimed)
  fitted = fit(VONMISES, outputs, theta)
  assert fitted.value * claimed == pytest.approx(1e5, rel=0.08)
  # The ring holds the sharper of the two densities, the raw and the mended.
  assert fitted.num_points >= 2880


def test_the_densities_of_four_passes_are_averaged_and_turned_back():
  """In float64, from the four answers themselves, on a circle of 180."""
  circle = angles.Angles(period_deg=180.0, range_deg=(-90.0, 90.0))
  rng = np.random.default_rng(2)
  mean = rng.uniform(-np.pi, np.pi, (6, 4))
  outputs = as_vector(mean, 7.0)
  theta = rng.uniform(-np.pi, np.pi, 6)
  found = density.at(VONMISES, circle, outputs, jnp.asarray(theta, jnp.float32))
  # Half a turn of this circle for each quarter turn of the picture.
  parts = scipy.stats.vonmises.pdf(
    theta[:, None] + np.pi * np.arange(4) - mean, 7.0
  )
  np.testing.assert_allclose(found, np.log(parts.mean(-1)), atol=1e-4)
  table = density.tabulate(VONMISES, circle, outputs, 720)
  ring = np.asarray(probabilistic.grid(), np.float64)
  parts = scipy.stats.vonmises.pdf(
    ring[:, None] + np.pi * np.arange(4) - mean[:, None], 7.0
  )
  np.testing.assert_allclose(table, np.log(parts.mean(-1)), atol=1e-4)


@pytest.mark.parametrize("num_points", (720, 1024, 1440, 8192, 740))
def test_cells_hold_what_the_finer_ring_holds(num_points):
  """Against the integral of the staircase, in float64."""
  rng = np.random.default_rng(3)
  mass = rng.dirichlet(np.full(num_points, 0.3))
  log_density = jnp.asarray(
    np.log(mass * num_points / (2 * np.pi) + 1e-12), jnp.float32
  )
  cells = np.asarray(probabilistic.cell_means(log_density, 720), np.float64)
  edges = np.linspace(0, 1, num_points + 1)
  whole = np.interp(
    np.linspace(0, 1, 721), edges, np.concatenate([[0], np.cumsum(mass)])
  )
  np.testing.assert_allclose(
    np.exp(cells) * 2 * np.pi / 720, np.diff(whole), rtol=1e-3, atol=1e-8
  )


@pytest.mark.parametrize("kappa", (2.0, 10.0, 1000.0))
@pytest.mark.parametrize("n", (4, 10, 25))
def test_few_residuals_do_not_make_it_too_sure(kappa, n):
  """Simulated; the maximum likelihood is n/(n - 2) times too high."""
  rng = np.random.default_rng(5)
  found = [
    calibration.fit_vonmises(rng.vonmises(0, kappa, n)) for _ in range(400)
  ]
  # At n = 4 the estimate's own spread is as large as itself.
  assert np.mean(found) < 1.35 * kappa
  assert np.median(found) < kappa


def test_one_view_moves_tau_little_and_no_residual_says_nothing():
  assert calibration.fit_vonmises(np.array([0.01])) == 0
  one = fit(VONMISES, as_vector(np.zeros(1), 50.0), np.zeros(1))
  assert 1 < one.value < 3
