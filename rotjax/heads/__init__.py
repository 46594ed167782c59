"""Heads: what the network's last layer means, one family a file.

A head has no parameters of its own; the backbone ends in a linear layer of
`head.num_outputs`. It is a frozen dataclass whose fields are the options that
`config.head` shows. To add one: write the class (here, or in any installed
package and name it by its dotted path) and add its line to `HEADS`; the
contract test then runs over it by itself. Three things more are read where a
class has them: `diagnostics`, `turns`, see `turning`, and of a density `temper`
and `num_cells`, see `rotjax.evaluation.density`.

A field that is a name is a key of its module's dict of the plural: `loss_` of
`LOSSES`, `decode_` of `DECODINGS`, `window` of `WINDOWS`.
"""

from typing import Protocol

import jax

from rotjax.heads import (
  acm,
  bins,
  bits,
  csl,
  fourier,
  harmonics,
  mixture,
  multibin,
  psc,
  scalar,
  shifted,
  unimodal,
  vector,
  wrapped,
)
from rotjax.models import layers


class Head(Protocol):
  """What `config.head` becomes.

  `outputs` is `[..., num_outputs]` float32, whatever the backbone computes in
  (`models.build` sees to it), `theta` is `[...]` radians in [-pi, pi).
  Everything is per example, in float32, and never reduced. An option whose name
  is also a method's carries PEP 8's trailing underscore here and none in the
  config: `head.loss` is `loss_`.
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


def diagnostics(head: Head, outputs: jax.Array) -> dict[str, jax.Array]:
  """`[..., num_outputs]` -> `[...]` each: what a head tells of its outputs.

  A head may have a method `diagnostics(outputs)`, for example of saturation;
  `metrics.clumping` averages what it returns. Most have none.
  """
  method = getattr(head, "diagnostics", None)
  return method(outputs) if method else {}


def turning(head: Head, period_deg: float) -> layers.Turning | None:
  """How a head's outputs turn with the picture; None where they do not.

  A head whose outputs do has `turns`: of pairs of outputs how often each turns
  while theta turns once (0: a single one that stays), or the number of outputs
  that are a ring.

  Args:
    head: of the outputs.
    period_deg: of the circle, see `angles.Angles`.
  """
  turns, fold = getattr(head, "turns", None), round(360 / period_deg)
  if turns is None:
    return None
  if isinstance(turns, int):
    return layers.Turning(ring=turns, fold=fold)
  return layers.Turning(pairs=turns, fold=fold)


HEADS = {
  "acm": acm.ACM,
  "bins": bins.Bins,
  "bits": bits.Bits,
  "csl": csl.CSL,
  "fourier": fourier.Fourier,
  "half_planes": bits.HalfPlanes,
  "harmonics": harmonics.Harmonics,
  "mixture": mixture.Mixture,
  "multibin": multibin.MultiBin,
  "power_spherical": unimodal.PowerSpherical,
  "projected_normal": unimodal.ProjectedNormal,
  "psc": psc.PSC,
  "scalar": scalar.Scalar,
  "shifted": shifted.Shifted,
  "split_pair": scalar.SplitPair,
  "vector": vector.Vector,
  "vonmises": unimodal.VonMises,
  "wrapped_cauchy": wrapped.WrappedCauchy,
  "wrapped_laplace": wrapped.WrappedLaplace,
  "wrapped_normal": wrapped.WrappedNormal,
}
