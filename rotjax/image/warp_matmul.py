"""Interpolation as matrix products, for backends that gather slowly.

A TPU reads single elements slowly and multiplies matrices fast. Each row of
weights holds the K numbers of a stencil (two where it is bilinear) and zeros
elsewhere, so that

    out[p] = sum_x Wx[p, x] (Wy @ image)[p, x]

has the very weights of K x K gathers, in other sums. The canvas is cut into
tiles, because a tile reads only a window of the source: at 224 pixels that is
a sixteenth of the arithmetic.
"""

import math
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp

# A tile of so many points a side reads a window of 49 pixels a side.
TILE = 32


class Stencil(NamedTuple):
  """What is read along one axis of the source.

  Attributes:
    at: int32 `[K, H, W]` K neighbours of each canvas pixel, in range.
    weight: float32 `[K, H, W]` theirs.
  """

  at: jax.Array
  weight: jax.Array


def _tiles(stencil: Stencil) -> Stencil:
  """`[K, H, W]` -> `[tiles, K, TILE * TILE]`; tiles or fewer points a side."""
  height, width = stencil.at.shape[1:]
  tile = (min(TILE, height), min(TILE, width))
  pads = ((0, 0), (0, -height % tile[0]), (0, -width % tile[1]))

  def cut(x):
    # The edge again: what is added must not widen the window.
    x = jnp.pad(x, pads, mode="edge")
    x = x.reshape(len(x), x.shape[1] // tile[0], tile[0], -1, tile[1])
    return x.transpose(1, 3, 0, 2, 4).reshape(-1, len(x), tile[0] * tile[1])

  return Stencil(cut(stencil.at), cut(stencil.weight))


def _untile(points: jax.Array, size: tuple[int, int]) -> jax.Array:
  """`[tiles, TILE * TILE, C]` -> `[H, W, C]`, the inverse of `_tiles`."""
  tile = (min(TILE, size[0]), min(TILE, size[1]))
  rows = -(-size[0] // tile[0])
  x = points.reshape(rows, -1, *tile, points.shape[-1])
  x = x.transpose(0, 2, 1, 3, 4)
  x = x.reshape(rows * tile[0], -1, points.shape[-1])
  return x[: size[0], : size[1]]


def _matrix(at: jax.Array, weight: jax.Array, length: int) -> jax.Array:
  """`[K, P]` twice -> the weights `[P, length]` as a matrix."""
  hit = at[..., None] == jnp.arange(length, dtype=at.dtype)[None, None]
  return jnp.where(hit, weight[..., None], 0.0).sum(0)


def interpolate(
  image: jax.Array, rows: Stencil, columns: Stencil, max_scale: float
) -> jax.Array:
  """Sums each canvas pixel's neighbours by matrix products.

  Args:
    image: `[H, W, C]` float32.
    rows: what is read along y, for a canvas `[h, w]`.
    columns: the same along x.
    max_scale: a static bound on the source pixels in one canvas pixel.

  Returns:
    `[h, w, C]` float32.
  """
  height, width, channels = image.shape
  taps, *canvas = rows.at.shape
  size = (canvas[0], canvas[1])
  # The diagonal between a tile's outermost points, their other neighbours and
  # a pixel for each end's rounding.
  across = math.hypot(*(min(TILE, side) - 1 for side in size)) * max_scale
  window = tuple(
    min(side, math.ceil(across) + taps + 1) for side in (height, width)
  )

  def tile(stencils):
    y, x = stencils
    seen, top, left = image, 0, 0
    if window != (height, width):
      # dynamic_slice would clamp by itself, but not tell.
      top = jnp.minimum(y.at.min(), height - window[0])
      left = jnp.minimum(x.at.min(), width - window[1])
      seen = lax.dynamic_slice(image, (top, left, 0), (*window, channels))
    by_row = jnp.matmul(
      _matrix(y.at - top, y.weight, window[0]),
      seen.reshape(window[0], -1),
      precision=lax.Precision.HIGHEST,  # a TPU's default is bfloat16
    )
    across_row = _matrix(x.at - left, x.weight, window[1])
    by_row = by_row.reshape(-1, window[1], channels)
    return (across_row[..., None] * by_row).sum(1)

  # One tile after another: all together would take gigabytes.
  tiles = lax.map(tile, (_tiles(rows), _tiles(columns)))
  return _untile(tiles, size)
