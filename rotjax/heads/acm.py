"""Angle correction module: a complex exponential, supervised twice.

Xu et al. 2024, "Rethinking boundary discontinuity problem for oriented object
detection": the outputs are z = exp(i theta) and, when dual, exp(2 i theta);
one loss compares the code, a second the angle decoded from it. In the paper
the second is the loss of a box turned by that angle; with no box, here it is a
periodic loss of the angle itself.
"""

import dataclasses

import jax

from rotjax import angles, errors
from rotjax.heads import harmonics, plane, psc, scalar, vector

ACTIVATIONS = psc.ACTIVATIONS
LOSSES = scalar.PERIODIC


def decode(z: jax.Array) -> jax.Array:
  """`[..., 1 or 2, 2]` codes at theta (and 2 theta) -> `[...]` radians."""
  if z.shape[-2] == 2:
    return psc.unwrap(z[..., 0, :], z[..., 1, :])
  return plane.direction(z[..., 0, :])


@dataclasses.dataclass(frozen=True)
class ACM:
  """Complex exponential encoding, decoded before the loss.

  Attributes:
    dual: whether to add the code at twice the frequency.
    activation: of the outputs; the authors' is "tanh".
    loss_: a key of `LOSSES`, for the decoded angle, in radians.
    code_weight: weight of the smooth L1 between code and target.
  """

  dual: bool = True
  activation: str = "linear"
  loss_: str = "wrapped_huber"
  code_weight: float = 1.0

  def __post_init__(self):
    errors.choose("head.activation", self.activation, ACTIVATIONS)
    errors.choose("loss for head acm", self.loss_, LOSSES)
    errors.check_range("head.code_weight", self.code_weight, 0, 1e6)

  @property
  def num_outputs(self) -> int:
    return 4 if self.dual else 2

  @property
  def turns(self) -> tuple[int, ...]:
    return (1, 2) if self.dual else (1,)

  def _code(self, outputs: jax.Array) -> jax.Array:
    return harmonics.pairs(ACTIVATIONS[self.activation](outputs))

  def loss(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    z = self._code(outputs)
    t = harmonics.targets(theta, z.shape[-2])
    code = psc.smooth_l1(z, t).sum(-1)
    angle = LOSSES[self.loss_](angles.difference(decode(z), theta))
    return angle + self.code_weight * code

  def decode(self, outputs: jax.Array) -> jax.Array:
    return decode(self._code(outputs))

  def diagnostics(self, outputs: jax.Array) -> dict[str, jax.Array]:
    if self.activation != "tanh":
      return {}
    return vector.tanh_saturation(outputs)

  def log_density(self, outputs: jax.Array, theta: jax.Array) -> None:
    """None: an angle without a stated concentration."""
