"""Layers that behave the same under every executor.

Modules are called as `layer(x, context)`. Randomness comes per example and
statistics are sums over the global, masked batch, so no result depends on how
many devices share it. Parameters are float32; arithmetic runs in `dtype`.
"""

from collections.abc import Sequence
import dataclasses
import math
from typing import NamedTuple

import flax.nnx as nnx
import jax
from jax import lax
import jax.numpy as jnp

from rotjax import errors
from rotjax.models import convolution, depthwise


@dataclasses.dataclass(frozen=True)
class Context:
  """What one call of the network needs besides its input.

  Attributes:
    train: dropout and batch statistics on.
    keys: `[N]` typed PRNG keys, one an example; needed in training by dropout.
    mask: `[N]` bool, False for padding rows; None: all are real.
    axis_name: the mapped axis that the batch is spread over, under pmap.
    frozen: stages that are not trained: their batch statistics are not, either.
  """

  train: bool = False
  keys: jax.Array | None = None
  mask: jax.Array | None = None
  axis_name: str | None = None
  frozen: tuple[str, ...] = ()

  def of(self, stage: str) -> "Context":
    """The context of one stage."""
    if stage not in self.frozen:
      return self
    return dataclasses.replace(self, train=False)

  @property
  def stepping(self) -> bool:
    """Whether a training step calls, of a frozen stage too; no evaluation."""
    return self.keys is not None


def run_block(
  block: nnx.Module, x: jax.Array, context: Context, remat: bool
) -> jax.Array:
  """`block(x, context)`; with `remat` only its input is kept for the gradient.

  What is inside is computed again in the backward pass: less memory, one more
  forward pass.
  """
  if not (remat and context.stepping):  # nothing else needs a gradient
    return block(x, context)
  return nnx.remat(lambda block, x: block(x, context))(block, x)


class Turning(NamedTuple):
  """How a head's outputs turn with the picture.

  Attributes:
    pairs: how often each pair of outputs turns while the head's angle turns
      once, 0 for a single output that stays; () for a ring.
    ring: so many outputs, the values of one function on the circle at
      2 pi j / ring; 0 for pairs.
    fold: how often the head's angle turns while the picture turns once.
  """

  pairs: tuple[int, ...] = ()
  ring: int = 0
  fold: int = 1


INITIALIZERS = {
  "he": nnx.initializers.he_normal(),
  "glorot": nnx.initializers.glorot_uniform(),
}


def _per_channel(vector, x):
  """`[C]` -> `[1, ..., C]`, to meet `x` `[..., C]` without rank promotion."""
  return vector.reshape((1,) * (x.ndim - 1) + (-1,))


class Conv(nnx.Module):
  """Convolution, its kernel square or (rows, columns), with optional bias."""

  def __init__(
    self,
    features_in: int,
    features: int,
    kernel: int | tuple[int, int],
    *,
    rngs: nnx.Rngs,
    stride: int = 1,
    padding: str = "SAME",
    bias: bool = True,
    init: str = "he",
    dtype: jnp.dtype = jnp.float32,
  ):
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    shape = (*sides, features_in, features)
    self.kernel = nnx.Param(
      INITIALIZERS[init](rngs.params(), shape, jnp.float32)
    )
    self.bias = nnx.Param(jnp.zeros(features, jnp.float32)) if bias else None
    self.stride, self.padding, self.dtype = stride, padding, dtype

  def __call__(self, x: jax.Array) -> jax.Array:
    kernel = self.kernel[...].astype(self.dtype)
    y = convolution.conv2d(
      x.astype(self.dtype), kernel, self.stride, self.padding
    )
    if self.bias is None:
      return y
    return y + _per_channel(self.bias[...].astype(self.dtype), y)


class Depthwise(nnx.Module):
  """Square convolution of each channel by itself, padded "SAME"."""

  def __init__(
    self,
    features: int,
    kernel: int,
    *,
    rngs: nnx.Rngs,
    stride: int = 1,
    bias: bool = False,
    dtype: jnp.dtype = jnp.float32,
  ):
    shape = (kernel, kernel, 1, features)  # of which the fan-in is kernel**2
    drawn = INITIALIZERS["he"](rngs.params(), shape, jnp.float32)
    self.kernel = nnx.Param(drawn[:, :, 0])
    self.bias = nnx.Param(jnp.zeros(features, jnp.float32)) if bias else None
    self.stride, self.dtype = stride, dtype

  def __call__(self, x: jax.Array) -> jax.Array:
    kernel = self.kernel[...].astype(self.dtype)
    y = depthwise.depthwise_conv2d(x.astype(self.dtype), kernel, self.stride)
    if self.bias is None:
      return y
    return y + _per_channel(self.bias[...].astype(self.dtype), y)


class Dense(nnx.Module):
  """Linear layer `[N, D]` -> `[N, features]`."""

  def __init__(
    self,
    features_in: int,
    features: int,
    *,
    rngs: nnx.Rngs,
    init: str = "he",
    scale: float = 1.0,
    dtype: jnp.dtype = jnp.float32,
    precision: lax.Precision | None = None,
  ):
    shape = (features_in, features)
    self.kernel = nnx.Param(
      scale * INITIALIZERS[init](rngs.params(), shape, jnp.float32)
    )
    self.bias = nnx.Param(jnp.zeros(features, jnp.float32))
    self.dtype, self.precision = dtype, precision

  def __call__(self, x: jax.Array) -> jax.Array:
    kernel = self.kernel[...].astype(self.dtype)
    y = jnp.matmul(x.astype(self.dtype), kernel, precision=self.precision)
    return y + _per_channel(self.bias[...].astype(self.dtype), y)


def last(
  features_in: int,
  num_outputs: int,
  *,
  rngs: nnx.Rngs,
  init: str = "he",
  scale: float = 1.0,
) -> Dense:
  """The linear layer that the head reads: float32, whatever the others are.

  An angle of a tenth of a degree needs more than the eight bits of a bfloat16.
  """
  return Dense(
    features_in,
    num_outputs,
    rngs=rngs,
    init=init,
    scale=scale,
    precision=lax.Precision.HIGHEST,
  )


def check_rate(field: str, rate: float) -> None:
  """Raises UserError unless a dropout rate is in [0, 1)."""
  errors.check_share(f"model.{field}", rate)


def check_sizes(field: str, sizes: Sequence[int], largest: int) -> None:
  """Raises UserError unless a few sizes are from 1 to `largest`."""
  errors.check_range(f"the length of model.{field}", len(sizes), 0, 16)
  for size in sizes:
    errors.check_range(f"model.{field}: {size}", size, 1, largest)


class Dropout(nnx.Module):
  """Inverted dropout, drawn from each example's own key."""

  def __init__(self, rate: float, salt: int):
    # The salt keeps two layers of one network from sharing a mask.
    self.rate, self.salt = rate, salt

  def __call__(self, x: jax.Array, context: Context) -> jax.Array:
    if not context.train or not self.rate:
      return x

    def mask(key):
      key = jax.random.fold_in(key, self.salt)
      return jax.random.bernoulli(key, jnp.float32(1 - self.rate), x.shape[1:])

    keep = jax.vmap(mask)(context.keys)
    return jnp.where(keep, x / (1 - self.rate), 0).astype(x.dtype)


class BatchNorm(nnx.Module):
  """Batch normalisation over the real rows of the global batch.

  Sums and counts are reduced over devices and divided last; a mean of
  per-device means would weigh ragged shards wrongly.
  """

  def __init__(
    self, features: int, momentum: float = 0.9, epsilon: float = 1e-5
  ):
    self.scale = nnx.Param(jnp.ones(features, jnp.float32))
    self.bias = nnx.Param(jnp.zeros(features, jnp.float32))
    self.mean = nnx.BatchStat(jnp.zeros(features, jnp.float32))
    self.var = nnx.BatchStat(jnp.ones(features, jnp.float32))
    self.momentum, self.epsilon = momentum, epsilon

  def _moments(self, x, context):
    shape = (x.shape[0],) + (1,) * (x.ndim - 1)
    mask = jnp.ones(shape) if context.mask is None else context.mask
    mask = mask.astype(jnp.float32).reshape(shape)
    axes = tuple(range(x.ndim - 1))
    places = math.prod(x.shape[1:-1])

    def total(t):
      return lax.psum(t, context.axis_name) if context.axis_name else t

    count = total(mask.sum()) * places
    mean = total((x * mask).sum(axes)) / count
    centred = x - _per_channel(mean, x)
    var = total((jnp.square(centred) * mask).sum(axes)) / count
    return mean, var

  def __call__(self, x: jax.Array, context: Context) -> jax.Array:
    dtype, x = x.dtype, x.astype(jnp.float32)
    if context.train:
      mean, var = self._moments(x, context)
      m = self.momentum
      self.mean[...] = m * self.mean[...] + (1 - m) * lax.stop_gradient(mean)
      self.var[...] = m * self.var[...] + (1 - m) * lax.stop_gradient(var)
    else:
      mean, var = self.mean[...], self.var[...]
    factor = self.scale[...] * lax.rsqrt(var + self.epsilon)
    offset = self.bias[...] - mean * factor
    return (x * _per_channel(factor, x) + _per_channel(offset, x)).astype(dtype)


class GroupNorm(nnx.Module):
  """Group normalisation (Wu & He 2018); has no state and sees one example."""

  def __init__(self, features: int, groups: int = 8):
    self.groups = math.gcd(groups, features)
    self.scale = nnx.Param(jnp.ones(features, jnp.float32))
    self.bias = nnx.Param(jnp.zeros(features, jnp.float32))

  def __call__(self, x: jax.Array, context: Context) -> jax.Array:
    del context
    dtype, shape = x.dtype, x.shape
    split = (shape[0], -1, self.groups, shape[-1] // self.groups)
    x = x.astype(jnp.float32).reshape(split)
    mean = x.mean((1, 3), keepdims=True)
    var = jnp.square(x - mean).mean((1, 3), keepdims=True)
    x = ((x - mean) * lax.rsqrt(var + 1e-5)).reshape(shape)
    scale, bias = self.scale[...], self.bias[...]
    return (x * _per_channel(scale, x) + _per_channel(bias, x)).astype(dtype)


class LayerNorm(nnx.Module):
  """Layer normalisation over the channels of each place (Ba et al. 2016)."""

  def __init__(self, features: int, epsilon: float = 1e-6):
    self.scale = nnx.Param(jnp.ones(features, jnp.float32))
    self.bias = nnx.Param(jnp.zeros(features, jnp.float32))
    self.epsilon = epsilon

  def __call__(self, x: jax.Array) -> jax.Array:
    dtype, x = x.dtype, x.astype(jnp.float32)
    x = x - x.mean(-1, keepdims=True)
    var = jnp.square(x).mean(-1, keepdims=True)
    x = x * lax.rsqrt(var + self.epsilon)
    scale, bias = self.scale[...], self.bias[...]
    return (x * _per_channel(scale, x) + _per_channel(bias, x)).astype(dtype)


NORMS = {"batch": BatchNorm, "group": GroupNorm}


def max_pool(x: jax.Array, window: int, stride: int, padding: str) -> jax.Array:
  """`[N, H, W, C]` -> the maxima over square windows."""
  if window == stride and not any(side % window for side in x.shape[1:3]):
    # The same numbers; XLA's CPU backend differentiates this 3x faster.
    n, h, w, c = x.shape
    blocks = x.reshape(n, h // window, window, w // window, window, c)
    return blocks.max((2, 4))
  return lax.reduce_window(
    x,
    -jnp.inf,
    lax.max,
    (1, window, window, 1),
    (1, stride, stride, 1),
    padding,
  )
