"""The point that a view turns about: named, given, or found in the image."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from rotjax import errors


def explicit(text: str) -> tuple[float, float]:
  """`"y,x"` as source pixels.

  Raises:
    UserError: it is not that.
  """
  try:
    y, x = (float(part) for part in text.strip("() ").split(","))
    if not math.isfinite(y + x):
      raise ValueError
  except ValueError:
    raise errors.UserError(
      f"view.center = {text!r}: use 'dataset', 'canvas', 'centroid' or source"
      " pixels such as '14,14'"
    ) from None
  return y, x


def centroid(image: jax.Array | np.ndarray) -> jax.Array:
  """Brightness centroid (y, x) of `[H, W, C]`; the middle if all is black."""
  ink = jnp.asarray(image, jnp.float32).sum(-1)
  total = ink.sum()
  moments = [
    (ink.sum(1 - axis) * jnp.arange(ink.shape[axis], dtype=ink.dtype)).sum()
    for axis in (0, 1)
  ]
  middle = [(side - 1) / 2 for side in ink.shape]
  # Rounded so that no fusion can see another number (see warp).
  return jnp.stack(
    [
      jnp.round(jnp.where(total > 0, m / jnp.maximum(total, 1), c) * 64) / 64
      for m, c in zip(moments, middle)
    ]
  )
