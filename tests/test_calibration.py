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
import scipy.stats

from rotjax import angles, calibration, errors
from rotjax.heads import bins, unimodal, vector
from rotjax.metrics import probabilistic

VONMISES = unimodal.VonMises()


def answered(head, outputs, theta):
  """What a head says of outputs: answer, truth, density there, on the ring."""
  theta = jnp.asarray(theta, jnp.float32)
  answer = head.decode(outputs)
  at = head.log_density(outputs, theta)
  if at is None:
    return answer, theta
  table = probabilistic.tabulate(head, outputs, probabilistic.grid())
  return answer, theta, at, table


def fit(head, outputs, theta):
  return calibration.fit(
    *jax.jit(answered, static_argnums=0)(head, outputs, theta)
  )


@functools.partial(jax.jit, static_argnums=1)
def apply(fitted, head, outputs, theta):
  return calibration.apply(fitted, *answered(head, outputs, theta))


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
def test_kappa_maximises_the_likelihood(kappa):
  theta, answer = answers(kappa, 500, seed=1)
  residual = answer - theta
  slow = scipy.optimize.minimize_scalar(
    lambda k: -scipy.stats.vonmises.logpdf(residual, math.exp(k)).sum(),
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
  at_truth, on_ring = apply(
    fitted, head, as_vector(answer), jnp.asarray(theta, jnp.float32)
  )
  assert on_ring.shape == (6000, 720)
  exact = scipy.stats.vonmises.logpdf(theta, fitted.value, loc=answer)
  np.testing.assert_allclose(at_truth, exact, atol=2e-4)
  total = np.exp(np.asarray(on_ring[:50], np.float64)).mean(-1) * 2 * np.pi
  np.testing.assert_allclose(total, 1, atol=1e-4)


@pytest.mark.parametrize("kappa", (0.0, 1e-4, 1e4, 1e6))
def test_the_von_mises_is_finite_at_all_concentrations(kappa):
  theta = jnp.asarray([0.0, 0.001, 3.1, -math.pi], jnp.float32)
  at_truth, on_ring = apply(
    calibration.Calibration("vonmises", kappa),
    vector.Vector(),
    as_vector(np.zeros(4)),
    theta,
  )
  exact = scipy.stats.vonmises.logpdf(np.asarray(theta, np.float64), kappa)
  if kappa == 0:
    exact = np.full(4, -math.log(2 * math.pi))
  np.testing.assert_allclose(at_truth, exact, rtol=1e-5, atol=1e-5)
  assert np.isfinite(on_ring).all()


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
  after, on_ring = apply(fitted, head, logits(answer), truth)
  assert after.mean() > before.mean() + 0.2
  uniform = jnp.asarray(angles.hashed_uniform(np.arange(6000)), jnp.float32)
  rank = jax.jit(probabilistic.density_scores)

  def covered(table):
    return float((rank(table, truth, uniform)["hpd_rank"] <= 0.8).mean())

  assert covered(raw) < 0.6
  assert covered(on_ring) == pytest.approx(0.8, abs=0.03)


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
    return (log_z - tau * at_truth).mean()

  slow = scipy.optimize.minimize_scalar(
    nll, bounds=(-3, 3), method="bounded", options={"xatol": 1e-8}
  )
  fitted = fit(head, outputs, theta)
  assert fitted.value == pytest.approx(math.exp(slow.x), rel=1e-4)
  after, _ = apply(fitted, head, outputs, theta)
  assert -float(after.mean()) == pytest.approx(slow.fun, abs=1e-5)
  assert slow.fun < nll(0.0)


def test_a_useless_or_perfect_density_stops_at_the_bounds():
  theta, answer = answers(0.0)
  fitted = fit(VONMISES, as_vector(answer + np.pi, 50.0), answer)
  assert fitted.value == calibration.TAU_RANGE[0]
  fitted = fit(VONMISES, as_vector(theta, 0.01), theta)
  assert fitted.value == calibration.TAU_RANGE[1]


@dataclasses.dataclass(frozen=True)
class HalfCircle:
  """A density that is zero on a part of the circle."""

  num_outputs: int = 1

  def decode(self, outputs):
    return outputs[..., 0]

  def log_density(self, outputs, theta):
    d = angles.difference(theta, outputs[..., 0])
    return jnp.where(jnp.abs(d) < 1, -jnp.log(2.0) - 0.1 * d, -jnp.inf)


def test_zero_density_is_not_nan():
  rng = np.random.default_rng(3)
  mean = rng.uniform(-1, 1, 500)
  theta = mean + rng.uniform(-0.9, 0.9, 500)
  outputs = jnp.asarray(mean[:, None], jnp.float32)
  fitted = fit(HalfCircle(), outputs, theta)
  at_truth, on_ring = apply(
    fitted, HalfCircle(), outputs, jnp.asarray(theta, jnp.float32)
  )
  assert math.isfinite(fitted.value)
  assert np.isfinite(at_truth).all() and not np.isnan(on_ring).any()
  total = np.exp(np.asarray(on_ring, np.float64)).mean(-1) * 2 * np.pi
  np.testing.assert_allclose(total, 1, atol=1e-3)


def test_it_survives_json_and_is_an_argument_of_jit():
  theta, answer = answers(20.0, 64)
  truth = jnp.asarray(theta, jnp.float32)
  traces = []

  @jax.jit
  def run(fitted, outputs, truth):
    traces.append(fitted.kind)
    answer, *rest = answered(VONMISES, outputs, truth)
    return calibration.apply(fitted, answer, *rest)

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


def test_extra_axes_of_views():
  theta, answer = answers(20.0, 24)
  outputs = as_vector(answer, 9.0)
  truth = jnp.asarray(theta, jnp.float32)
  for kind, head in (("temper", VONMISES), ("vonmises", vector.Vector())):
    fitted = calibration.Calibration(kind, 3.0)
    flat = apply(fitted, head, outputs, truth)
    square = apply(fitted, head, outputs.reshape(4, 6, 2), truth.reshape(4, 6))
    assert square[0].shape == (4, 6) and square[1].shape == (4, 6, 720)
    np.testing.assert_allclose(square[0].ravel(), flat[0], rtol=1e-5)
