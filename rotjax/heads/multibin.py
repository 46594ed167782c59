"""MultiBin: a coarse bin and the turn from its centre.

Mousavian et al. 2017, "3D bounding box estimation using deep learning and
geometry": each of K overlapping bins has a confidence and a residual vector.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp

from rotjax import angles, errors
from rotjax.heads import bins, grid, plane, vector


def residual_loss(
  residuals: jax.Array, theta: jax.Array, overlap: float
) -> jax.Array:
  """1 - cos of each residual's error, averaged over the bins holding theta.

  Args:
    residuals: `[..., K, 2]`, normalised here, the turn from each bin's centre.
    theta: `[...]` radians.
    overlap: how far, in radians, a bin reaches into each neighbour.

  Returns:
    `[...]`.
  """
  num_bins = residuals.shape[-2]
  d = grid.differences(theta, num_bins)
  holds = jnp.abs(d) <= math.pi / num_bins + overlap + 1e-6
  value = vector.cosine(residuals, plane.target_vector(d))
  return jnp.where(holds, value, 0.0).sum(-1) / holds.sum(-1)


@dataclasses.dataclass(frozen=True)
class MultiBin:
  """Confidences of K bins, each with a residual (cos, sin).

  Attributes:
    num_bins: K.
    overlap_deg: how far a bin reaches into each neighbour, degrees of the
      head's circle: inside, both learn their residual, so that a choice
      between them at the common edge costs nothing.
    residual_weight: weight of the residuals beside the cross-entropy of the
      nearest bin.
  """

  num_bins: int = 8
  overlap_deg: float = 10.0
  residual_weight: float = 1.0

  def __post_init__(self):
    errors.check_range("head.num_bins", self.num_bins, 2, 3600)
    errors.check_range("head.overlap_deg", self.overlap_deg, 0, 180)
    errors.check_range("head.residual_weight", self.residual_weight, 0, 1e6)

  @property
  def num_outputs(self) -> int:
    return 3 * self.num_bins

  def _parts(self, outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """-> `[..., K]` logits, `[..., K, 2]` residual vectors."""
    parts = outputs.reshape(outputs.shape[:-1] + (self.num_bins, 3))
    return parts[..., 0], parts[..., 1:]

  def loss(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    logits, residuals = self._parts(outputs)
    overlap = math.radians(self.overlap_deg)
    residual = residual_loss(residuals, theta, overlap)
    return bins.cross_entropy(logits, theta) + self.residual_weight * residual

  def decode(self, outputs: jax.Array) -> jax.Array:
    logits, residuals = self._parts(outputs)
    best = jnp.argmax(logits, axis=-1)
    turn = jnp.take_along_axis(plane.direction(residuals), best[..., None], -1)
    return angles.wrap(grid.centers(self.num_bins)[best] + turn[..., 0])

  def log_density(self, outputs: jax.Array, theta: jax.Array) -> None:
    """None: residuals without a stated concentration."""
