"""What training may change of a picture besides its angle: light and colour.

Per example, from its own key; all of it is independent of the angle, so that
nothing of it can be read in its place.
"""

from typing import Any

import jax
import jax.numpy as jnp

# Luma of ITU-R 601, as `pictures` makes grey.
_LUMA = (0.299, 0.587, 0.114)
_MIDDLE = 127.5
# Of a view's key: its draws of angle and shift stay what they are without.
_SALTS = {"light": 1, "circle": 2, "flip": 3}


def key_of(key: jax.Array, what: str) -> jax.Array:
  """The key of one of a view's further draws: "light", "circle" or "flip"."""
  return jax.random.fold_in(key, _SALTS[what])


def either(choice: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
  """`a` where a scalar choice is true, else `b`; both finite.

  A sum of products: with a `where` XLA's CPU backend takes twice as long.
  """
  share = choice.astype(jnp.float32)
  return share * a + (1 - share) * b


def lit(view: Any, key: jax.Array, pixels: jax.Array) -> jax.Array:
  """A picture in another light; itself where the view asks for none.

  In this order: contrast, brightness, the gain of each channel, grey.

  Args:
    view: a `view.View`; its `brightness`, `contrast`, `color` and `grey`.
    key: typed, of this example and step.
    pixels: `[H, W, C]` 0..255, floating.

  Returns:
    The same shape, 0..255.
  """
  if not (view.brightness or view.contrast or view.color or view.grey):
    return pixels
  channels = pixels.shape[-1]
  keys = jax.random.split(key_of(key, "light"), 4)

  def around(key, amount, shape=()):
    return jax.random.uniform(key, shape, jnp.float32, -amount, amount)

  contrast = 1 + around(keys[0], view.contrast)
  pixels = _MIDDLE + contrast * (pixels - _MIDDLE)
  pixels = pixels + 255 * around(keys[1], view.brightness)
  pixels = pixels * (1 + around(keys[2], view.color, (1, 1, channels)))
  if view.grey and channels == len(_LUMA):
    luma = (pixels * jnp.asarray(_LUMA, pixels.dtype).reshape(1, 1, -1)).sum(
      -1, keepdims=True
    )
    is_grey = jax.random.uniform(keys[3], (), jnp.float32) < view.grey
    pixels = either(is_grey, luma, pixels)
  return jnp.clip(pixels, 0.0, 255.0)


def circle(view: Any, key: jax.Array) -> tuple[jax.Array | float, Any]:
  """A circle inside the canvas's own.

  Args:
    view: a `view.View`; its `radius_range` and `size`.
    key: typed, of this example and step.

  Returns:
    The circle's radius, a share of the canvas's, and the `[2]` canvas pixels
    (down, right) that its middle is moved by; 1 and 0 where there is none.
  """
  if view.radius_range == (1.0, 1.0):
    return 1.0, 0.0
  radius_key, place_key = jax.random.split(key_of(key, "circle"))
  low, high = view.radius_range
  radius = jax.random.uniform(radius_key, (), jnp.float32, low, high)
  # Uniform in the disc of all the places where it fits.
  place = jax.random.ball(place_key, 2, dtype=jnp.float32)
  return radius, place * (1 - radius) / radius * (view.size / 2)
