"""Densities of the line wrapped onto the circle, stated by a vector.

As in `unimodal`: the direction of the two outputs is the mode, their norm r
the concentration.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp

from rotjax.heads import plane, unimodal


def wrapped_cauchy_nll(u: jax.Array, theta: jax.Array) -> jax.Array:
  """Wrapped Cauchy: p = (1 - rho^2) / (2 pi (1 + rho^2 - 2 rho cos D)).

  With r = 2 rho/(1 - rho^2) (Mardia & Jupp 2000, section 3.5.7) it is

      -log p = log(2 pi) + log(sqrt(1 + r^2) - u.t),

  smooth in u everywhere and logarithmic far off: flips cost little. The half
  width at half maximum is about 1/r.

  Args:
    u: `[..., 2]`.
    theta: `[...]` radians.

  Returns:
    `[...]` nats.
  """
  t = plane.target_vector(theta)
  square = plane.dot(u, u)
  small = square < 1.0
  root = jnp.sqrt(1 + square)
  # For large r, sqrt(1 + r^2) - r and r (1 - cos D) without cancellation.
  safe = plane.east_where(small, u)
  r = plane.norm(safe)
  gap = safe / r[..., None] - t
  large_value = 1 / (jnp.sqrt(1 + r * r) + r) + 0.5 * r * plane.dot(gap, gap)
  value = jnp.where(small, root - plane.dot(u, t), large_value)
  return unimodal.LOG_2PI + jnp.log(value)


# Where the sum over turns and the Fourier series converge equally fast:
# sigma^2 = 2 pi, rho = exp(-pi), whose fourth power is 3e-6, ninth 5e-13.
_SELF_DUAL = 1 / math.expm1(2 * math.pi)


def _inverse_log1p_inverse(x: jax.Array) -> jax.Array:
  """1 / log(1 + 1/x), as its series for large x, where 1/x is lost in 1."""
  large = x > 100
  value = 1 / jnp.log1p(1 / jnp.where(large, 1.0, x))
  return jnp.where(large, x + 0.5 - 1 / (12 * jnp.where(large, x, 1.0)), value)


def wrapped_normal_nll(u: jax.Array, theta: jax.Array) -> jax.Array:
  """Wrapped normal with sigma^2 = log(1 + 1/r^2).

  So rho, the length of the mean vector exp(-sigma^2/2), is r/sqrt(1 + r^2),
  and r is 1/sigma where that is large. The density is smooth at u = 0. A sum
  over the turns where it is narrow, its Fourier series
  1 + 2 rho cos D + 2 rho^4 cos 2 D + ... (Mardia & Jupp 2000, section 3.5.7)
  where it is wide, five and two terms.

  Args:
    u: `[..., 2]`.
    theta: `[...]` radians.

  Returns:
    `[...]` nats.
  """
  t = plane.target_vector(theta)
  square = plane.dot(u, u)
  wide = square < _SELF_DUAL
  m = jnp.where(wide[..., None], u, 0.0)
  m /= jnp.sqrt(1 + plane.dot(m, m))[..., None]
  along, across = plane.dot(m, t), plane.cross(m, t)
  second = plane.dot(m, m) * (along + across) * (along - across)
  wide_nll = unimodal.LOG_2PI - jnp.log1p(2 * along + 2 * second)

  safe = plane.east_where(wide, u)
  precision = _inverse_log1p_inverse(plane.dot(safe, safe))
  d = plane.turn(plane.dot(safe, t), plane.cross(safe, t))
  # Exponents less that of the turn at hand, -D^2/2 sigma^2: -2 pi k (D + pi k)
  # by algebra, as the difference of two large numbers it would be noise.
  k = jnp.arange(-2, 3, dtype=jnp.float32)
  gap = jnp.add.outer(d, math.pi * k)
  excess = 2 * math.pi * gap * jnp.broadcast_to(k, gap.shape)
  excess = jnp.where(excess < 0, 0.0, excess)  # a last digit at the antipode
  others = jnp.exp(-precision[..., None] * excess).sum(-1)
  narrow_nll = 0.5 * (
    unimodal.LOG_2PI - jnp.log(precision) + precision * d * d
  ) - jnp.log(others)
  return jnp.where(wide, wide_nll, narrow_nll)


def _log_sinhc_minus(x: jax.Array) -> jax.Array:
  """log(sinh(x)/x) - x for x >= 0, its slope included near zero."""
  small = x < 0.3
  square = jnp.square(jnp.where(small, x, 0.0))
  series = square * (1 / 6 - square / 180)
  safe = jnp.where(small, 1.0, x)
  value = jnp.log(-jnp.expm1(-2 * safe)) - jnp.log(2 * safe)
  return jnp.where(small, series - x, value)


def wrapped_laplace_nll(u: jax.Array, theta: jax.Array) -> jax.Array:
  """Wrapped Laplace of rate r: p = r cosh(r (pi - |D|)) / (2 sinh(pi r)).

  (Jammalamadaka & Kozubowski 2004, the symmetric case.) The loss is r |D| and
  a constant: the L1 of densities. Its harmonics r^2/(k^2 + r^2) all fade at
  one rate, so that no vector makes the density linear in u at zero; with the
  rate r the gradient is continuous there, though zero, and across u it is the
  sign of D, bounded for any r.

  Args:
    u: `[..., 2]`.
    theta: `[...]` radians.

  Returns:
    `[...]` nats.
  """
  t = plane.target_vector(theta)
  rate = plane.norm(u)
  d = plane.arc(plane.dot(u, t), plane.cross(u, t))
  log_cosh = jnp.log1p(jnp.exp(-2 * rate * (math.pi - d))) - math.log(2)
  constant = unimodal.LOG_2PI + _log_sinhc_minus(math.pi * rate)
  return constant + rate * d - log_cosh


@dataclasses.dataclass(frozen=True)
class WrappedCauchy(unimodal.VectorDensity):
  """Wrapped Cauchy: heavy tails for data with outliers and flips."""

  nll = staticmethod(wrapped_cauchy_nll)


@dataclasses.dataclass(frozen=True)
class WrappedNormal(unimodal.VectorDensity):
  """Wrapped normal."""

  nll = staticmethod(wrapped_normal_nll)


@dataclasses.dataclass(frozen=True)
class WrappedLaplace(unimodal.VectorDensity):
  """Wrapped Laplace: to the arc length what the von Mises is to the cosine."""

  nll = staticmethod(wrapped_laplace_nll)
