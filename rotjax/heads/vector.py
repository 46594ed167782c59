"""Two outputs read as a vector: the direction is the angle.

One row each of the usual tables that would be the same row twice: normalised
MSE is 2 x normalised cosine; a 2 x 2 matrix projected on SO(2) by an SVD is
the direction of (m11 + m22, m21 - m12), a linear layer before this head; both
are shown in the tests. A pi-symmetric content's double angle is this head on a
circle of `angles.period_deg = 180`.
"""

from collections.abc import Callable
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from rotjax import errors
from rotjax.heads import plane

ACTIVATIONS: dict[str, Callable[[Any], jax.Array]] = {
  "linear": lambda u: u,
  "normalized": plane.normalize,
  "tanh": jnp.tanh,
}


def tanh_saturation(u: jax.Array) -> dict[str, jax.Array]:
  """How far outputs have left the part of tanh that learns.

  Args:
    u: `[..., n]` raw outputs, before the tanh.

  Returns:
    `[...]` each: `saturated_share` of the n with |tanh u| > .99, where the
    gradient is below 2 % of its largest (all of them there: the answer is
    frozen on a corner, a multiple of 45 degrees); `tanh_slope`, the mean
    derivative 1 - tanh^2 u; `mean_abs_output`, the mean |u|.
  """
  v = jnp.tanh(u)
  return {
    "saturated_share": (jnp.abs(v) > 0.99).mean(-1, dtype=jnp.float32),
    "tanh_slope": (1 - v * v).mean(-1),
    "mean_abs_output": jnp.abs(u).mean(-1),
  }


def mse(v: jax.Array, t: jax.Array) -> jax.Array:
  """|v - t|^2; for a unit vector this is 2 (1 - cos D)."""
  return plane.dot(v - t, v - t)


def l1(v: jax.Array, t: jax.Array) -> jax.Array:
  """|v1 - t1| + |v2 - t2|: not rotation invariant, as only `cdl` besides."""
  return jnp.abs(v - t).sum(-1)


def cosine(v: jax.Array, t: jax.Array) -> jax.Array:
  """1 - cos D whatever the length of v, as Keras' cosine_proximity + 1."""
  unit = plane.normalize(v)
  # |v/|v| - t|^2 / 2 keeps its digits near D = 0; at v = 0 the loss is 1/2.
  return 0.5 * plane.dot(unit - t, unit - t)


def arc(v: jax.Array, t: jax.Array) -> jax.Array:
  """|D| in radians through atan2 of cross and dot product.

  The same number, and gradient, as the wrapped L1 of atan2(v) - theta.
  """
  return plane.arc(plane.dot(v, t), plane.cross(v, t))


def chord(v: jax.Array, t: jax.Array) -> jax.Array:
  """|v/|v| - t| = 2 |sin(D/2)|."""
  return plane.norm(plane.normalize(v) - t)


def exp_cos(v: jax.Array, t: jax.Array, kappa: float = 1.0) -> jax.Array:
  """1 - exp(kappa (cos D - 1)) (Beyer et al. 2015, eq. 6)."""
  return -jnp.expm1(-kappa * cosine(v, t))


def cdl(v: jax.Array, t: jax.Array) -> jax.Array:
  """(1 - cos D)^2 |v - t|_1, very flat near zero.

  Electronics 2024, 13, 4402.
  """
  return jnp.square(cosine(v, t)) * l1(v, t)


LOSSES = {
  "arc": arc,
  "cdl": cdl,
  "chord": chord,
  "cosine": cosine,
  "exp_cos": exp_cos,
  "l1": l1,
  "mse": mse,
}


@dataclasses.dataclass(frozen=True)
class Vector:
  """(cos, sin) regression: an activation and a loss, freely combined.

  Attributes:
    activation: "linear", "tanh" (the forum's) or "normalized" (biternion).
    loss_: a key of `LOSSES`.
    kappa: concentration in "exp_cos".
    norm_penalty: weight of (|u| - 1)^2 on the raw outputs (QuaterNet's).
  """

  activation: str = "linear"
  loss_: str = "cosine"
  kappa: float = 1.0
  norm_penalty: float = 0.0

  def __post_init__(self):
    errors.choose("head.activation", self.activation, ACTIVATIONS)
    errors.choose("loss for head vector", self.loss_, LOSSES)
    errors.check_range("head.kappa", self.kappa, 1e-6, 1e6)
    errors.check_range("head.norm_penalty", self.norm_penalty, 0, 1e6)

  turns = (1,)

  @property
  def num_outputs(self) -> int:
    return 2

  def loss(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    v = ACTIVATIONS[self.activation](outputs)
    options = {"kappa": self.kappa} if self.loss_ == "exp_cos" else {}
    value = LOSSES[self.loss_](v, plane.target_vector(theta), **options)
    if self.norm_penalty:
      value += self.norm_penalty * jnp.square(plane.norm(outputs) - 1)
    return value

  def decode(self, outputs: jax.Array) -> jax.Array:
    return plane.direction(ACTIVATIONS[self.activation](outputs))

  def diagnostics(self, outputs: jax.Array) -> dict[str, jax.Array]:
    if self.activation != "tanh":
      return {}
    return tanh_saturation(outputs)

  def log_density(self, outputs: jax.Array, theta: jax.Array) -> None:
    """None: a direction without a stated concentration."""
