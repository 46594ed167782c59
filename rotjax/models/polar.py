"""A backbone that turns with the image: circular convolutions on polar grids.

The disc is resampled to angle x radius, where turning the picture shifts the
columns. Circular convolutions along the angle keep that shift, and a readout
by Fourier coefficients turns it into the outputs': as the picture turns once,
the pair of frequency k turns k times (Marcos et al. 2017 read vector fields so;
Esteves et al. 2018 resample to polar grids). What the network has learnt at one
angle it knows at all others, to the grid's interpolation, exactly by 90
degrees, and it cannot tell angles by what an interpolator leaves in the pixels
of some of them.
"""

import dataclasses
import math

import flax.nnx as nnx
import jax
import jax.numpy as jnp
import numpy as np

from rotjax import errors
from rotjax.models import layers


def grid(
  side: int, num_angles: int, num_radii: int
) -> tuple[np.ndarray, np.ndarray]:
  """A fixed sparse map from the pixels of a square to its disc's polar grid.

  A sample is the mean of as many bilinear ones as its cell is pixels wide, so
  that nothing is skipped.

  Args:
    side: of the square, S pixels.
    num_angles: A, counter-clockwise from the right; a multiple of 4.
    num_radii: R rings of equal width, the outermost ending at the disc's rim.

  Returns:
    int32 `[T, A R]` pixels of the flattened square and float32 `[T, A R]`
    weights of T taps, by which turning the square by 90 degrees is a shift by
    A / 4 to rounding.
  """
  middle, width = (side - 1) / 2, side / 2 / num_radii
  cell = max(width, 2 * math.pi * (side / 2) / num_angles)
  fine = max(1, math.ceil(cell - 0.5))
  within = (np.arange(fine) + 0.5) / fine - 0.5
  phi = 2 * np.pi * (np.arange(num_angles)[:, None] + within) / num_angles
  radius = (np.arange(num_radii)[:, None] + 0.5 + within) * width
  index, weight = [], []
  for i in range(fine):
    for j in range(fine):
      # Rounded: a pixel's own place at 1e-15 beside it is a quarter turn's
      # neighbour's.
      y = np.round(middle - np.outer(np.sin(phi[:, i]), radius[:, j]), 9)
      x = np.round(middle + np.outer(np.cos(phi[:, i]), radius[:, j]), 9)
      for down in (0, 1):
        for right in (0, 1):
          row, column = np.floor(y) + down, np.floor(x) + right
          share = (1 - np.abs(y - row)) * (1 - np.abs(x - column))
          inside = (0 <= row) & (row < side) & (0 <= column) & (column < side)
          index.append(np.where(inside, row * side + column, 0).ravel())
          weight.append(np.where(inside, share, 0).ravel() / fine**2)
  return np.asarray(index, np.int32), np.asarray(weight, np.float32)


def _around(x: jax.Array, reach: int) -> jax.Array:
  """`[N, A, ...]` -> `[N, A + 2 reach, ...]`, the ring continued each way."""
  return jnp.concatenate([x[:, -reach:], x, x[:, :reach]], axis=1)


def _most_turns(num_angles: int) -> int:
  """How often an output may turn with the picture: what the grid can tell."""
  return (num_angles - 1) // 2


def readout(turning: layers.Turning, num_angles: int) -> list[np.ndarray]:
  """What each signal along the angle is multiplied with: float32 `[A, n]`.

  Args:
    turning: how the head's outputs turn.
    num_angles: A.

  Returns:
    A matrix a signal; the products, side by side, are the outputs.

  Raises:
    UserError: outputs that turn faster than the grid can tell.
  """
  phi = 2 * np.pi * np.arange(num_angles) / num_angles
  fold, highest = turning.fold, _most_turns(num_angles)
  if turning.ring:
    theta = 2 * np.pi * np.arange(turning.ring) / turning.ring
    last = min(turning.ring // 2, highest // fold)
    k = np.arange(1, last + 1)
    gap = fold * phi[:, None, None] - theta[:, None]
    wave = 1 + 2 * np.cos(k * gap).sum(-1)
    return [np.asarray(wave / num_angles, np.float32)]
  if fold * max(turning.pairs) > highest:
    raise errors.UserError(
      f"model.num_angles = {num_angles} cannot tell outputs that turn"
      f" {fold * max(turning.pairs)} times as the picture turns once: at least"
      f" {4 * -(-(2 * fold * max(turning.pairs) + 1) // 4)}"
    )
  waves = [
    2 * np.stack([np.cos(fold * k * phi), np.sin(fold * k * phi)], axis=-1)
    if k
    else np.ones((num_angles, 1))
    for k in turning.pairs
  ]
  return [np.asarray(wave / num_angles, np.float32) for wave in waves]


class _Polar(nnx.Module):
  def __init__(self, options, turning, image_shape, dtype, rngs):
    self.options, self.turning = options, turning
    self.side, _, channels = image_shape
    features = options.num_radii * channels
    for i, size in enumerate(options.widths):
      # Along the angle, over all radii and channels: of a picture one wide.
      conv = layers.Conv(
        features,
        size,
        (options.kernel, 1),
        padding="VALID",
        rngs=rngs,
        dtype=dtype,
      )
      setattr(self, f"conv{i}", conv)
      features = size
    self.dropout = layers.Dropout(options.dropout, salt=0)
    units = len(readout(turning, options.num_angles))
    # A small last layer starts every head near its uninformed answer.
    self.out = layers.last(features, units, rngs=rngs, scale=0.1)

  def __call__(self, x, context):
    options = self.options
    index, weight = grid(self.side, options.num_angles, options.num_radii)
    flat = x.reshape(x.shape[0], -1, x.shape[-1])
    taps = zip(jnp.asarray(index), jnp.asarray(weight, x.dtype))
    x = sum(w.reshape(1, -1, 1) * jnp.take(flat, i, axis=1) for i, w in taps)
    x = x.reshape(x.shape[0], options.num_angles, 1, -1)
    for i in range(len(options.widths)):
      around = _around(x, options.kernel // 2)
      x = jax.nn.relu(getattr(self, f"conv{i}")(around))
    x = self.dropout(x, context)
    signals = self.out(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:2], -1)
    waves = readout(self.turning, options.num_angles)
    return jnp.concatenate(
      [
        jnp.matmul(signals[..., i], wave, precision="highest")
        for i, wave in enumerate(waves)
      ],
      axis=-1,
    )


@dataclasses.dataclass(frozen=True)
class Polar:
  """Circular convolutions on a polar grid; turns with the image.

  For heads whose outputs turn with the angle, see `heads.turning`.

  Attributes:
    num_angles: of the grid; a multiple of 4.
    num_radii: of the grid.
    widths: channels of each convolution.
    kernel: angles that a convolution sees, an odd number.
    dropout: rate in front of the last layer.
  """

  num_angles: int = 64
  num_radii: int = 16
  widths: tuple[int, ...] = (64, 64, 64)
  kernel: int = 7
  dropout: float = 0.0

  def __post_init__(self):
    errors.check_range("model.num_angles", self.num_angles, 8, 1024)
    errors.check_range("model.num_radii", self.num_radii, 1, 512)
    layers.check_sizes("widths", self.widths, 2**14)
    errors.check_range("model.kernel", self.kernel, 1, self.num_angles)
    if self.num_angles % 4 or self.kernel % 2 == 0:
      raise errors.UserError(
        f"model.num_angles = {self.num_angles} must be a multiple of 4 and"
        f" model.kernel = {self.kernel} an odd number"
      )
    layers.check_rate("dropout", self.dropout)

  @property
  def most_turns(self) -> int:
    return _most_turns(self.num_angles)

  def module(
    self,
    num_outputs: int,
    image_shape: tuple[int, int, int],
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
    turning: layers.Turning | None = None,
  ) -> nnx.Module:
    if turning is None:
      raise errors.UserError(
        "model polar needs a head whose outputs turn with the picture: vector,"
        " harmonics, fourier, bins, csl, acm or a density of one mode"
      )
    return _Polar(self, turning, image_shape, dtype, rngs)
