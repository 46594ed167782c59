"""Circular smooth labels: K independent yes/no questions under a window.

Yang & Yan 2020, "Arbitrary-oriented object detection with circular smooth
label". Each bin has a sigmoid of its own and a binary cross-entropy, as in the
paper, not one softmax; the outputs therefore state no density. The label is
that of the nearest bin, and a window of peak 1 spreads it.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp

from rotjax import errors
from rotjax.heads import bins, grid

DECODINGS = bins.DECODINGS

# Each takes |D| / radius, `[..., K]`; beyond 1 the label is cut to zero.
WINDOWS = {
  "gaussian": lambda r: jnp.exp(-0.5 * jnp.square(3 * r)),
  "pulse": lambda r: jnp.where(r == 0, 1.0, 0.0),
  "rectangular": jnp.ones_like,
  "triangle": lambda r: 1 - r,
}


def labels(
  theta: jax.Array, num_bins: int, window: str, radius: float
) -> jax.Array:
  """`[...]` radians -> `[..., K]` labels in [0, 1].

  The Gaussian's standard deviation is a third of `radius` (radians), where the
  window ends.
  """
  angle = grid.centers(num_bins)[grid.nearest(theta, num_bins)]
  # Whole bins apart, so that rounding moves none across the window's edge.
  step = 2 * math.pi / num_bins
  r = jnp.round(jnp.abs(grid.differences(angle, num_bins)) / step)
  r *= step / radius
  return jnp.where(r < 1, WINDOWS[window](r), 0.0)


def binary_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
  """Elementwise, less the target's own entropy, so that it is zero at best."""
  entropy = jax.scipy.special.entr(targets) + jax.scipy.special.entr(
    1 - targets
  )
  likely = targets * jax.nn.log_sigmoid(logits)
  unlikely = (1 - targets) * jax.nn.log_sigmoid(-logits)
  return -likely - unlikely - entropy


@dataclasses.dataclass(frozen=True)
class CSL:
  """Circular smooth labels.

  Attributes:
    num_bins: K.
    window: a key of `WINDOWS`.
    radius_deg: half-width of the window, degrees of the head's circle.
    decode_: a key of `DECODINGS`, applied to the log-probabilities of yes.
  """

  num_bins: int = 360
  window: str = "gaussian"
  radius_deg: float = 6.0
  decode_: str = "argmax"

  def __post_init__(self):
    errors.check_range("head.num_bins", self.num_bins, 3, 36_000)
    errors.choose("head.window", self.window, WINDOWS)
    errors.choose("head.decode", self.decode_, DECODINGS)
    errors.check_range("head.radius_deg", self.radius_deg, 0.01, 360.0)

  @property
  def num_outputs(self) -> int:
    return self.num_bins

  @property
  def turns(self) -> int:
    return self.num_bins

  def loss(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    radius = math.radians(self.radius_deg)
    targets = labels(theta, self.num_bins, self.window, radius)
    return binary_cross_entropy(outputs, targets).sum(-1)

  def decode(self, outputs: jax.Array) -> jax.Array:
    return DECODINGS[self.decode_](jax.nn.log_sigmoid(outputs))

  def log_density(self, outputs: jax.Array, theta: jax.Array) -> None:
    """None: K separate probabilities, not one distribution."""
