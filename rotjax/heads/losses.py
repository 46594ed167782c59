"""What several heads share: losses of an angular difference, and a safe sum.

Pure, per example, float32.
"""

import jax
import jax.numpy as jnp


def logsumexp(x: jax.Array) -> jax.Array:
  """log sum exp over the last axis, safe for large computed numbers.

  A compiler may compute x once for its maximum and again for the sum, rounded
  differently (fused multiply-add); at 1e12 the two differ by thousands, and
  exp(x - max) overflows. What cannot be is therefore cut off.
  """
  top = jax.lax.stop_gradient(x.max(axis=-1, keepdims=True))
  gap = x - top
  total = jnp.exp(jnp.where(gap > 0, 0.0, gap)).sum(axis=-1)
  return top[..., 0] + jnp.log(jnp.where(total < 1, 1.0, total))


def huber(d: jax.Array, delta: float) -> jax.Array:
  """d^2 / 2 up to |d| = delta, then a straight line (Huber 1964)."""
  size = jnp.abs(d)
  near = jnp.minimum(size, delta)
  return near * (size - 0.5 * near)


def chord(d: jax.Array) -> jax.Array:
  """2 |sin(D/2)|, the straight line between two points of the circle.

  Largest slope at D = 0, none at the antipode.
  """
  return 2 * jnp.abs(jnp.sin(d / 2))


def one_minus_cos(d: jax.Array) -> jax.Array:
  """1 - cos D = 2 sin^2(D/2), without cancellation near D = 0."""
  return 2 * jnp.square(jnp.sin(d / 2))


def exp_cos(d: jax.Array, kappa: float = 1.0) -> jax.Array:
  """1 - exp(kappa (cos D - 1)), the "von Mises criterion".

  Beyer, Hermans, Leibe 2015, "Biternion nets", eq. 6, divided by e^(2 kappa).
  """
  return -jnp.expm1(-kappa * one_minus_cos(d))
