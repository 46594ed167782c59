"""Energies of small filters over three rings, and nothing of their places.

For the audit above all: what an interpolation leaves behind is in such
statistics, and a network that also sees the content is slow to find it.
"""

import dataclasses

import flax.nnx as nnx
import jax
import jax.numpy as jnp
import numpy as np

from rotjax.models import layers

_RINGS = (0.0, 0.45, 0.75, 1.5)


class _LocalStatistics(nnx.Module):
  def __init__(self, options, num_outputs, image_shape, dtype, rngs):
    height, width, channels = image_shape
    y = (np.arange(height) - (height - 1) / 2) / (height / 2)
    x = (np.arange(width) - (width - 1) / 2) / (width / 2)
    radius = np.hypot(y[:, None], x)
    self.rings = tuple(zip(_RINGS, _RINGS[1:]))
    # At the size of the image: read when the module is called.
    self.radius = tuple(map(tuple, radius.tolist()))
    self.conv = layers.Conv(
      channels, options.width, options.kernel, rngs=rngs, dtype=dtype
    )
    self.hidden = layers.Dense(
      2 * len(self.rings) * options.width,
      options.hidden,
      rngs=rngs,
      dtype=dtype,
    )
    self.out = layers.last(options.hidden, num_outputs, rngs=rngs, scale=0.1)

  def __call__(self, x, context):
    y = self.conv(x)
    radius, found = np.asarray(self.radius), []
    for low, high in self.rings:
      inside = (radius >= low) & (radius < high)
      weights = jnp.asarray(inside / max(inside.sum(), 1), y.dtype)
      for energy in (jnp.square(y), jnp.abs(y)):
        mean = jnp.einsum("nhwc,hw->nc", energy, weights)
        found.append(jnp.log(mean + 1e-5))
    hidden = jax.nn.relu(self.hidden(jnp.concatenate(found, -1)))
    return self.out(hidden)


@dataclasses.dataclass(frozen=True)
class LocalStatistics:
  """One layer of filters, log energies of each ring, one hidden layer.

  Attributes:
    width: filters.
    kernel: their side, pixels.
    hidden: width of the hidden layer.
  """

  width: int = 24
  kernel: int = 5
  hidden: int = 128

  def __post_init__(self):
    layers.check_sizes("width", (self.width,), 2**14)
    layers.check_sizes("kernel", (self.kernel,), 64)
    layers.check_sizes("hidden", (self.hidden,), 2**16)

  def module(
    self,
    num_outputs: int,
    image_shape: tuple[int, int, int],
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
  ) -> nnx.Module:
    return _LocalStatistics(self, num_outputs, image_shape, dtype, rngs)
