"""Leaks that the audit's code does not know: each adds one to a view.

Functions of (picture `[S, S, C]` 0 to 1, angle in radians, key) -> picture.
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np


def ink_brightness(x, a, key):
  """Brighter ink at one angle than at the opposite one."""
  return x + jnp.where(x > 0.15, 0.05 * jnp.cos(a), 0.0)


def contrast(x, a, key):
  """Half a per cent, four times a turn."""
  return x * (1 + 0.005 * jnp.cos(4 * a))


def contrast_sign(x, a, key):
  """Half a per cent, as a square wave."""
  return x * (1 + 0.005 * jnp.sign(jnp.cos(4 * a)))


def contrast_once(x, a, key):
  """Half a per cent, once a turn."""
  return x * (1 + 0.005 * jnp.cos(a))


def rim_dot(x, a, key):
  """A dot that goes round twelve times a turn."""
  size = x.shape[0]
  at = jnp.arange(size) - (size - 1) / 2
  y = at - 0.43 * size * jnp.sin(12 * a)
  z = at - 0.43 * size * jnp.cos(12 * a)
  return x + 0.1 * jnp.exp(-(y[:, None] ** 2 + z[None, :] ** 2))[..., None]


def gamma(x, a, key):
  """Mid-greys follow the angle; black and white stay."""
  return jnp.clip(x, 0, 1) ** (1 + 0.05 * jnp.cos(2 * a))


def row_flicker(x, a, key):
  """One row of pixels is brighter or darker by a per cent of white."""
  return x.at[x.shape[0] // 2 - 3].add(0.01 * jnp.cos(3 * a))


def chroma(x, a, key):
  """Red against green; the grey picture is as it was."""
  tint = jnp.asarray([[[1.0, -1.0, 0.0]]]) * 0.02 * jnp.cos(a)
  return x + tint * (x > 0.15)


def rounding(x, a, key):
  """Grey levels at some angles, a float's at the others."""
  return jnp.where(jnp.cos(4 * a) > 0, jnp.round(x * 64) / 64, x)


PLANTS = {
  f.__name__: f
  for f in (
    *(ink_brightness, contrast, contrast_sign, contrast_once, rim_dot),
    *(gamma, row_flicker, chroma, rounding),
  )
}


@dataclasses.dataclass(frozen=True)
class Attacked:
  """A view with one of these leaks."""

  view: Any
  leak: Any

  def sample(self, key, image, angles):
    picture, angle_deg = self.view.sample(key, image, angles)
    return self.leak(picture, jnp.deg2rad(angle_deg), key), angle_deg


def colour(images: np.ndarray) -> np.ndarray:
  """Grey images as three equal channels."""
  return np.repeat(images, 3, axis=-1)
