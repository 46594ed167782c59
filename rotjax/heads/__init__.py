"""Heads: what the network's last layer means, one family a file.

A head has no parameters of its own; the backbone ends in a linear layer of
`head.num_outputs`. It is a frozen dataclass whose fields are the options that
`config.head` shows. To add one: write the class (here, or in any installed
package and name it by its dotted path) and add its line to `HEADS`; the
contract test then runs over it by itself. Three things more are read where a
class has them: `diagnostics`, and of a density `temper` and `num_cells`, see
`rotjax.evaluation.density`.

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


def diagnostics(head: Head, outputs: jax.Array) -> dict[str, jax.Array]:
  """`[..., num_outputs]` -> `[...]` each: what a head tells of its outputs.

  A head may have a method `diagnostics(outputs)`, for example of saturation;
  `metrics.clumping` averages what it returns. Most have none.
  """
  method = getattr(head, "diagnostics", None)
  return method(outputs) if method else {}


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

# The literature's rows as configurations, for sweeps and for finding one's way:
# A scalars, B vectors, C bins, D densities. Not here: D4, a conditional VAE,
# D9, an implicit density, and D11, the energy score, which need a network or
# samples of their own. D12's rotation Laplace is there as the wrapped one: its
# own density, 1/|D| at the mode, has no integral on a circle.
CATALOGUE = {
  "A1": "head.name=scalar head.loss=l1",
  "A1 squared": "head.name=scalar head.loss=l2",
  "A2": "head.name=scalar head.output=sigmoid head.loss=wrapped_l1",
  "A3": "head.name=scalar head.loss=wrapped_l1",
  "A4": "head.name=scalar head.loss=wrapped_l2",
  "A4 Huber": "head.name=scalar head.loss=wrapped_huber",
  "A5": "head.name=scalar head.loss=one_minus_cos",
  "A6": "head.name=scalar head.loss=chord",
  "A7": "head.name=scalar head.loss=exp_cos head.kappa=1.0",
  "A8": "head.name=scalar head.loss=parabola",
  "A9": "head.name=scalar head.loss=rcc",
  "A10": "head.name=split_pair",
  "B1": "head.name=vector head.activation=tanh head.loss=cosine",
  "B2": "head.name=vector head.activation=tanh head.loss=mse",
  "B3": "head.name=vector head.loss=mse",
  "B4": "head.name=vector head.loss=l1",
  "B5": "head.name=vector head.activation=normalized head.loss=cosine",
  "B6": "head.name=vector head.activation=normalized head.loss=mse",
  "B7": "head.name=vector head.activation=normalized head.loss=exp_cos",
  "B8": "head.name=vector head.loss=mse head.norm_penalty=0.01",
  "B9": "head.name=vector head.activation=normalized head.loss=arc",
  "B10": "head.name=vector head.activation=normalized head.loss=chord",
  "B11": "head.name=vector head.loss=cdl",
  "B12": "head.name=vector head.loss=arc",
  # An SVD on SO(2) is a normalisation behind a linear layer.
  "B13": "head.name=vector head.activation=normalized head.loss=mse",
  "B14": "head.name=harmonics head.num_harmonics=4",
  "B15": "head.name=psc head.num_steps=3",
  "B16": "head.name=psc head.dual=True head.min_modulation=0.47",
  "B17": "head.name=vector head.loss=mse angles.period_deg=180",
  "B18": "head.name=acm head.activation=tanh",
  "C1": "head.name=bins head.loss=cross_entropy head.decode=argmax",
  "C2": "head.name=bins head.loss=cross_entropy head.decode=mean",
  "C2 parabola": "head.name=bins head.num_bins=36 head.decode=parabola",
  "C3": "head.name=csl head.window=gaussian head.radius_deg=6",
  "C3 pulse": "head.name=csl head.window=pulse",
  "C3 rectangular": "head.name=csl head.window=rectangular",
  "C3 triangle": "head.name=csl head.window=triangle",
  "C4": "head.name=bins head.loss=gaussian head.width_deg=6 head.decode=argmax",
  "C5": "head.name=bins head.loss=von_mises head.width_deg=6"
  " head.decode=argmax",
  "C6": "head.name=bins head.loss=mebow head.num_bins=72 head.width_deg=20"
  " head.decode=argmax",
  "C7": "head.name=bits head.code=gray",
  "C7 binary": "head.name=bits head.code=binary",
  "C8": "head.name=multibin",
  "C9": "head.name=shifted head.num_nets=3 head.num_bins=4",
  "C10": "head.name=bins head.loss=wasserstein head.decode=argmax",
  "C10 squared": "head.name=bins head.loss=squared_emd head.decode=argmax",
  "C11": "head.name=half_planes",
  "C11 hinge": "head.name=half_planes head.loss=hinge",
  "C12": "head.name=bins head.loss=expectation head.decode=mean",
  "D1": "head.name=vonmises head.parametrization=softplus",
  "D2": "head.name=vonmises",
  "D3": "head.name=mixture head.component=vonmises",
  "D5": "head.name=power_spherical",
  "D6": "head.name=wrapped_cauchy",
  "D7": "head.name=wrapped_normal",
  "D7 projected": "head.name=projected_normal",
  "D8": "head.name=bins head.loss=gaussian head.decode=median",
  "D10": "head.name=fourier",
  "D12": "head.name=wrapped_laplace",
  "D12 Bingham": "head.name=vonmises angles.period_deg=180",
}
