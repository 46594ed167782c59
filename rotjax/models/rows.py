"""For pages that are level: strokes, averaged along the lines of text.

Which way up a line is, is in its strokes from top to bottom: what rises above
the small letters, what hangs below them, where they stand. The mean over the
width leaves just that, free of the noise of single letters, and convolutions
along the height read it.
"""

import dataclasses

import flax.nnx as nnx
import jax
import jax.numpy as jnp

from rotjax import errors
from rotjax.models import layers


class _Rows(nnx.Module):
  def __init__(self, options, num_outputs, image_shape, dtype, rngs):
    common = {"rngs": rngs, "dtype": dtype}
    norm = layers.NORMS["batch"]
    self.strokes = layers.Conv(
      image_shape[-1], options.strokes, options.kernel, **common
    )
    self.stroke_norm = norm(options.strokes)
    features = 2 * options.strokes
    self.depth = len(options.widths)
    for i, width in enumerate(options.widths):
      # Halved between, and not at first: a line may be a few pixels high.
      conv = layers.Conv(
        features, width, (options.reach, 1), stride=1 + (i > 0), **common
      )
      setattr(self, f"conv{i}", conv)
      setattr(self, f"norm{i}", norm(width))
      features = width
    self.hidden = layers.Dense(features, options.hidden, **common)
    self.dropout = layers.Dropout(options.dropout, salt=0)
    self.out = layers.last(options.hidden, num_outputs, rngs=rngs, scale=0.1)

  def __call__(self, x, context):
    x = jax.nn.relu(self.stroke_norm(self.strokes(x), context))
    # How much of each stroke a row has, and how unevenly.
    mean = x.mean(2)
    spread = jnp.sqrt(jnp.square(x - mean[:, :, None]).mean(2) + 1e-4)
    x = jnp.concatenate([mean, spread], -1)[:, :, None]
    for i in range(self.depth):
      norm = getattr(self, f"norm{i}")
      x = jax.nn.relu(norm(getattr(self, f"conv{i}")(x), context))
    x = jax.nn.relu(self.hidden(x.mean((1, 2))))
    return self.out(self.dropout(x, context))


@dataclasses.dataclass(frozen=True)
class Rows:
  """Strokes, their mean and spread over each row, convolutions of the rows.

  Attributes:
    strokes: filters of the first layer.
    kernel: their side, pixels.
    widths: channels of each convolution of the rows.
    reach: its kernel's length, rows.
    hidden: width of the hidden layer.
    dropout: rate in front of the last layer.
  """

  strokes: int = 16
  kernel: int = 5
  widths: tuple[int, ...] = (32, 48, 64)
  reach: int = 7
  hidden: int = 64
  dropout: float = 0.0

  def __post_init__(self):
    layers.check_sizes("strokes", (self.strokes,), 2**12)
    layers.check_sizes("kernel", (self.kernel,), 64)
    layers.check_sizes("reach", (self.reach,), 64)
    if not self.widths:
      raise errors.UserError("model.widths = () has no layer: name one width")
    layers.check_sizes("widths", self.widths, 2**14)
    layers.check_sizes("hidden", (self.hidden,), 2**16)
    layers.check_rate("dropout", self.dropout)

  def module(
    self,
    num_outputs: int,
    image_shape: tuple[int, int, int],
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
  ) -> nnx.Module:
    """See `models.Backbone`."""
    return _Rows(self, num_outputs, image_shape, dtype, rngs)
