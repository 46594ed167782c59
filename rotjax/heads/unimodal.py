"""Densities with one mode on the circle, stated by a vector.

The direction of the two outputs is the mode and their norm, called r, the
concentration. All are symmetric, so mean direction, median and mode agree and
there is no decoding to choose. The wrapped ones are in `wrapped`.
"""

import dataclasses
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from rotjax import errors
from rotjax.heads import plane

LOG_2PI = math.log(2 * math.pi)
_SQRT_2PI = math.sqrt(2 * math.pi)


def log_i0e(kappa: jax.Array) -> jax.Array:
  """log(I0(kappa) e^-kappa) for kappa >= 0, with its slope good to 1e-6.

  Above 20 the asymptotic series, because the slope I1/I0 - 1 of the other
  branch is what is left when two nearly equal numbers are subtracted.
  """
  large = kappa > 20
  # The slope at zero is -1; |kappa| inside i0e would make it 0 right there.
  small_value = jnp.log(jax.scipy.special.i0e(jnp.minimum(kappa, 20.0) + 1e-30))
  q = 1 / jnp.where(large, kappa, 20.0)
  series = jnp.zeros_like(q)
  for c in (59535 / 262144, 3675 / 32768, 75 / 1024, 9 / 128, 1 / 8):
    series = q * (c + series)
  large_value = 0.5 * jnp.log(q) - 0.5 * LOG_2PI + jnp.log1p(series)
  return jnp.where(large, large_value, small_value)


def vonmises_nll(
  mean: jax.Array, kappa: jax.Array, theta: jax.Array
) -> jax.Array:
  """Negative log-density of the von Mises (Mardia & Jupp 2000, 3.5.4).

  With t = (cos theta, sin theta),

      -log p = kappa/2 |mean - t|^2 + log(2 pi) + log i0e(kappa),

  the square in place of kappa (1 - cos D) because that difference loses all
  digits at large kappa.

  Args:
    mean: `[..., 2]` unit vectors.
    kappa: `[...]` concentrations, >= 0.
    theta: `[...]` radians.

  Returns:
    `[...]` nats.
  """
  gap = mean - plane.target_vector(theta)
  return 0.5 * kappa * plane.dot(gap, gap) + LOG_2PI + log_i0e(kappa)


def vonmises_natural_nll(u: jax.Array, theta: jax.Array) -> jax.Array:
  """The same in natural parameters: kappa = |u|, mean u/|u|.

  The density is smooth at u = 0, the uniform one, with slope -t; for small
  kappa its series log 2 pi - u.t + kappa^2/4 - kappa^4/64 takes over.

  Args:
    u: `[..., 2]` natural parameters.
    theta: `[...]` radians.

  Returns:
    `[...]` nats.
  """
  square = plane.dot(u, u)
  small = square < 1e-4
  safe = plane.east_where(small, u)
  kappa = plane.norm(safe)
  large_nll = vonmises_nll(safe / kappa[..., None], kappa, theta)
  bounded = jnp.where(small, square, 0.0)
  along = plane.dot(u, plane.target_vector(theta))
  small_nll = LOG_2PI - along + bounded / 4 - bounded**2 / 64
  return jnp.where(small, small_nll, large_nll)


def _log_tail(x: jax.Array) -> jax.Array:
  """log(1 - x M(x)), M Mills' ratio (1 - Phi)/phi, for x >= 2.

  From the continued fraction M = 1/(x + 1/(x + 2/(x + ...))), which leaves
  nothing to cancel.
  """
  rest = jnp.zeros_like(x)
  for k in range(30, 0, -1):
    rest = k / (x + rest)
  return jnp.log(rest) - jnp.log(x + rest)


def projected_normal_nll(u: jax.Array, theta: jax.Array) -> jax.Array:
  """Direction of a normal vector with mean u and unit covariance.

  With z = u.t and c = u x t (Mardia & Jupp 2000, eq. 3.5.48),

      p = exp(-r^2/2) (1 + z Phi(z)/phi(z)) / 2 pi
        = exp(-c^2/2) (exp(-z^2/2) + sqrt(2 pi) z Phi(z)) / 2 pi,

  the second for z > -2, free of overflow. Smooth in u everywhere; r is the
  inverse of the standard deviation where that is small.

  Args:
    u: `[..., 2]`.
    theta: `[...]` radians.

  Returns:
    `[...]` nats.
  """
  t = plane.target_vector(theta)
  z, c = plane.dot(u, t), plane.cross(u, t)
  behind = z < -2
  front = jnp.where(behind, 0.0, z)
  # Past 14 standard deviations the exponential is zero, its slope no NaN.
  dip = jnp.exp(-0.5 * jnp.square(jnp.clip(front, -2.0, 14.0)))
  rise = _SQRT_2PI * front * jax.scipy.special.ndtr(front)
  front_nll = 0.5 * c * c - jnp.log(dip + rise)
  back = jnp.where(behind, -z, 2.0)
  back_nll = 0.5 * plane.dot(u, u) - _log_tail(back)
  return LOG_2PI + jnp.where(behind, back_nll, front_nll)


def _log_gamma_ratio(kappa: jax.Array) -> jax.Array:
  """log Gamma(kappa + 1) - log Gamma(kappa + 1/2), kappa >= 0, to 2e-7.

  Up four steps by recurrence, then Stirling's series about the middle of the
  two arguments; the difference of two lgamma loses all digits.
  """
  q = 1 / (kappa + 4.25)
  value = -0.5 * jnp.log(q) + q * q * (1 / 64 - q * q * 5 / 2048)
  for i in range(4):
    value -= jnp.log1p(0.5 / (kappa + i + 0.5))
  return value


_LIFT = 1e-6


def power_spherical_nll(u: jax.Array, theta: jax.Array) -> jax.Array:
  """p proportional to (1 + cos D)^kappa (De Cao & Aziz 2020, on S1).

  kappa = sqrt(1 + r^2) - 1: like r where that is large, like r^2/2 near zero,
  where kappa = r would leave a cone (all harmonics fade at the rate of kappa).
  At the antipode the density is zero; there cos^2(D/2) is lifted by 1e-6, so
  that the loss stays below 14 kappa and its slope finite.

  Args:
    u: `[..., 2]`.
    theta: `[...]` radians.

  Returns:
    `[...]` nats.
  """
  square = plane.dot(u, u)
  kappa = square / (1 + jnp.sqrt(1 + square))
  mean, t = plane.unit(u), plane.target_vector(theta)
  # sin^2(D/2) on one half of the circle, cos^2(D/2) on the other: each where
  # it is the small one, and so known to its last digit.
  sine2 = 0.25 * plane.dot(mean - t, mean - t)
  cosine2 = 0.25 * plane.dot(mean + t, mean + t)
  front = sine2 < 0.5
  log_cosine2 = jnp.where(
    front,
    jnp.log1p(-jnp.where(front, sine2, 0.0) / (1 + _LIFT)),
    jnp.log((jnp.where(front, 1.0, cosine2) + _LIFT) / (1 + _LIFT)),
  )
  log_scale = _log_gamma_ratio(kappa) - 0.5 * math.log(4 * math.pi)
  return -kappa * log_cosine2 - log_scale


class VectorDensity:
  """A density of two outputs, read as a vector along its mode.

  A subclass states `nll`: `[..., 2]`, `[...]` -> `[...]` nats.
  """

  num_outputs = 2
  turns = (1,)
  nll: ClassVar[Any]

  def loss(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    return self.nll(outputs, theta)

  def decode(self, outputs: jax.Array) -> jax.Array:
    return plane.direction(outputs)

  def log_density(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    return -self.loss(outputs, theta)


@dataclasses.dataclass(frozen=True)
class ProjectedNormal(VectorDensity):
  """Projected normal: the outputs are the mean of the normal vector."""

  nll = staticmethod(projected_normal_nll)


@dataclasses.dataclass(frozen=True)
class PowerSpherical(VectorDensity):
  """Power Spherical, a von Mises-like density without Bessel functions."""

  nll = staticmethod(power_spherical_nll)


def _softplus_nll(outputs: jax.Array, theta: jax.Array) -> jax.Array:
  kappa = jax.nn.softplus(outputs[..., 2])
  return vonmises_nll(plane.unit(outputs[..., :2]), kappa, theta)


# Name -> (number of outputs, negative log-density).
PARAMETRIZATIONS = {
  "natural": (2, vonmises_natural_nll),
  "softplus": (3, _softplus_nll),
}


@dataclasses.dataclass(frozen=True)
class VonMises:
  """von Mises density.

  Attributes:
    parametrization: "natural": the outputs are kappa mu, so that certainty
      costs no extra output, nothing is normalised and the zero vector is
      harmless; or "softplus": a direction and softplus^-1(kappa), apart.
  """

  parametrization: str = "natural"

  def __post_init__(self):
    errors.choose(
      "head.parametrization", self.parametrization, PARAMETRIZATIONS
    )

  @property
  def num_outputs(self) -> int:
    return PARAMETRIZATIONS[self.parametrization][0]

  @property
  def turns(self) -> tuple[int, ...]:
    return (1,) if self.num_outputs == 2 else (1, 0)

  def loss(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    nll = PARAMETRIZATIONS[self.parametrization][1]
    return nll(outputs, theta)

  def temper(self, outputs: jax.Array, tau: jax.Array) -> jax.Array:
    """Outputs of tau times the concentration; see `density.temper`."""
    if self.parametrization == "natural":
      return tau * outputs
    kappa = tau * jax.nn.softplus(outputs[..., 2])
    # softplus^-1(kappa) = kappa + log(1 - exp(-kappa))
    raw = kappa + jnp.log(-jnp.expm1(-jnp.maximum(kappa, 1e-30)))
    return jnp.concatenate([outputs[..., :2], raw[..., None]], axis=-1)

  def decode(self, outputs: jax.Array) -> jax.Array:
    return plane.direction(outputs[..., :2])

  def log_density(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    return -self.loss(outputs, theta)
