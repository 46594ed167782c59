"""The bilinear turn as a JAX user would write it first."""

import jax
import jax.numpy as jnp


def map_coordinates(image: jax.Array, degrees: jax.Array) -> jax.Array:
  """Turns one image counter-clockwise about its middle.

  Args:
    image: `[H, W, C]`.
    degrees: scalar.

  Returns:
    `[H, W, C]` float32, zero outside the source.
  """
  height, width = image.shape[:2]
  y, x = (height - 1) / 2, (width - 1) / 2
  c, s = jnp.cos(jnp.deg2rad(degrees)), jnp.sin(jnp.deg2rad(degrees))
  v = jnp.arange(height)[:, None] - y
  u = jnp.arange(width)[None, :] - x
  where = [s * u + c * v + y, c * u - s * v + x]
  return jnp.stack(
    [
      jax.scipy.ndimage.map_coordinates(
        image[..., k].astype(jnp.float32), where, order=1
      )
      for k in range(image.shape[-1])
    ],
    axis=-1,
  )
