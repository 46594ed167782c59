"""An even grid of K points on the circle, and what to read off it.

Point k lies at 2 pi k / K (so K = 360 has its points on whole degrees) and
stands for half a step to either side. The readings take log-values `[..., K]`,
up to a constant: a histogram's logits or a log-density at the points.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from rotjax import angles
from rotjax.heads import plane

# Of a cell's width, counted as on its edge.
_ON_EDGE = 1e-3


def centers(num_points: int) -> jax.Array:
  """`[K]` the points, radians in [-pi, pi)."""
  step = 2 * math.pi / num_points
  return jnp.asarray(angles.wrap(np.arange(num_points) * step), jnp.float32)


def nearest(theta: jax.Array, num_points: int) -> jax.Array:
  """`[...]` radians -> `[...]` int32, the point nearest to each angle.

  The higher one of two: to the even one, angles on the edges of the cells, as
  of a grid twice as fine, would fall to every other point.
  """
  # float32 leaves an angle on an edge within so little of it, on either side.
  position = theta * (num_points / (2 * math.pi)) + (0.5 + _ON_EDGE)
  return jnp.mod(jnp.floor(position).astype(jnp.int32), num_points)


def differences(theta: jax.Array, num_points: int) -> jax.Array:
  """`[...]` -> `[..., K]`, the signed turn from each point to theta."""
  return angles.wrap(jnp.subtract.outer(theta, centers(num_points)))


def argmax(values: jax.Array) -> jax.Array:
  """The point of the largest value; its error floor is 90/K degrees."""
  return centers(values.shape[-1])[jnp.argmax(values, axis=-1)]


def mean_vector(values: jax.Array) -> jax.Array:
  """`[..., K]` -> `[..., 2]`, sum of p_k (cos, sin) with p = softmax."""
  p = jax.nn.softmax(values)
  vectors = plane.target_vector(centers(values.shape[-1]))
  return (p[..., None] * jnp.broadcast_to(vectors, p.shape + (2,))).sum(-2)


def mean(values: jax.Array) -> jax.Array:
  """Direction of the mean vector; wrong between two equal modes."""
  return plane.direction(mean_vector(values))


def _around_peak(values: jax.Array, reach: int) -> jax.Array:
  """`[..., K]` -> `[..., 2 reach + 1]`, the ring's values about its peak."""
  peak = jnp.argmax(values, axis=-1)
  offsets = jnp.arange(-reach, reach + 1)
  ring = jnp.mod(jnp.add.outer(peak, offsets), values.shape[-1])
  return jnp.take_along_axis(values, ring, axis=-1)


def local_mean(values: jax.Array) -> jax.Array:
  """Mean direction of the points within 15 degrees of the likeliest one."""
  num_points = values.shape[-1]
  step = 2 * math.pi / num_points
  reach = min(max(1, round(math.radians(15) / step)), (num_points - 1) // 2)
  p = jax.nn.softmax(_around_peak(values, reach))
  offsets = jnp.arange(-reach, reach + 1, dtype=jnp.float32)
  offset = (p * jnp.broadcast_to(offsets, p.shape)).sum(-1) * step
  return angles.wrap(argmax(values) + offset)


def parabola(values: jax.Array) -> jax.Array:
  """Vertex of the parabola through the peak's log-value and its two
  neighbours'; exact for a Gaussian (Beyer et al. 2015)."""
  step = 2 * math.pi / values.shape[-1]
  left, peak, right = jnp.moveaxis(_around_peak(values, 1), -1, 0)
  # Differences first: large logits would swallow their own curvature.
  rise, fall = peak - left, peak - right
  bend = rise + fall
  flat = bend < 1e-6  # three equal values: stay on the point
  offset = 0.5 * jnp.where(flat, 0.0, rise - fall) / jnp.where(flat, 1.0, bend)
  return angles.wrap(argmax(values) + offset * step)


def median(values: jax.Array) -> jax.Array:
  """The circular median: least expected arc distance, hence least MAE.

  The slope of that distance at a point is the probability within half a turn
  behind it less that ahead of it. Summed up it gives the distances from all
  points in O(K); its zero next to the least of them is the median.
  """
  num_points = values.shape[-1]
  half = (num_points - 1) // 2  # the antipodal point pulls neither way
  p = jax.nn.softmax(values)
  total = jnp.cumsum(jnp.concatenate([p, p], axis=-1), axis=-1)
  ahead = total[..., half : half + num_points] - total[..., :num_points]
  slope = jnp.roll(ahead, half + 1, axis=-1) - ahead
  distance = jnp.cumsum(slope + jnp.roll(slope, 1, axis=-1), axis=-1)
  best = jnp.argmin(distance, axis=-1)
  ring = jnp.mod(jnp.add.outer(best, jnp.arange(-1, 2)), num_points)
  left, middle, right = jnp.moveaxis(
    jnp.take_along_axis(slope, ring, axis=-1), -1, 0
  )
  rise = jnp.where(middle < 0, right - middle, middle - left)
  flat = rise < 1e-6  # as for a uniform distribution: stay on the point
  offset = jnp.where(flat, 0.0, -middle / jnp.where(flat, 1.0, rise))
  step = 2 * math.pi / num_points
  return angles.wrap(
    centers(num_points)[best] + jnp.clip(offset, -1.0, 1.0) * step
  )


# What a density can be reduced to; those of one symmetric mode need no choice.
SUMMARIES = {"mean": mean, "median": median, "mode": parabola}
