"""Histogram losses against loops, linear programmes and SciPy."""

import jax
import numpy as np
import pytest
from scipy import optimize, special, stats

from rotjax.heads import bin_targets, bins
from tests.heads import cases, reference

THETA = cases.THETA
K = 36
WIDTH = np.radians(12)


def draw(scale=2.0, seed=0):
  x = np.random.default_rng(seed).normal(size=(16, K)) * scale
  return x.astype(np.float32)


def softmax(logits):
  return special.softmax(np.asarray(logits, np.float64), axis=-1)


def normalized(p):
  return p / p.sum(-1, keepdims=True)


def distances():
  return reference.arc(THETA[:, None], reference.centers(K))


def one_hot():
  return np.eye(K)[distances().argmin(-1)]


def linear():
  return np.maximum(0, 1 - distances() * K / (2 * np.pi))


TARGETS = {
  "gaussian": lambda: normalized(np.exp(-0.5 * (distances() / WIDTH) ** 2)),
  "linear": linear,
  "one_hot": one_hot,
  "von_mises": lambda: normalized(
    stats.vonmises.pdf(distances(), 1 / WIDTH**2)
  ),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets(name):
  options = (WIDTH,) if name in ("gaussian", "von_mises") else ()
  make = getattr(bin_targets, name)
  found = np.asarray(jax.jit(lambda t: make(t, K, *options))(THETA))
  np.testing.assert_allclose(found, TARGETS[name](), atol=2e-5)
  np.testing.assert_allclose(found.sum(-1), 1, atol=1e-6)


def test_soft_targets_keep_what_lies_between_the_centres():
  centers = np.exp(1j * reference.centers(K))
  for name in ("gaussian", "von_mises", "linear"):
    mean = np.angle((TARGETS[name]() * centers).sum(-1))
    # Linear shares keep the mean of the arc: the sine bends that a little.
    atol = np.deg2rad(0.05 if name == "linear" else 1e-3)
    assert reference.arc(mean, THETA).max() < atol


def arc_of_mean(logits):
  vector = (softmax(logits) * np.exp(1j * reference.centers(K))).sum(-1)
  return reference.arc(np.angle(vector), THETA)


def squared_emd(logits):
  """The current round the ring by numerical minimisation."""
  flows = np.cumsum(softmax(logits) - linear(), -1)
  least = [
    optimize.minimize_scalar(lambda c, f=flow: ((f - c) ** 2).sum()).fun
    for flow in flows
  ]
  return np.array(least) * 2 * np.pi / K


def wasserstein(logits):
  """The least over all currents round the ring, each flow being one."""
  flows = np.cumsum(softmax(logits) - linear(), -1)
  moved = np.abs(flows[:, :, None] - flows[:, None, :]).sum(-1)
  return moved.min(-1) * 2 * np.pi / K


def kl(name, logits):
  return stats.entropy(TARGETS[name](), softmax(logits), axis=1)


FORMULAS = {
  "cross_entropy": lambda x: reference.cross_entropy(x, one_hot()),
  "expectation": lambda x: (
    reference.cross_entropy(x, one_hot()) + 0.5 * arc_of_mean(x)
  ),
  "gaussian": lambda x: kl("gaussian", x),
  "mebow": lambda x: ((softmax(x) - TARGETS["gaussian"]()) ** 2).sum(-1),
  "squared_emd": squared_emd,
  "von_mises": lambda x: kl("von_mises", x),
  "wasserstein": wasserstein,
}


def test_every_loss_has_its_formula_here():
  assert FORMULAS.keys() == bins.LOSSES.keys()


@pytest.mark.parametrize("name", bins.LOSSES)
def test_loss_agrees_with_its_formula(name):
  head = bins.Bins(num_bins=K, loss_=name, width_deg=12, expectation_weight=0.5)
  for scale in (0.3, 4.0):
    logits = draw(scale)
    loss, _ = cases.compiled(head)(logits)
    expected = FORMULAS[name](logits.astype(np.float64))
    np.testing.assert_allclose(loss, expected, rtol=2e-5, atol=3e-6)


def test_label_smoothing():
  head = bins.Bins(num_bins=K, label_smoothing=0.1)
  logits = draw()
  loss, _ = cases.compiled(head)(logits)
  targets = 0.9 * one_hot() + 0.1 / K
  expected = reference.cross_entropy(logits.astype(np.float64), targets)
  np.testing.assert_allclose(loss, expected, rtol=1e-5)
  # Zero at best, as every divergence.
  loss, gradient = cases.compiled(head)(np.log(targets).astype(np.float32))
  assert np.abs(loss).max() < 1e-5 and np.abs(gradient).max() < 1e-6


def test_wasserstein_distance_is_that_of_optimal_transport():
  p, q = softmax(draw()[:6, :9]), softmax(draw(seed=1)[:6, :9])
  found = jax.jit(bins.circular_wasserstein)(p.astype("f4"), q.astype("f4"))
  pairs = zip(p, q, strict=True)
  expected = [reference.transport_cost(*pair) for pair in pairs]
  np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_moving_all_to_one_bin_costs_the_expected_arc():
  """The one case of the Wasserstein distance that needs no flow at all."""
  p, q = softmax(draw()), one_hot()
  found = jax.jit(bins.circular_wasserstein)(p.astype("f4"), q.astype("f4"))
  middle = reference.centers(K)[q.argmax(-1)]
  rows = zip(p, middle, strict=True)
  expected = [reference.expected_arc(row, [m])[0] for row, m in rows]
  np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["wasserstein", "squared_emd"])
def test_the_cut_of_the_ring_does_not_matter(name):
  p, q = softmax(draw()), softmax(draw(seed=1))
  distance = jax.jit(getattr(bins, f"circular_{name}"))
  once = distance(p.astype("f4"), q.astype("f4"))
  for shift in (1, 7, 20):
    rolled = [np.roll(x, shift, axis=-1).astype("f4") for x in (p, q)]
    np.testing.assert_allclose(distance(*rolled), once, rtol=1e-4)


@pytest.mark.parametrize("name", ["wasserstein", "expectation"])
def test_gradient_through_the_median_and_the_mean_direction(name):
  """Against central differences of the float64 formula."""
  head = bins.Bins(num_bins=K, loss_=name, expectation_weight=0.5)
  logits = draw(1.0)
  _, gradient = cases.compiled(head)(logits)
  direction = np.random.default_rng(5).normal(size=logits.shape)
  step = 1e-5
  difference = (
    FORMULAS[name](logits + step * direction)
    - FORMULAS[name](logits - step * direction)
  ) / (2 * step)
  found = (gradient * direction).sum(-1)
  np.testing.assert_allclose(found, difference, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", bins.LOSSES)
def test_losses_turn_with_the_ring(name):
  head = bins.Bins(num_bins=K, loss_=name, width_deg=12)
  logits = draw()
  loss, _ = cases.compiled(head)(logits)
  for shift in (1, 18, 29):
    theta = reference.wrap(THETA + 2 * np.pi * shift / K).astype(np.float32)
    rolled = np.roll(logits, shift, axis=-1)
    loss2, _ = cases.compiled(head)(rolled, theta)
    np.testing.assert_allclose(loss2, loss, rtol=1e-4, atol=1e-4)


def test_histogram_density():
  logits = draw()
  _, log_p = cases.reading(bins.Bins(num_bins=K))(logits)
  chosen = (softmax(logits) * one_hot()).sum(-1)
  np.testing.assert_allclose(log_p, np.log(chosen * K / 2 / np.pi), rtol=1e-5)


def test_argmax_has_its_floor_and_parabola_has_not():
  """Ideal Gaussian labels at K = 36: 2.5 degrees lost on average, or none."""
  theta = np.deg2rad(np.linspace(-180, 180, 16, endpoint=False) + 1.234)
  d = reference.wrap(theta[:, None] - reference.centers(K))
  logits = (-0.5 * (d / WIDTH) ** 2).astype(np.float32)
  errors = {}
  for name in bins.DECODINGS:
    decoded, _ = cases.reading(bins.Bins(num_bins=K, decode_=name))(logits)
    errors[name] = np.rad2deg(reference.arc(decoded, theta)).mean()
  assert 1.5 < errors["argmax"] < 3.5
  assert errors["parabola"] < 1e-3 and errors["mean"] < 1e-3
  assert errors["median"] < 0.1 and errors["local_mean"] < 2.0
