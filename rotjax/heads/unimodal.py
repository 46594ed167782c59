"""Densities with one mode on the circle."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from rotjax.heads import losses

_LOG_2PI = math.log(2 * math.pi)


def log_i0e(kappa: jax.Array) -> jax.Array:
  """log(I0(kappa) e^-kappa) for kappa >= 0, finite for all of float32."""
  return jnp.log(jax.scipy.special.i0e(kappa))


def vonmises_natural_nll(u: jax.Array, theta: jax.Array) -> jax.Array:
  """Negative log-density of the von Mises in its natural parameters.

  With kappa = |u|, mu = u/|u| and t = (cos theta, sin theta),

      -log p = kappa/2 |u/kappa - t|^2 + log(2 pi) + log i0e(kappa),

  the square in place of kappa - u.t because that difference loses all digits
  at large kappa. The density is smooth at u = 0, the uniform one; for small
  kappa its series log 2 pi - u.t + kappa^2/4 - kappa^4/64 takes over.
  (Mardia & Jupp 2000, section 3.5.4; natural form: any exponential family.)

  Args:
    u: `[..., 2]` natural parameters.
    theta: `[...]` radians.

  Returns:
    `[...]` nats.
  """
  t = losses.target_vector(theta)
  square = losses.dot(u, u)
  small = square < 1e-4
  safe = jnp.where(small[..., None], jnp.array([1.0, 0.0]), u)
  kappa = losses.norm(safe)
  gap = safe / kappa[..., None] - t
  large_nll = 0.5 * kappa * losses.dot(gap, gap) + _LOG_2PI + log_i0e(kappa)
  bounded = jnp.where(small, square, 0.0)
  small_nll = _LOG_2PI - losses.dot(u, t) + bounded / 4 - bounded**2 / 64
  return jnp.where(small, small_nll, large_nll)


@dataclasses.dataclass(frozen=True)
class VonMises:
  """von Mises density; the outputs are its natural parameters kappa mu.

  The norm of the output is the concentration, so certainty costs no extra
  output and there is nothing to normalise.
  """

  @property
  def num_outputs(self) -> int:
    return 2

  def loss(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    return vonmises_natural_nll(outputs.astype(jnp.float32), theta)

  def decode(self, outputs: jax.Array) -> jax.Array:
    return losses.direction(outputs.astype(jnp.float32))

  def log_density(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    return -self.loss(outputs, theta)
