"""The default small backbone: strided convolutions, chosen per CPU second."""

import dataclasses

import flax.nnx as nnx
import jax
import jax.numpy as jnp

from rotjax import errors
from rotjax.models import layers


class _Strided(nnx.Module):
  def __init__(self, options, num_outputs, image_shape, dtype, rngs):
    height, width, features = image_shape
    self.depth = len(options.widths)
    for i, (size, kernel) in enumerate(zip(options.widths, options.kernels)):
      conv = layers.Conv(
        features, size, kernel, stride=2, rngs=rngs, dtype=dtype
      )
      setattr(self, f"conv{i}", conv)
      if options.norm != "none":
        setattr(self, f"norm{i}", layers.NORMS[options.norm](size))
      height, width, features = -(-height // 2), -(-width // 2), size
    self.pool = options.pool
    size = features if self.pool == "mean" else height * width * features
    self.hidden = layers.Dense(size, options.hidden, rngs=rngs, dtype=dtype)
    self.dropout = layers.Dropout(options.dropout, salt=0)
    # A small last layer starts every head near its uninformed answer.
    self.out = layers.last(options.hidden, num_outputs, rngs=rngs, scale=0.1)

  def __call__(self, x, context):
    for i in range(self.depth):
      x = getattr(self, f"conv{i}")(x)
      if hasattr(self, f"norm{i}"):
        x = getattr(self, f"norm{i}")(x, context)
      x = jax.nn.relu(x)
    if self.pool == "mean":
      x = x.mean((1, 2))
    x = jax.nn.relu(self.hidden(x.reshape(x.shape[0], -1)))
    return self.out(self.dropout(x, context))


@dataclasses.dataclass(frozen=True)
class Strided:
  """Stride-2 convolutions, one hidden layer, the head's linear layer.

  Attributes:
    widths: channels of each convolution.
    kernels: side of each convolution's kernel.
    hidden: width of the hidden layer.
    norm: "none", "group" or "batch", after each convolution.
    dropout: rate in front of the last layer.
    pool: "none" hands all that the convolutions find to the hidden layer;
      "mean" its mean over the picture: what is there, and not where.
  """

  widths: tuple[int, ...] = (24, 48, 96)
  kernels: tuple[int, ...] = (3, 3, 3)
  hidden: int = 128
  norm: str = "none"
  dropout: float = 0.0
  pool: str = "none"

  def __post_init__(self):
    if len(self.widths) != len(self.kernels):
      raise errors.UserError(
        f"model.widths = {self.widths} and model.kernels = {self.kernels}"
        " must be equally long"
      )
    layers.check_sizes("widths", self.widths, 2**14)
    layers.check_sizes("kernels", self.kernels, 64)
    layers.check_sizes("hidden", (self.hidden,), 2**16)
    errors.choose("model.pool", self.pool, ("none", "mean"))
    errors.choose("model.norm", self.norm, ("none", *layers.NORMS))
    layers.check_rate("dropout", self.dropout)

  def module(
    self,
    num_outputs: int,
    image_shape: tuple[int, int, int],
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
  ) -> nnx.Module:
    return _Strided(self, num_outputs, image_shape, dtype, rngs)
