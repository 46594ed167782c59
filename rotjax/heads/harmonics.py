"""Targets at several frequencies: (cos k theta, sin k theta), k = 1 ... F.

The first harmonic says roughly where, the higher ones say it finer and each up
to k-fold ambiguity; the peak of their sum settles both.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp

from rotjax import angles, errors
from rotjax.heads import grid, plane

_CANDIDATES = 3  # peaks that the search for the highest starts from


def pairs(outputs: jax.Array) -> jax.Array:
  """`[..., 2 F]` -> `[..., F, 2]`, the (cos, sin) coefficients by frequency."""
  return outputs.reshape(outputs.shape[:-1] + (-1, 2))


def targets(theta: jax.Array, num_harmonics: int) -> jax.Array:
  """`[...]` -> `[..., F, 2]`: (cos k theta, sin k theta), k = 1 ... F."""
  k = jnp.arange(1, num_harmonics + 1, dtype=jnp.float32)
  return plane.target_vector(jnp.multiply.outer(theta, k))


def polynomial(coefficients: jax.Array, theta: jax.Array) -> jax.Array:
  """sum_k a_k cos k theta + b_k sin k theta.

  Args:
    coefficients: `[..., F, 2]` pairs (a_k, b_k).
    theta: `[...]` radians.

  Returns:
    `[...]`.
  """
  t = targets(theta, coefficients.shape[-2])
  return plane.dot(coefficients, t).sum(-1)


def on_grid(coefficients: jax.Array, num_points: int) -> jax.Array:
  """`[..., F, 2]` -> `[..., G]`, the polynomial at `grid.centers(G)`."""
  t = targets(grid.centers(num_points), coefficients.shape[-2])
  # "highest": accelerators would round a product of matrices to 8 bits.
  return jnp.einsum("...fc,gfc->...g", coefficients, t, precision="highest")


def peak(coefficients: jax.Array) -> jax.Array:
  """Where the polynomial is largest: a grid, then three steps of Newton's.

  These start at the most promising peaks of the grid, and the highest of what
  they reach is taken.

  Args:
    coefficients: `[..., F, 2]`.

  Returns:
    `[...]` radians in [-pi, pi).
  """
  num_harmonics = coefficients.shape[-2]
  num_points = 16 * num_harmonics  # 16 to the shortest wave
  step = 2 * math.pi / num_points
  on = on_grid(coefficients, num_points)
  # A peak may lie 2 % above the points beside it, and so a lower one may have
  # the highest point: by their parabolas' vertices the best few are chosen.
  left, right = jnp.roll(on, 1, axis=-1), jnp.roll(on, -1, axis=-1)
  bend = 2 * on - left - right
  rise = jnp.square(right - left) / (8 * jnp.where(bend > 0, bend, 1.0))
  top = (on >= left) & (on >= right)
  vertex = jnp.where(top, on + jnp.where(bend > 0, rise, 0.0), -jnp.inf)
  _, best = jax.lax.top_k(vertex, min(_CANDIDATES, num_harmonics))
  theta = grid.centers(num_points)[best]
  coefficients = jnp.broadcast_to(
    coefficients[..., None, :, :], best.shape + coefficients.shape[-2:]
  )
  k = jnp.arange(1, num_harmonics + 1, dtype=jnp.float32)
  for _ in range(3):
    t = targets(theta, num_harmonics)
    frequency = jnp.broadcast_to(k, t.shape[:-1])
    slope = (frequency * plane.cross(t, coefficients)).sum(-1)
    bend = -(frequency**2 * plane.dot(coefficients, t)).sum(-1)
    peaked = bend < 0  # elsewhere, as for no outputs at all, stay
    newton = jnp.where(peaked, -slope / jnp.where(peaked, bend, 1.0), 0.0)
    theta = angles.wrap(theta + jnp.clip(newton, -step, step))
  highest = jnp.argmax(polynomial(coefficients, theta), axis=-1)
  return jnp.take_along_axis(theta, highest[..., None], axis=-1)[..., 0]


def mse(v: jax.Array, t: jax.Array) -> jax.Array:
  """Sum over the frequencies of |v_k - t_k|^2, `[..., F, 2]` -> `[...]`."""
  return plane.dot(v - t, v - t).sum(-1)


def l1(v: jax.Array, t: jax.Array) -> jax.Array:
  """Sum of |v - t| over all the numbers; not rotation invariant."""
  return jnp.abs(v - t).sum((-2, -1))


LOSSES = {"l1": l1, "mse": mse}


@dataclasses.dataclass(frozen=True)
class Harmonics:
  """Regression of cos and sin of theta, 2 theta, ..., F theta.

  Attributes:
    num_harmonics: F.
    loss_: a key of `LOSSES`.
  """

  num_harmonics: int = 4
  loss_: str = "mse"

  def __post_init__(self):
    errors.check_range("head.num_harmonics", self.num_harmonics, 1, 1000)
    errors.choose("loss for head harmonics", self.loss_, LOSSES)

  @property
  def num_outputs(self) -> int:
    return 2 * self.num_harmonics

  @property
  def turns(self) -> tuple[int, ...]:
    return tuple(range(1, self.num_harmonics + 1))

  def loss(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    v = pairs(outputs)
    return LOSSES[self.loss_](v, targets(theta, self.num_harmonics))

  def decode(self, outputs: jax.Array) -> jax.Array:
    return peak(pairs(outputs))

  def log_density(self, outputs: jax.Array, theta: jax.Array) -> None:
    """None: a peak without a stated width."""
