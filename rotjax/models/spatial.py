"""The end of a pretrained backbone: where things are, not only what they are.

A global mean forgets that the sky was above: on photographs it loses 20
degrees. Maps of several depths are pooled to a small grid instead, and one
hidden layer reads them all.
"""

from collections.abc import Sequence
from typing import Any

import flax.nnx as nnx
import jax
import jax.numpy as jnp
import numpy as np

from rotjax import errors
from rotjax.models import layers


def pooling(side: int, cells: int) -> np.ndarray:
  """The means of `side` pixels over `cells` equal stretches, as a matrix.

  A pixel that lies in two cells counts in each by its share.

  Args:
    side: pixels along one axis.
    cells: along it; may be more than there are pixels.

  Returns:
    float32 `[cells, side]`, whose rows sum to 1.
  """
  edges = np.arange(cells + 1) * (side / cells)
  low, high = edges[:-1, None], edges[1:, None]
  pixel = np.arange(side)[None]
  overlap = np.minimum(high, pixel + 1) - np.maximum(low, pixel)
  return (np.maximum(overlap, 0) * (cells / side)).astype(np.float32)


def pool(maps: jax.Array, cells: int) -> jax.Array:
  """`[N, H, W, C]` -> the means over a grid, `[N, cells * cells * C]`."""
  n, height, width, _ = maps.shape
  rows, columns = (
    jnp.asarray(pooling(side, cells), maps.dtype) for side in (height, width)
  )
  grid = jnp.einsum("ih,nhwc,jw->nijc", rows, maps, columns)
  return grid.reshape(n, -1)


class SpatialHead(nnx.Module):
  """One hidden layer over pooled maps, then dropout."""

  def __init__(
    self,
    features_in: int,
    hidden: int,
    dropout: float,
    *,
    rngs: nnx.Rngs,
    dtype: jnp.dtype = jnp.float32,
  ):
    self.hidden = layers.Dense(features_in, hidden, rngs=rngs, dtype=dtype)
    self.dropout = layers.Dropout(dropout, salt=0)

  def __call__(self, features: jax.Array, context: layers.Context) -> jax.Array:
    return self.dropout(jax.nn.relu(self.hidden(features)), context)


class Pooled(nnx.Module):
  """A pretrained stem and blocks, then new layers on some blocks' maps.

  A subclass sets `stem` and `block0`, `block1`, ..., each called with an input
  and its own context, and ends its `__init__` with `end`.
  """

  stem: nnx.Module

  def end(
    self,
    options: Any,
    widths: Sequence[int],
    num_outputs: int,
    *,
    rngs: nnx.Rngs,
    dtype: jnp.dtype,
  ) -> None:
    """Adds the new layers.

    Args:
      options: of the backbone: `head_blocks`, `pool`, `hidden`, `dropout`,
        `remat`.
      widths: channels of each block.
      num_outputs: of the head.
      rngs: that they are drawn from.
      dtype: of the arithmetic.
    """
    self.read, self.cells = options.head_blocks, options.pool
    self.remat = options.remat
    total = sum(widths[i] for i in self.read) * self.cells**2
    self.spatial = SpatialHead(
      total, options.hidden, options.dropout, rngs=rngs, dtype=dtype
    )
    self.out = layers.last(options.hidden, num_outputs, rngs=rngs, scale=0.1)

  def features(self, x: jax.Array, context: layers.Context) -> jax.Array:
    """What the pretrained part gives: the pooled maps, `[N, D]`."""
    x = layers.run_block(self.stem, x, context.of("stem"), self.remat)
    pooled = []
    for i in range(self.read[-1] + 1):
      name = f"block{i}"
      block = getattr(self, name)
      x = layers.run_block(block, x, context.of(name), self.remat)
      if i in self.read:
        pooled.append(pool(x, self.cells))
    return jnp.concatenate(pooled, axis=-1)

  def head(self, features: jax.Array, context: layers.Context) -> jax.Array:
    """What is new: `[N, D]` -> `[N, num_outputs]`."""
    return self.out(self.spatial(features, context))

  def __call__(self, x: jax.Array, context: layers.Context) -> jax.Array:
    return self.head(self.features(x, context), context)


def stages(head_blocks: tuple[int, ...]) -> tuple[str, ...]:
  """The pretrained parts of a `Pooled`'s parameters, in the order of depth."""
  return ("stem", *(f"block{i}" for i in range(head_blocks[-1] + 1)))


def check_options(
  head_blocks: tuple[int, ...], num_blocks: int, cells: int, hidden: int
) -> None:
  """Raises UserError unless a backbone's options of its end are valid.

  Args:
    head_blocks: the blocks whose maps are read.
    num_blocks: how many the backbone has.
    cells: along each side of the grid.
    hidden: width of the hidden layer.
  """
  if (
    not head_blocks
    or list(head_blocks) != sorted(set(head_blocks))
    or not 0 <= head_blocks[0] <= head_blocks[-1] < num_blocks
  ):
    raise errors.UserError(
      f"model.head_blocks = {head_blocks} are not rising numbers of blocks,"
      f" from 0 to {num_blocks - 1}"
    )
  errors.check_range("model.pool", cells, 1, 64)
  layers.check_sizes("hidden", (hidden,), 2**16)


def check_image(name: str, shape: tuple[int, int, int], least: int) -> None:
  """Raises UserError for an image too small for a backbone's halvings."""
  if min(shape[:2]) < least:
    raise errors.UserError(
      f"view.size = {min(shape[:2])} is too small for model.name ="
      f" {name!r}: at least {least}, and 96 to 224 for photographs"
    )
