"""A leak of known size, planted to see whether the probe finds it."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from rotjax import angles as angles_lib
from rotjax.image import view as view_lib


@dataclasses.dataclass(frozen=True)
class Planted:
  """A view with a known leak added: the positive control of an audit.

  A dot at the rim, in a direction that is the angle plus cardioid noise of
  density (1 + 2 rho cos d) / 2 pi. It tells exactly `nats` about the angle.

  Attributes:
    view: what it is added to.
    rho: strength.
  """

  view: view_lib.View
  rho: float = 0.1407

  @property
  def nats(self) -> float:
    """Mutual information of the dot's direction and the angle."""
    s = math.sqrt(1 - 4 * self.rho**2)
    return math.log((1 + s) / 2) + 1 - s

  def sample(
    self, key: jax.Array, image: jax.Array, angles: angles_lib.Angles
  ) -> tuple[jax.Array, jax.Array]:
    """A drawn view with its dot, and the angle; see `View.sample`."""
    dot_key, flip_key, view_key = jax.random.split(key, 3)
    picture, angle_deg = self.view.sample(view_key, image, angles)
    # d is uniform, and turned by pi with probability (1 - 2 rho cos d)/2:
    # that leaves the cardioid density.
    d = jax.random.uniform(dot_key, (), minval=-jnp.pi, maxval=jnp.pi)
    keep = jax.random.uniform(flip_key) < 0.5 + self.rho * jnp.cos(d)
    direction = jnp.deg2rad(angle_deg) + jnp.where(keep, d, d + jnp.pi)
    middle, radius = (self.view.size - 1) / 2, 0.42 * self.view.size
    y = jnp.arange(self.view.size) - middle + radius * jnp.cos(direction)
    x = jnp.arange(self.view.size) - middle + radius * jnp.sin(direction)
    square = y[:, None] ** 2 + x[None, :] ** 2
    top = 1.0 if self.view.pixel_range == "unit" else 255.0
    return picture + top * jnp.exp(-square / 2)[..., None], angle_deg
