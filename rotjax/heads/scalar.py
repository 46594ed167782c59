"""One output, or a split pair of them, read as the angle itself in radians.

No continuous scalar runs round a circle: somewhere the target jumps by a full
turn, and the network sweeps through every wrong angle there (Zhou et al. 2019,
"On the continuity of rotation representations"). These are the rows that the
other heads are compared with.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp

from rotjax import angles, errors
from rotjax.heads import losses

# Name -> (the output in radians, the lower end of the range of its target).
OUTPUTS = {
  "linear": (lambda x: x, -math.pi),
  "sigmoid": (lambda x: 2 * math.pi * jax.nn.sigmoid(x), 0.0),
}


def l1(d: jax.Array) -> jax.Array:
  """|d| without wrapping: 359 degrees against 1 costs 358."""
  return jnp.abs(d)


def l2(d: jax.Array) -> jax.Array:
  """d^2 without wrapping."""
  return jnp.square(d)


def rcc(d: jax.Array, weight: float = 0.24) -> jax.Array:
  """r^2 + weight (1 - cos 2 pi r), r the unwrapped difference in turns.

  The square asks for the very number, the cosine for any angle that agrees up
  to full turns; a prediction one turn off costs 1, not 0. The weight decides
  whether it stays there: up to .233 the sum falls all the way from |r| = 1 to
  0, beyond it a shallow valley opens near |r| = .7, at .24 a first trace of it
  (rotate-captcha-crack, RotationLoss, where outputs lie in [0, 1)).
  """
  r = d / (2 * math.pi)
  return jnp.square(r) + weight * losses.one_minus_cos(d)


def wrapped_l1(d: jax.Array) -> jax.Array:
  """|D|, the arc; its slope changes sign, at full size, at the antipode."""
  return jnp.abs(angles.wrap(d))


def wrapped_l2(d: jax.Array) -> jax.Array:
  """D^2; steepest just short of the antipode, where it has a kink."""
  return jnp.square(angles.wrap(d))


def wrapped_huber(d: jax.Array, delta: float = 1 / 9) -> jax.Array:
  """Huber's loss of the wrapped difference."""
  return losses.huber(angles.wrap(d), delta)


def parabola(d: jax.Array) -> jax.Array:
  """pi^2 - (pi - |D|)^2: slope 2 (pi - |D|), so L1-like, then flat at pi."""
  arc = wrapped_l1(d)
  return arc * (2 * math.pi - arc)


# Functions of the difference that have its period.
PERIODIC = {
  "chord": losses.chord,
  "exp_cos": losses.exp_cos,
  "one_minus_cos": losses.one_minus_cos,
  "parabola": parabola,
  "wrapped_huber": wrapped_huber,
  "wrapped_l1": wrapped_l1,
  "wrapped_l2": wrapped_l2,
}
LOSSES = PERIODIC | {"l1": l1, "l2": l2, "rcc": rcc}


@dataclasses.dataclass(frozen=True)
class Scalar:
  """The angle in radians from one number.

  Attributes:
    output: "linear", or "sigmoid" for 2 pi sigmoid(x), whose two saturated
      ends are the same angle.
    loss_: a key of `LOSSES`. Those that do not wrap take the target within one
      turn: [-pi, pi), or [0, 2 pi) for the sigmoid.
    kappa: concentration in "exp_cos".
    delta_deg: where "wrapped_huber" turns straight, degrees of the head's
      circle.
    rcc_weight: weight of the cosine in "rcc".
  """

  output: str = "linear"
  loss_: str = "wrapped_l1"
  kappa: float = 1.0
  delta_deg: float = 6.4
  rcc_weight: float = 0.24

  def __post_init__(self):
    errors.choose("head.output", self.output, OUTPUTS)
    errors.choose("loss for head scalar", self.loss_, LOSSES)
    errors.check_range("head.kappa", self.kappa, 1e-6, 1e6)
    errors.check_range("head.delta_deg", self.delta_deg, 1e-3, 360.0)
    errors.check_range("head.rcc_weight", self.rcc_weight, 0, 1e6)

  @property
  def num_outputs(self) -> int:
    return 1

  def _angle(self, outputs: jax.Array) -> jax.Array:
    return OUTPUTS[self.output][0](outputs[..., 0])

  def loss(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    middle = OUTPUTS[self.output][1] + math.pi
    d = self._angle(outputs) - (angles.wrap(theta - middle) + middle)
    options = {
      "exp_cos": {"kappa": self.kappa},
      "rcc": {"weight": self.rcc_weight},
      "wrapped_huber": {"delta": math.radians(self.delta_deg)},
    }
    return LOSSES[self.loss_](d, **options.get(self.loss_, {}))

  def decode(self, outputs: jax.Array) -> jax.Array:
    return angles.wrap(self._angle(outputs))

  def log_density(self, outputs: jax.Array, theta: jax.Array) -> None:
    """None: an angle without a stated concentration."""


@dataclasses.dataclass(frozen=True)
class SplitPair:
  """Left and right turn apart: targets max(0, theta) and max(0, -theta), L1.

  Fischer, Dosovitskiy, Brox 2015, "Image orientation estimation with
  convolutional networks". Continuous at theta = 0, where most images of a
  small range lie; for a full turn the jump at the antipode remains.
  """

  @property
  def num_outputs(self) -> int:
    return 2

  def loss(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    signed = angles.wrap(theta)
    left = jnp.abs(outputs[..., 0] - jnp.maximum(signed, 0.0))
    right = jnp.abs(outputs[..., 1] - jnp.maximum(-signed, 0.0))
    return left + right

  def decode(self, outputs: jax.Array) -> jax.Array:
    return angles.wrap(outputs[..., 0] - outputs[..., 1])

  def log_density(self, outputs: jax.Array, theta: jax.Array) -> None:
    """None: an angle without a stated concentration."""
