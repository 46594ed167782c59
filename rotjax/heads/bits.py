"""Few outputs for many directions: each is the log-odds of one bit.

Dense codes number the 2^b bins in binary or Gray code (Yang et al. 2021,
"Dense label encoding for boundary discontinuity free rotation detection"): no
redundancy, so that one wrong bit may be a wrong half-turn. Half-planes ask M
times on which side of a diameter the angle lies: one wrong bit of M moves the
answer by little, as in ordinal regression.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from rotjax import errors
from rotjax.heads import bins, csl, grid

DECODINGS = bins.DECODINGS


def binary_code(num_bits: int) -> np.ndarray:
  """`[2^b, b]` of 0 and 1: the bins' numbers, most significant bit first."""
  numbers = np.arange(2**num_bits)[:, None]
  return (numbers >> np.arange(num_bits)[::-1]) & 1


def gray_code(num_bits: int) -> np.ndarray:
  """`[2^b, b]`: neighbours, the first and the last included, differ in one
  bit."""
  code = binary_code(num_bits)
  return np.concatenate([code[:, :1], code[:, 1:] ^ code[:, :-1]], axis=1)


def half_plane_code(num_planes: int) -> np.ndarray:
  """`[2 M, M]`: whether arc g lies within a quarter turn of direction k.

  Arcs are the points of `grid`, so that the M diameters fall between them.
  """
  g, k = np.arange(2 * num_planes)[:, None], np.arange(num_planes)
  return ((g - k - 1) % (2 * num_planes) < num_planes).astype(np.int64)


CODES = {"binary": binary_code, "gray": gray_code}


def code_loss(
  outputs: jax.Array, theta: jax.Array, code: np.ndarray
) -> jax.Array:
  """Binary cross-entropy summed over the bits of theta's row of `[K, b]`."""
  index = grid.nearest(theta, len(code))
  targets = jnp.asarray(code, jnp.float32)[index]
  return csl.binary_cross_entropy(outputs, targets).sum(-1)


def hinge_loss(
  outputs: jax.Array, theta: jax.Array, code: np.ndarray
) -> jax.Array:
  """max(0, 1 - sign x output) summed over the bits."""
  index = grid.nearest(theta, len(code))
  signs = 2 * jnp.asarray(code, jnp.float32)[index] - 1
  return jnp.maximum(0.0, 1 - signs * outputs).sum(-1)


def scores(outputs: jax.Array, code: np.ndarray) -> jax.Array:
  """`[..., b]` log-odds -> `[..., K]`, log-probability of each row of `code`.

  Up to a constant, the bits taken as independent.
  """
  signs = jnp.asarray(code, jnp.float32) - 0.5
  signs = jnp.broadcast_to(signs, outputs.shape[:-1] + signs.shape)
  return (outputs[..., None, :] * signs).sum(-1)


LOSSES = {"cross_entropy": code_loss, "hinge": hinge_loss}


@dataclasses.dataclass(frozen=True)
class Bits:
  """Dense coded labels: the number of one of 2^b bins, bit by bit.

  Each number is a bin, so that independent bits are a histogram density, and
  the cross-entropy its negative logarithm up to the bins' width.

  Attributes:
    num_bits: b; the error floor is 90/2^b degrees.
    code: a key of `CODES`.
  """

  num_bits: int = 8
  code: str = "gray"

  def __post_init__(self):
    errors.check_range("head.num_bits", self.num_bits, 2, 12)
    errors.choose("head.code", self.code, CODES)

  @property
  def num_outputs(self) -> int:
    return self.num_bits

  @property
  def num_cells(self) -> int:
    """The density is constant on each; see `density.grid_size`."""
    return 2**self.num_bits

  def loss(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    code = CODES[self.code](self.num_bits)
    return code_loss(outputs, theta, code)

  def decode(self, outputs: jax.Array) -> jax.Array:
    code = CODES[self.code](self.num_bits)
    return grid.argmax(scores(outputs, code))

  def log_density(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    """Piecewise constant: the bits' probability over the width of a bin."""
    return math.log(2**self.num_bits / (2 * math.pi)) - self.loss(
      outputs, theta
    )


@dataclasses.dataclass(frozen=True)
class HalfPlanes:
  """M yes/no questions: is the angle within 90 degrees of direction k?

  Attributes:
    num_planes: M; the circle falls into 2 M arcs, floor 45/M degrees.
    loss_: a key of `LOSSES`.
    decode_: a key of `DECODINGS`, on the likelihood of the 2 M valid codes.
  """

  num_planes: int = 36
  loss_: str = "cross_entropy"
  decode_: str = "argmax"

  def __post_init__(self):
    # The table of its codes has 2 M^2 entries.
    errors.check_range("head.num_planes", self.num_planes, 2, 1800)
    errors.choose("loss for head half_planes", self.loss_, LOSSES)
    errors.choose("head.decode", self.decode_, DECODINGS)

  @property
  def num_outputs(self) -> int:
    return self.num_planes

  def loss(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    code = half_plane_code(self.num_planes)
    return LOSSES[self.loss_](outputs, theta, code)

  def decode(self, outputs: jax.Array) -> jax.Array:
    code = half_plane_code(self.num_planes)
    return DECODINGS[self.decode_](scores(outputs, code))

  def log_density(self, outputs: jax.Array, theta: jax.Array) -> None:
    """None: most of the 2^M answers are no direction at all."""
