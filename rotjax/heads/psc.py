"""Phase-shifting coder: N cosines of the angle, evenly shifted in phase.

Yu & Da 2023, "Phase-shifting coder: predicting accurate orientation in
oriented object detection". On a circle of one turn the base frequency is 1;
"dual" adds the same N at frequency 2, which is finer and half as far round,
and lets the first decide between its two answers. With N = 3 and one frequency
it is a linear recoding of (cos, sin): squared error is then 3/2 that of
`vector` plus the square of the code's mean.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from rotjax import angles, errors
from rotjax.heads import losses, plane

ACTIVATIONS = {"linear": lambda x: x, "tanh": jnp.tanh}


def shifts(num_steps: int) -> np.ndarray:
  """`[N]` phases 2 pi n / N."""
  return 2 * math.pi * np.arange(num_steps) / num_steps


def encode(theta: jax.Array, num_steps: int, dual: bool) -> jax.Array:
  """`[...]` radians -> `[..., N]` or `[..., 2 N]`: cos(w theta + 2 pi n/N)."""
  phases = jnp.asarray(shifts(num_steps), jnp.float32)
  code = jnp.cos(jnp.add.outer(theta, phases))
  if dual:
    code2 = jnp.cos(jnp.add.outer(2 * theta, phases))
    code = jnp.concatenate([code, code2], axis=-1)
  return code


def demodulate(code: jax.Array) -> jax.Array:
  """`[..., N]` -> `[..., 2]`, N/2 (cos phase, sin phase) of a clean code."""
  back = plane.target_vector(jnp.asarray(-shifts(code.shape[-1]), jnp.float32))
  return (code[..., None] * jnp.broadcast_to(back, code.shape + (2,))).sum(-2)


def unwrap(once: jax.Array, twice: jax.Array) -> jax.Array:
  """The angle from vectors `[..., 2]` at theta and at 2 theta.

  The second says theta or theta + pi, the first which of them.

  Returns:
    `[...]` radians in [-pi, pi).
  """
  half = plane.direction(twice) / 2
  opposite = plane.dot(once, plane.target_vector(half)) < 0
  return angles.wrap(jnp.where(opposite, half + math.pi, half))


def l1(x: jax.Array, t: jax.Array) -> jax.Array:
  """Sum over the code of |x - t|; not rotation invariant."""
  return jnp.abs(x - t).sum(-1)


def mse(x: jax.Array, t: jax.Array) -> jax.Array:
  """Sum over the code of (x - t)^2."""
  return jnp.square(x - t).sum(-1)


def smooth_l1(x: jax.Array, t: jax.Array, beta: float = 1 / 9) -> jax.Array:
  """Sum over the code of Huber's loss / beta."""
  return losses.huber(x - t, beta).sum(-1) / beta


LOSSES = {"l1": l1, "mse": mse, "smooth_l1": smooth_l1}


@dataclasses.dataclass(frozen=True)
class PSC:
  """Phase-shifting coder.

  Attributes:
    num_steps: N, at least 3.
    dual: whether to add the code at twice the frequency.
    activation: of the outputs, "linear" or "tanh".
    loss_: a key of `LOSSES`.
    min_modulation: angles whose squared modulation, (N/2)^2 for a clean code,
      is below this decode to 0, as of things that look alike all round; .47 in
      mmrotate, off at 0.
  """

  num_steps: int = 3
  dual: bool = False
  activation: str = "linear"
  loss_: str = "mse"
  min_modulation: float = 0.0

  def __post_init__(self):
    errors.check_range("head.num_steps", self.num_steps, 3, 1000)
    errors.check_range("head.min_modulation", self.min_modulation, 0, 1e6)
    errors.choose("head.activation", self.activation, ACTIVATIONS)
    errors.choose("loss for head psc", self.loss_, LOSSES)

  @property
  def num_outputs(self) -> int:
    return self.num_steps * (2 if self.dual else 1)

  def loss(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    code = ACTIVATIONS[self.activation](outputs)
    return LOSSES[self.loss_](code, encode(theta, self.num_steps, self.dual))

  def decode(self, outputs: jax.Array) -> jax.Array:
    code = ACTIVATIONS[self.activation](outputs)
    vector = demodulate(code[..., : self.num_steps])
    theta = plane.direction(vector)
    if self.dual:
      once, vector = vector, demodulate(code[..., self.num_steps :])
      theta = unwrap(once, vector)
    modulation = plane.dot(vector, vector)
    return jnp.where(modulation < self.min_modulation, 0.0, theta)

  def log_density(self, outputs: jax.Array, theta: jax.Array) -> None:
    """None: a phase without a stated concentration."""
