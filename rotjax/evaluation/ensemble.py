"""Several networks as one: the average of their densities.

The members' outputs lie side by side, and a head reads them: to the rest, from
recalibration to a page of predictions, an ensemble is one network.
"""

from collections.abc import Sequence
import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rotjax import angles as angles_lib
from rotjax import heads, models
from rotjax.evaluation import density
from rotjax.heads import grid
from rotjax.metrics import probabilistic


@dataclasses.dataclass(frozen=True)
class Mixture:
  """The head of an ensemble: an equal mixture of the members' densities.

  Attributes:
    head: of each member.
    members: R.
  """

  head: heads.Head
  members: int

  @property
  def num_outputs(self) -> int:
    return self.members * self.head.num_outputs

  @property
  def num_cells(self) -> int | None:
    """See `density.grid_size`."""
    return getattr(self.head, "num_cells", None)

  def _parts(self, outputs: jax.Array) -> jax.Array:
    """`[..., R num_outputs]` -> `[..., R, num_outputs]`."""
    return outputs.reshape(*outputs.shape[:-1], self.members, -1)

  def loss(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    """The mean of the members' losses: they are trained apart."""
    parts = self._parts(outputs)
    theta = jnp.broadcast_to(theta[..., None], parts.shape[:-1])
    return self.head.loss(parts, theta).mean(-1)

  def decode(self, outputs: jax.Array) -> jax.Array:
    """The circular median of the mixture, as of averaged turns; where the head
    states no density, the mean direction of the members' answers."""
    size = density.grid_size(self)
    table = probabilistic.tabulate(self, outputs, probabilistic.grid(size))
    if table is None:
      theta = self.head.decode(self._parts(outputs))
      return angles_lib.circular_mean(jnp.moveaxis(theta, -1, 0), axis=0)
    # Its points lie half a step off those that `grid` counts from.
    return angles_lib.wrap(grid.median(table) + np.pi / size - np.pi)

  def log_density(
    self, outputs: jax.Array, theta: jax.Array
  ) -> jax.Array | None:
    """See `heads.Head`."""
    parts = self._parts(outputs)
    theta = jnp.broadcast_to(theta[..., None], parts.shape[:-1])
    each = self.head.log_density(parts, theta)
    if each is None:
      return None
    return jax.nn.logsumexp(each, axis=-1) - math.log(self.members)

  def temper(self, outputs: jax.Array, tau: jax.Array) -> jax.Array:
    """Every member's density tempered; see `density.temper`."""
    tempered = density.temper(self.head, self._parts(outputs), tau)
    return tempered.reshape(outputs.shape)

  def diagnostics(self, outputs: jax.Array) -> dict[str, jax.Array]:
    """The members' mean."""
    told = heads.diagnostics(self.head, self._parts(outputs))
    return jax.tree.map(lambda x: x.mean(-1), told)


def model_of(model: models.Model, members: int) -> models.Model:
  """R networks as one, whose parameters are theirs, stacked.

  They run one after another in one program: on a CPU no slower than side by
  side, and R times smaller.
  """

  def init(key):
    return jax.vmap(model.init)(jax.random.split(key, members))

  def apply(params, model_state, images, **options):
    def one(member):
      return model.apply(*member, images, **options)

    outputs, states = jax.lax.map(one, (params, model_state))
    return jnp.moveaxis(outputs, 0, 1).reshape(len(images), -1), states

  return models.Model(init, apply)


def stacked(trees: Sequence[Any]) -> Any:
  """The members' parameters or states as `model_of` takes them."""
  return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)
