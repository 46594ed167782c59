"""The forum post's network: the classic Keras MNIST example of 2019."""

import dataclasses

import flax.nnx as nnx
import jax
import jax.numpy as jnp

from rotjax import errors
from rotjax.models import layers


class _KerasMnist(nnx.Module):
  def __init__(self, options, num_outputs, image_shape, dtype, rngs):
    height, width, channels = image_shape
    if min(height, width) < 6:
      raise errors.UserError(
        f"model keras_mnist needs view.size of at least 6, not {height}"
      )
    # Keras' own initialisation, Glorot uniform, part of the recipe.
    common = dict(rngs=rngs, init="glorot", dtype=dtype)
    first, second = options.widths
    self.conv0 = layers.Conv(channels, first, 3, padding="VALID", **common)
    self.conv1 = layers.Conv(first, second, 3, padding="VALID", **common)
    flat = ((height - 4) // 2) * ((width - 4) // 2) * second
    self.dropout0 = layers.Dropout(options.conv_dropout, salt=0)
    self.hidden = layers.Dense(flat, 128, **common)
    self.dropout1 = layers.Dropout(options.dropout, salt=1)
    self.out = layers.last(128, num_outputs, rngs=rngs, init="glorot")

  def __call__(self, x, context):
    x = jax.nn.relu(self.conv0(x))
    x = jax.nn.relu(self.conv1(x))
    x = self.dropout0(layers.max_pool(x, 2, 2, "VALID"), context)
    x = jax.nn.relu(self.hidden(x.reshape(x.shape[0], -1)))
    return self.out(self.dropout1(x, context))


@dataclasses.dataclass(frozen=True)
class KerasMnist:
  """conv 32, conv 64, max-pool, dropout, dense 128, dropout.

  With widths (64, 64) and dropout .25 it is RotNet's network for MNIST.

  Attributes:
    widths: channels of the two convolutions.
    conv_dropout: rate after the pooling.
    dropout: rate after the hidden layer.
  """

  widths: tuple[int, int] = (32, 64)
  conv_dropout: float = 0.25
  dropout: float = 0.5

  def __post_init__(self):
    if len(self.widths) != 2:
      raise errors.UserError(
        f"model.widths = {self.widths}: two positive numbers of channels"
      )
    layers.check_sizes("widths", self.widths, 2**14)
    layers.check_rate("conv_dropout", self.conv_dropout)
    layers.check_rate("dropout", self.dropout)

  def module(
    self,
    num_outputs: int,
    image_shape: tuple[int, int, int],
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
  ) -> nnx.Module:
    return _KerasMnist(self, num_outputs, image_shape, dtype, rngs)
