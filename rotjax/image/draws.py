"""The random numbers of one view; none of the others says a thing of the angle.

Each further number has a key of its own, so that a view without it draws what
it always drew.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rotjax import angles as angles_lib

LIGHT, _CIRCLE, _FLIP = 1, 2, 3


class Draw(NamedTuple):
  """The random numbers of one view.

  Attributes:
    angle_deg: the angle to be told.
    shift: `[2]` (down, right), pixels.
    via_deg: the first of two turns where passes = "double".
    radius: of the circle that fills the canvas, a share of the largest; None
      for the largest itself.
    flip: whether the source is mirrored, left to right; None where none is.
  """

  angle_deg: jax.Array
  shift: jax.Array | tuple[float, float] = (0.0, 0.0)
  via_deg: jax.Array | float = 0.0
  radius: jax.Array | None = None
  flip: jax.Array | None = None


def draw(view: Any, key: jax.Array, angles: angles_lib.Angles) -> Draw:
  """Draws for one training view.

  Args:
    view: a `view.View`; its `jitter`, `radius_range` and `flip`.
    key: typed, of this example and step.
    angles: the distribution to draw from.
  """
  angle_key, shift_key, via_key = jax.random.split(key, 3)
  shift = jax.random.uniform(
    shift_key, (2,), jnp.float32, -view.jitter, view.jitter
  )
  radius = flip = None
  if view.radius_range != (1.0, 1.0):
    radius, moved = _circle(view, jax.random.fold_in(key, _CIRCLE))
    shift = shift + moved
  if view.flip:
    flip = jax.random.bernoulli(jax.random.fold_in(key, _FLIP))
  return Draw(
    angles.draw(angle_key),
    shift,
    jax.random.uniform(via_key, (), jnp.float32, 0.0, 360.0),
    radius,
    flip,
  )


def _circle(view, key):
  """A circle inside the canvas's own: radius, and pixels that it lies aside."""
  radius_key, place_key = jax.random.split(key)
  low, high = view.radius_range
  radius = jax.random.uniform(radius_key, (), jnp.float32, low, high)
  # Uniform in the disc of all the places where it fits.
  place = jax.random.ball(place_key, 2, dtype=jnp.float32)
  return radius, place * ((1 - radius) / radius * (view.size / 2))
