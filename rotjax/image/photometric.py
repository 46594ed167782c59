"""Training images in another light: per example, whatever their angle."""

from typing import Any

import jax
import jax.numpy as jnp

from rotjax.image import draws

# Luma of ITU-R 601, as `pictures` makes grey.
_LUMA = (0.299, 0.587, 0.114)
_MIDDLE = 127.5


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
  keys = jax.random.split(jax.random.fold_in(key, draws.LIGHT), 4)

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
