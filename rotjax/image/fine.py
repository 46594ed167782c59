r"""A source without its own grid: band-limited to a disc, and resampled finer.

The pixels of a source lie on a square grid, and its spectrum fills a square
that turns with the image: this tells the angle modulo 90 degrees, however well
the turn interpolates. So only the frequencies are kept that every turn keeps,
those of a disc. Of what is left one bilinear sample on a finer grid reads
nearly the true value.

An image is taken as mirrored at its borders (d c b a | a b c d), where its
cosine transform is its Fourier transform. Then each step is a matrix product.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

# Cycles per pixel: all that is below the first is kept, nothing above the
# second. Half a cycle is what a grid can hold.
PASS, STOP = 0.38, 0.48
# Numbers of float64 in one chunk of images, about.
_CHUNK = 2**22


def side(length: int, factor: float) -> int:
  """Samples that cover `length` pixels with `factor` samples a pixel."""
  return max(math.ceil(length * factor - 1e-6), 1)


def place(pixels: tuple[float, float], factor: float) -> tuple[float, float]:
  """Where a point (y, x) of the source lies among its finer samples.

  A pixel of side 1 about its whole number becomes `factor` samples.
  """
  y, x = ((p + 0.5) * factor - 0.5 for p in pixels)
  return y, x


def _cosines(length: int, count: int, factor: float) -> np.ndarray:
  """`[samples, count]`: the first cosines of a side, at its samples."""
  at = (2 * np.arange(side(length, factor)) + 1) / (2 * length * factor)
  return np.cos(np.pi * at[:, None] * np.arange(count))


def _transform(length: int, count: int) -> np.ndarray:
  """`[count, length]`: from pixels to the weights of those cosines."""
  weights = 2 * _cosines(length, count, 1.0).T / length
  weights[0] /= 2
  return weights


@functools.lru_cache(maxsize=8)
def _plan(size, factor, cutoff, undo):
  """The matrices of `resample`: transforms, gain and cosines, y before x."""
  counts = [min(n, math.floor(2 * n * STOP * cutoff) + 1) for n in size]
  y, x = (np.arange(c) / (2 * n) for c, n in zip(counts, size))
  radius = np.hypot(y[:, None], x) / cutoff
  fall = np.clip((radius - PASS) / (STOP - PASS), 0, 1)
  gain = 0.5 + 0.5 * np.cos(np.pi * fall)
  if undo:
    gain /= np.outer(np.sinc(y / factor), np.sinc(x / factor)) ** 2
  to = [_transform(n, c) for n, c in zip(size, counts)]
  back = [_cosines(n, c, factor) for n, c in zip(size, counts)]
  return to, gain, back


def resample(images: np.ndarray, factor: float, cutoff: float) -> np.ndarray:
  """Images band-limited to a disc, with `factor` samples a pixel each way.

  Args:
    images: `[N, H, W, C]` uint8.
    factor: samples in a pixel; below 1 where the image is shrunk.
    cutoff: the disc: `STOP` times this many cycles per pixel are the highest.

  Returns:
    uint8 `[N, side(H), side(W), C]`, a point of the image at `place`. What
    bilinear samples between these will lose on average is made up for.
    What rings beyond 0..255 is cut off.
  """
  n, height, width, channels = images.shape
  (to_y, to_x), gain, (back_y, back_x) = _plan(
    (height, width), factor, cutoff, True
  )
  shape = (len(back_y), len(back_x), channels)
  fine = np.empty((n, *shape), np.uint8)
  rows = max(_CHUNK // math.prod(shape), 1)
  for start in range(0, n, rows):
    part = np.moveaxis(images[start : start + rows], -1, 1).astype(np.float64)
    planes = part.reshape(-1, height, width)
    weights = gain * _along(_along(planes, to_x), to_y)
    pixels = _along(_along(weights, back_x), back_y)
    pixels = np.rint(pixels).clip(0, 255).astype(np.uint8)
    pixels = pixels.reshape(-1, channels, *shape[:2])
    fine[start : start + rows] = np.moveaxis(pixels, 1, -1)
  return fine


def _along(planes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
  """`[n, H, W]` -> `[n, W', H]`: along the last axis, which becomes the first.

  One product of two large matrices, which is faster than n of small ones.
  """
  n, height, width = planes.shape
  product = planes.reshape(n * height, width) @ matrix.T
  return product.reshape(n, height, -1).swapaxes(1, 2)


def resample_on_device(
  images: jax.Array, factor: float, cutoff: float
) -> jax.Array:
  """`resample` inside a program: the same numbers, but for ties in rounding."""
  plan = _plan(images.shape[-3:-1], factor, cutoff, True)
  return jnp.rint(_apply(images, plan)).astype(jnp.uint8)


def lowpass(pictures: jax.Array, cutoff: float) -> jax.Array:
  """The same disc of frequencies, on the pictures' own grid; on the device.

  Args:
    pictures: `[..., H, W, C]`, uint8 or floating.
    cutoff: see `resample`.

  Returns:
    The same shape, float32, cut to 0..255.
  """
  return _apply(pictures, _plan(pictures.shape[-3:-1], 1.0, cutoff, False))


def _apply(pictures, plan):
  """A plan's products, float32 in 0..255."""
  to, gain, back = plan
  to_y, to_x, back_y, back_x, gain = (
    jnp.asarray(matrix, jnp.float32) for matrix in (*to, *back, gain)
  )
  product = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
  pictures = pictures.astype(jnp.float32)
  weights = product("ph,...hwc,qw->...pqc", to_y, pictures, to_x)
  weights = product("...pqc,pq->...pqc", weights, gain)
  pixels = product("hp,...pqc,wq->...hwc", back_y, weights, back_x)
  return jnp.clip(pixels, 0.0, 255.0)
