"""Mixtures and Fourier series: densities, readings, and two-fold content."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from rotjax.heads import bins, fourier, mixture, unimodal
from tests.heads import cases, reference

THETA = cases.THETA


def fit(head, samples, outputs, num_steps=800):
  """Outputs `[n]` that minimise the mean loss over `samples` `[m]`."""

  @jax.jit
  def step(x, i, m, v):
    # Mapped over the samples alone: what only x decides is computed once.
    losses = jax.vmap(head.loss, in_axes=(None, 0))
    g = jax.grad(lambda x: losses(x, samples).mean())(x)
    m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
    rate = 0.2 * (1 - i / num_steps)
    rate *= jnp.sqrt(1 - 0.99 ** (i + 1)) / (1 - 0.9 ** (i + 1))
    return x - rate * m / (jnp.sqrt(v) + 1e-8), m, v

  x = jnp.asarray(outputs, jnp.float32)
  m = v = jnp.zeros_like(x)
  for i in range(num_steps):
    x, m, v = step(x, np.float32(i), m, v)
  return x


# Mixtures.


@pytest.mark.parametrize("component", mixture.COMPONENTS)
def test_mixture_agrees_with_float64(component):
  """Sharp and blunt components, weights from even to negligible."""
  rng = np.random.default_rng(0)
  head = mixture.Mixture(num_components=3, component=component)
  top = 1.5 if component in ("projected_normal", "wrapped_normal") else 3.0
  r = 10 ** rng.uniform(-2, top, (16, 3))
  mode = rng.uniform(-np.pi, np.pi, (16, 3))
  logits = 3 * rng.normal(size=(16, 3))
  parts = [logits, r * np.cos(mode), r * np.sin(mode)]
  outputs = np.stack(parts, -1).reshape(16, 9).astype(np.float32)
  _, log_p = cases.reading(head)(outputs)
  exact = outputs.astype(np.float64).reshape(16, 3, 3)
  r = np.hypot(exact[..., 1], exact[..., 2]).ravel()
  d = THETA[:, None] - np.arctan2(exact[..., 2], exact[..., 1])
  each = reference.DENSITIES[component](r, reference.wrap(d).ravel())
  weights = special.log_softmax(exact[..., 0], axis=-1)
  expected = special.logsumexp(weights + each.reshape(16, 3), axis=-1)
  np.testing.assert_allclose(log_p, expected, rtol=2e-5, atol=5e-5)


@pytest.mark.parametrize("kappa", [1.0, 88.0, 1e4])
def test_mixture_integrates_to_one(kappa):
  rng = np.random.default_rng(1)
  parts = rng.normal(size=(4, 3))
  parts[:, 1:] *= kappa / np.hypot(parts[:, 1], parts[:, 2])[:, None]
  n = 36_000
  theta = np.linspace(-np.pi, np.pi, n, endpoint=False).astype(np.float32)
  outputs = jnp.broadcast_to(parts.astype(np.float32).ravel(), (n, 12))
  log_p = jax.jit(mixture.Mixture().log_density)(outputs, theta)
  assert abs(reference.integral(log_p, theta.astype(np.float64)) - 1) < 1e-4


def test_mixture_readings_differ_as_they_should():
  """Two thirds at 0 degrees, one third at 120: only the mean is between."""
  parts = [[np.log(2), 200, 0], [0, -100, 100 * np.sqrt(3)]]
  outputs = np.tile(np.array(parts).ravel(), (16, 1)).astype(np.float32)
  expected = {
    "mean": np.degrees(np.angle(2 / 3 + np.exp(2j * np.pi / 3) / 3)),
    "median": 0.0,
    "mode": 0.0,
  }
  for name, degrees in expected.items():
    head = mixture.Mixture(num_components=2, decode_=name)
    decoded, _ = cases.reading(head)(outputs)
    # The median of the two thirds is not that of the whole.
    atol = 4.0 if name == "median" else 0.1
    np.testing.assert_allclose(np.rad2deg(decoded), degrees, atol=atol)


def test_median_minimises_the_expected_error_of_a_mixture():
  rng = np.random.default_rng(2)
  parts = rng.normal(size=(16, 4, 3)) * [1, 6, 6]
  outputs = parts.reshape(16, 12).astype(np.float32)
  grid = reference.centers(720)
  log_p = jax.jit(jax.vmap(mixture.Mixture().log_density))(
    np.repeat(outputs[:, None], 720, 1), np.tile(grid, (16, 1)).astype("f4")
  )
  p = np.exp(np.asarray(log_p, np.float64))
  p /= p.sum(-1, keepdims=True)
  costs = {}
  for name in mixture.DECODINGS:
    decoded, _ = cases.reading(mixture.Mixture(decode_=name))(outputs)
    rows = zip(p, decoded, strict=True)
    cost = [reference.expected_arc(row, [angle])[0] for row, angle in rows]
    costs[name] = np.array(cost)
  best = np.array([reference.expected_arc(row, grid).min() for row in p])
  np.testing.assert_allclose(costs["median"], best, atol=2e-4)
  assert costs["mode"].mean() > best.mean() + 0.01
  assert costs["mean"].mean() > best.mean() + 0.005


# Fourier series.


def test_fourier_of_one_frequency_is_the_von_mises():
  rng = np.random.default_rng(0)
  for kappa in (0.0, 0.5, 30.0, 1e3, 1e4):
    u = (kappa * rng.normal(size=(16, 2)) / 2).astype(np.float32)
    loss, gradient = cases.compiled(fourier.Fourier(num_frequencies=1))(u)
    expected, slope = cases.compiled(unimodal.VonMises())(u)
    # A difference of numbers of kappa's size, not a square as there.
    atol = 1e-5 + 5e-7 * kappa
    np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=atol)
    np.testing.assert_allclose(gradient, slope, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("scale", [0.1, 1.0, 20.0])
def test_fourier_agrees_with_float64(scale):
  outputs = np.random.default_rng(0).normal(size=(16, 16)) * scale
  outputs = outputs.astype(np.float32)
  _, log_p = cases.reading(fourier.Fourier())(outputs)
  expected = [
    reference.fourier_log_density(row.reshape(8, 2).astype(np.float64), [t])[0]
    for row, t in zip(outputs, THETA, strict=True)
  ]
  np.testing.assert_allclose(log_p, expected, rtol=1e-5, atol=2e-6 * 16 * scale)


def test_fourier_is_not_rewarded_for_peaks_that_its_grid_misses():
  """A peak between two points, as narrow as you like: no more than a cell."""
  head = fourier.Fourier()
  between = np.full(16, np.deg2rad(0.25), np.float32)
  k = np.arange(1, 9) * np.deg2rad(0.25)
  peak = np.stack([np.cos(k), np.sin(k)], -1).ravel()
  cell = np.log(720 / (2 * np.pi))
  for scale, hidden in ((10.0, False), (1e6, True)):
    outputs = np.tile(scale * peak, (16, 1)).astype(np.float32)
    loss, gradient = cases.compiled(head)(outputs, between)
    assert (loss >= -cell - 1e-5).all()
    assert (np.abs(gradient).max() < 1e-6) == hidden


@pytest.mark.parametrize("num_frequencies", [1, 8])
@pytest.mark.parametrize("between", [0.0, 0.25, 0.5])
def test_fourier_integrates_to_one_at_most_however_narrow(
  num_frequencies, between
):
  """Just below a step it was 1.077; by a sum 40 times as fine."""
  mode = np.deg2rad(between / 2)  # of the way between two points
  k = np.arange(1, num_frequencies + 1)
  slope = (1 - k / (num_frequencies + 1)) * k**2
  theta = np.linspace(mode - 0.1, mode + 0.1, 9600, endpoint=False)
  log_density = jax.jit(fourier.fourier_log_density, static_argnums=2)
  total = []
  for sd_steps in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 2.0):
    curvature = (sd_steps * 2 * np.pi / 720) ** -2
    weight = curvature * slope / (slope * k**2).sum()
    pairs = np.stack([np.cos(k * mode), np.sin(k * mode)], -1)
    pairs = (weight[:, None] * pairs).astype(np.float32)
    rows = np.broadcast_to(pairs, (len(theta), *pairs.shape))
    log_p = log_density(rows, theta.astype(np.float32), 720)
    total.append(np.exp(np.asarray(log_p, np.float64)).sum() * 0.2 / 9600)
  assert max(total) < 1.003
  np.testing.assert_allclose(total[-2:], 1, atol=0.003)


# Two-fold content: theta or theta + pi, equally likely.


@pytest.fixture(scope="module")
def two_fold():
  """Angles about 40 and 220 degrees, 5 degrees apart from them."""
  noise = np.radians(5) * np.random.default_rng(0).normal(size=400)
  samples = np.radians(40) + np.pi * (np.arange(400) % 2) + noise
  return reference.wrap(samples).astype(np.float32)


def test_unimodal_density_answers_two_fold_content_with_doubt(two_fold):
  """Low concentration, and a likelihood hardly above uniform."""
  head = unimodal.VonMises()
  outputs = fit(head, two_fold, [1.0, -2.0])
  assert np.hypot(*outputs) < 0.3
  loss = jax.jit(jax.vmap(head.loss, (None, 0)))(outputs, two_fold).mean()
  assert abs(loss - np.log(2 * np.pi)) < 0.02


@pytest.mark.parametrize(
  "head",
  [
    bins.Bins(num_bins=72, loss_="gaussian", width_deg=6),
    fourier.Fourier(),
    mixture.Mixture(),
    mixture.Mixture(component="wrapped_cauchy"),
  ],
  ids=["bins", "fourier", "mixture", "wrapped_cauchy"],
)
def test_multimodal_densities_find_both_answers(two_fold, head):
  start = 0.3 * np.random.default_rng(0).normal(size=head.num_outputs)
  outputs = fit(head, two_fold, start)
  theta = np.deg2rad(np.arange(-180, 180)).astype(np.float32)
  log_p = jax.jit(jax.vmap(head.log_density, (None, 0)))(outputs, theta)
  p = np.exp(np.asarray(log_p, np.float64))
  p /= p.sum()
  one = reference.arc(theta, np.radians(40)) < np.pi / 2
  for half, answer in ((one, 40), (~one, -140)):
    assert abs(p[half].sum() - 0.5) < 0.06
    mode = np.rad2deg(theta[half][p[half].argmax()])
    assert abs(mode - answer) < 6
  # Both are sharp: four fifths of it all within 15 degrees of one.
  near = reference.arc(2 * theta, np.radians(80)) < np.radians(30)
  assert p[near].sum() > 0.8
