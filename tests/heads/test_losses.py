"""What the heads share: conventions at zero, digits near it."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from rotjax.heads import losses, plane
from tests.heads import reference


def gradient(function, *arguments):
  return np.asarray(jax.jit(jax.grad(function))(*map(jnp.float32, arguments)))


def test_zero_vector_has_no_length_no_direction_and_no_gradient():
  zero = np.zeros(2)
  assert plane.norm(jnp.zeros(2)) == 0
  assert (plane.normalize(jnp.zeros(2)) == 0).all()
  assert (plane.unit(jnp.zeros(2)) == jnp.array([1.0, 0.0])).all()
  assert plane.direction(jnp.zeros(2)) == 0
  for function in (
    plane.norm,
    plane.direction,
    lambda u: plane.normalize(u).sum(),
    lambda u: plane.unit(u).sum(),
    lambda u: plane.arc(u[0], u[1]),
  ):
    for scale in (0.0, 1e-30, 1e-8):
      assert (gradient(function, zero + scale) == 0).all()


def test_away_from_zero_they_are_what_they_are_called():
  u = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
  length, angle = np.hypot(*u.T), np.arctan2(u[:, 1], u[:, 0])
  np.testing.assert_allclose(plane.norm(u), length, rtol=1e-6)
  expected = u / length[:, None]
  np.testing.assert_allclose(plane.normalize(u), expected, atol=1e-6)
  np.testing.assert_allclose(plane.unit(u), expected, atol=1e-6)
  assert reference.arc(plane.direction(u), angle).max() < 1e-6
  found = gradient(lambda u: plane.direction(u).sum(), u)
  expected = np.stack([-u[:, 1], u[:, 0]], -1) / length[:, None] ** 2
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_angles_are_half_open():
  """pi is -pi: no prediction has two names."""
  for sine in (0.0, -0.0, 1e-9):
    assert plane.turn(jnp.float32(-1.0), jnp.float32(sine)) == -np.float32(
      np.pi
    )


def test_logsumexp():
  x = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32) * 10
  value, slope = jax.jit(jax.vmap(jax.value_and_grad(losses.logsumexp)))(x)
  exact = x.astype(np.float64)
  np.testing.assert_allclose(value, special.logsumexp(exact, axis=1), rtol=1e-6)
  np.testing.assert_allclose(slope, special.softmax(exact, axis=1), atol=1e-6)
  one = np.zeros((1, 5), np.float32) - 1e4 * np.arange(5, dtype=np.float32)
  assert (gradient(lambda x: losses.logsumexp(x).sum(), one)[0, 0]) == 1


def test_logsumexp_of_large_numbers_computed_twice():
  """Where compiled code rounds x apart for its maximum and for its sum."""

  @jax.jit
  def run(d, precision):
    k = jnp.arange(-2, 3, dtype=jnp.float32)
    x = -0.5 * jnp.square(jnp.add.outer(d, 2 * np.pi * k))
    return losses.logsumexp(x * precision[:, None])

  d = np.linspace(-3, 3, 16).astype(np.float32)
  for precision in (1e6, 1e12, 1e24):
    value = run(d, np.full(16, precision, np.float32))
    np.testing.assert_allclose(value, -0.5 * d**2 * precision, rtol=1e-5)
