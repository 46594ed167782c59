"""Label distributions over K bins: what a softmax is fitted to.

Each is `[...]` radians -> `[..., K]` probabilities, on the bins of `grid`.
The soft ones measure from the real angle, not from its bin, so the target
keeps what lies between the centres. Widths are in radians.
"""

import math

import jax
import jax.numpy as jnp

from rotjax.heads import grid, losses


def one_hot(
  theta: jax.Array, num_bins: int, smoothing: float = 0.0
) -> jax.Array:
  """The nearest bin, less `smoothing` spread over all bins alike."""
  hot = jax.nn.one_hot(grid.nearest(theta, num_bins), num_bins)
  return (1 - smoothing) * hot + smoothing / num_bins


def linear(theta: jax.Array, num_bins: int) -> jax.Array:
  """The two nearest bins, in shares that keep the mean angle."""
  position = theta * (num_bins / (2 * math.pi))
  below = jnp.floor(position)
  # One share and what it leaves: that of each by itself would not sum to one.
  share = (position - below)[..., None]
  index = jnp.mod(below.astype(jnp.int32), num_bins)
  low = jax.nn.one_hot(index, num_bins)
  return (1 - share) * low + share * jnp.roll(low, 1, axis=-1)


def gaussian(theta: jax.Array, num_bins: int, width: float) -> jax.Array:
  """exp(-D^2 / 2 width^2), normalised (circular Gaussian labels)."""
  d = grid.differences(theta, num_bins)
  return jax.nn.softmax(-0.5 * jnp.square(d / width))


def von_mises(theta: jax.Array, num_bins: int, width: float) -> jax.Array:
  """exp(cos D / width^2), normalised: smooth at the antipode as well."""
  d = grid.differences(theta, num_bins)
  return jax.nn.softmax(-losses.one_minus_cos(d) / width**2)
