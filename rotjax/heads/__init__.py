"""Heads: what the network's last layer means, one family a file.

A head has no parameters of its own; the backbone ends in a linear layer of
`head.num_outputs`. It is a frozen dataclass whose fields are the options that
`config.head` shows. To add one: write the class (here, or in any installed
package and name it by its dotted path) and add its line to `HEADS`; the
contract test then runs over it by itself.
"""

from typing import Protocol

import jax

from rotjax.heads import bins
from rotjax.heads import unimodal
from rotjax.heads import vector


class Head(Protocol):
  """What `config.head` becomes.

  `outputs` is `[..., num_outputs]` of any float type, `theta` is `[...]`
  radians in [-pi, pi). Everything is computed in float32, per example and
  never reduced. An option whose name is also a method's carries PEP 8's
  trailing underscore here and none in the config: `head.loss` is `loss_`.
  """

  @property
  def num_outputs(self) -> int:
    """Width of the linear layer in front of the head."""

  def loss(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    """`[..., num_outputs]`, `[...]` -> `[...]` training loss per example."""

  def decode(self, outputs: jax.Array) -> jax.Array:
    """`[..., num_outputs]` -> `[...]` radians in [-pi, pi)."""

  def log_density(
      self, outputs: jax.Array, theta: jax.Array
  ) -> jax.Array | None:
    """-> `[...]` nats per radian; None where the head states no density."""


HEADS = {
    "bins": bins.Bins,
    "vector": vector.Vector,
    "vonmises": unimodal.VonMises,
}
