"""Leaks of known worth, planted to see whether the audit finds them.

A planted view shows a noisy direction, k times the angle plus cardioid noise
of density (1 + 2 rho cos d) / 2 pi, in one of several ways. rho is such that
what is shown tells `LIMIT` nats about the angle: the information is exact by
construction, and no reader of the view can find more of it.
"""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from rotjax import angles as angles_lib
from rotjax.image import blur, warp
from rotjax.image import view as view_lib
from rotjax.leakage import evidence


def nats(rho: float, scalar: bool) -> float:
  """Information between the angle and the direction shown.

  Args:
    rho: strength, 0 to 1/2.
    scalar: only the direction's cosine is shown.
  """
  # Means over even grids: of a periodic function, exact to rounding.
  wave = np.cos(2 * np.pi * (np.arange(400) + 0.5) / 400)
  ratio = 1 + 2 * rho * (np.multiply.outer(wave, wave) if scalar else wave)
  return float((ratio * np.log(ratio)).mean())


@functools.cache
def strength(worth: float, scalar: bool) -> float:
  """The rho at which what is shown tells `worth` nats, see `nats`."""
  return float(
    scipy.optimize.brentq(lambda rho: nats(rho, scalar) - worth, 0.0, 0.499)
  )


# A way to show a direction: (picture `[S, S, C]` 0 to 1, direction in radians,
# key, the view) -> picture.
Show = Callable[[jax.Array, jax.Array, jax.Array, view_lib.View], jax.Array]


def _offset(picture, direction, key, view):
  return picture + 0.2 * jnp.cos(direction)


def _contrast(picture, direction, key, view):
  return picture * (1 + 0.5 * jnp.cos(direction))


def _ink(picture, direction, key, view):
  return picture + jnp.where(picture > 0.1, 0.25 * jnp.cos(direction), 0.0)


def _shift(picture, direction, key, view):
  # Far enough for the view's own random shift not to hide it.
  reach = 0.5 + 2 * view.jitter
  toward = reach * jnp.stack([-jnp.cos(direction), -jnp.sin(direction)])
  return warp.rotate(picture, 0.0, shift=toward)


def _sharpness(picture, direction, key, view):
  share = 0.5 + 0.5 * jnp.cos(direction)
  return picture + share * (blur.gaussian(picture, 0.8) - picture)


def _dot(picture, direction, key, view):
  middle, radius = (view.size - 1) / 2, 0.42 * view.size
  at = jnp.arange(view.size) - middle
  y, x = at + radius * jnp.cos(direction), at + radius * jnp.sin(direction)
  square = y[:, None] ** 2 + x[None, :] ** 2
  return picture + 0.8 * jnp.exp(-square / 2)[..., None]


def _aspect(picture, direction, key, view):
  stretch = 1 + 0.2 * jnp.cos(direction)
  scale = jnp.stack([stretch, 1 / stretch])
  return jax.image.scale_and_translate(
    picture,
    picture.shape,
    (0, 1),
    scale,
    (1 - scale) * view.size / 2,
    "linear",
    antialias=False,
  )


def _noise(picture, direction, key, view):
  level = 0.04 * (1 + 0.8 * jnp.cos(direction))
  return picture + level * jax.random.normal(key, picture.shape)


def _all_at_once(picture, direction, key, view):
  for show in (_aspect, _sharpness, _contrast, _ink, _dot, _noise):
    picture = show(picture, direction, key, view)
  return picture


class Kind(NamedTuple):
  """A way to plant.

  Attributes:
    show: what the direction does to a picture.
    k: the direction is k times the angle.
    scalar: the direction's cosine alone can be seen.
  """

  show: Show
  k: int
  scalar: bool


PLANTS = {
  "offset": Kind(_offset, 1, True),
  "contrast": Kind(_contrast, 4, True),
  "ink only": Kind(_ink, 1, True),
  "shift": Kind(_shift, 1, False),
  "sharpness": Kind(_sharpness, 4, True),
  "rim dot": Kind(_dot, 12, False),
  "fine rim dot": Kind(_dot, 36, False),
  "aspect": Kind(_aspect, 2, True),
  "noise level": Kind(_noise, 4, True),
}
# For the networks: one direction, shown in many ways.
TOGETHER = Kind(_all_at_once, 4, False)


def plant(
  kind: Kind,
  view: view_lib.View,
  key: jax.Array,
  picture: jax.Array,
  angle_deg: jax.Array,
  worth: float = evidence.LIMIT,
) -> jax.Array:
  """Adds a leak to a view.

  Args:
    kind: the way.
    view: whose picture it is: its size, range, mask and random shifts.
    key: of the noise.
    picture: `[S, S, C]`.
    angle_deg: of the view, degrees.
    worth: nats that what is shown tells about the angle.

  Returns:
    `[S, S, C]` in the same range.
  """
  delta_key, flip_key, show_key = jax.random.split(
    jax.random.fold_in(key, 1), 3
  )
  rho = strength(worth, kind.scalar)
  # d is uniform, and turned by pi with probability (1 - 2 rho cos d)/2:
  # that leaves the cardioid density.
  d = jax.random.uniform(delta_key, (), minval=-jnp.pi, maxval=jnp.pi)
  keep = jax.random.uniform(flip_key) < 0.5 + rho * jnp.cos(d)
  direction = kind.k * jnp.deg2rad(angle_deg) + jnp.where(keep, d, d + jnp.pi)
  top = top_of(view)
  shown = kind.show(picture / top, direction, show_key, view)
  if view.mask == "disc":
    inside = warp.disc((view.size, view.size))[..., None]
    shown = jnp.where(inside, shown, 0.0)
  return shown * top


@dataclasses.dataclass(frozen=True)
class Planted:
  """A view with a leak added, for what samples views by itself.

  Attributes:
    sampler: what it is added to: a view, or what samples like one.
    view: the view itself.
    kind: the way.
  """

  sampler: Any
  view: view_lib.View
  kind: Kind

  def sample(
    self, key: jax.Array, image: jax.Array, angles: angles_lib.Angles
  ) -> tuple[jax.Array, jax.Array]:
    """A drawn view with its leak, and the angle; see `View.sample`."""
    picture, angle_deg = self.sampler.sample(key, image, angles)
    return plant(self.kind, self.view, key, picture, angle_deg), angle_deg


def top_of(view: view_lib.View) -> float:
  """White, in the view's range of pixels."""
  return 1.0 if view.pixel_range == "unit" else 255.0
