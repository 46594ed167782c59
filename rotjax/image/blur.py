"""A Gaussian blur before the turn: one of the leak controls of the view."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from rotjax import errors


def gaussian(image: jax.Array, sigma: float) -> jax.Array:
  """Convolves with a sampled Gaussian, cut at four sigma; zero outside.

  Args:
    image: `[H, W, C]`, uint8 or floating.
    sigma: standard deviation in pixels, static.

  Returns:
    `[H, W, C]` float32 in the image's units.

  Raises:
    UserError: a sigma that is not positive and finite.
  """
  if not 0 < sigma < math.inf:
    raise errors.UserError(f"blur: sigma = {sigma} must be positive")
  reach = max(1, math.ceil(4 * sigma))
  offsets = np.arange(-reach, reach + 1)
  gaussian = np.exp(-0.5 * (offsets / sigma) ** 2)
  weights = [float(w) for w in gaussian / gaussian.sum()]
  blurred = image.astype(jnp.float32)
  for axis in (0, 1):
    length = blurred.shape[axis]
    pad = [(reach, reach) if a == axis else (0, 0) for a in range(3)]
    wide = jnp.pad(blurred, pad)
    shifted = [
      w * jax.lax.slice_in_dim(wide, k, k + length, axis=axis)
      for k, w in enumerate(weights)
    ]
    blurred = sum(shifted[1:], shifted[0])
  return blurred
