"""Several coarse classifiers with shifted bins, read together.

Hara, Vemulapalli, Chellappa 2017, "Designing deep convolutional neural
networks for continuous object orientation estimation": M classifiers of N bins
each, the j-th turned by j/M of a bin; mean shift finds the mode of their
pooled votes.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp

from rotjax import angles, errors
from rotjax.heads import bins, grid, losses

_NUM_POINTS = 360


def shift(num_nets: int, num_bins: int) -> jax.Array:
  """`[M]` how far each classifier's bins are turned, radians."""
  return jnp.arange(num_nets) * (2 * math.pi / (num_nets * num_bins))


def log_histograms(logits: jax.Array, theta: jax.Array) -> jax.Array:
  """`[..., M, N]`, `[...]` -> `[..., M]`, nats per radian at theta."""
  own = jnp.subtract.outer(theta, shift(*logits.shape[-2:]))
  return bins.histogram_log_density(logits, own)


def mean_shift(logits: jax.Array, kernel: float) -> jax.Array:
  """Mode of the votes smoothed by a von Mises kernel.

  Evaluated on a grid with a parabola at its peak: the highest mode, where a
  climb by mean shift would end in one near its start.

  Args:
    logits: `[..., M, N]`.
    kernel: the kernel's width, radians.

  Returns:
    `[...]` radians in [-pi, pi).
  """
  num_nets, num_bins = logits.shape[-2:]
  centers = jnp.add.outer(shift(num_nets, num_bins), grid.centers(num_bins))
  d = jnp.subtract.outer(grid.centers(_NUM_POINTS), centers.ravel())
  log_kernel = -losses.one_minus_cos(d) / kernel**2
  log_p = jax.nn.log_softmax(logits)
  log_p = log_p.reshape(log_p.shape[:-2] + (1, num_nets * num_bins))
  log_kernel = jnp.broadcast_to(log_kernel, log_p.shape[:-2] + log_kernel.shape)
  return grid.parabola(jax.nn.logsumexp(log_p + log_kernel, axis=-1))


def product(logits: jax.Array, kernel: float) -> jax.Array:
  """Centre of the arc with the largest sum of log-histograms.

  The M shifted sets of edges cut the circle into M N arcs.
  """
  del kernel
  num_nets, num_bins = logits.shape[-2:]
  num_arcs = num_nets * num_bins
  # With an odd number of shifts the bins' edges fall between the centres.
  middle = 0.0 if num_nets % 2 else math.pi / num_arcs
  theta = grid.centers(num_arcs) + middle
  own = jnp.subtract.outer(theta, shift(num_nets, num_bins))
  index = grid.nearest(own, num_bins)
  log_p = jax.nn.log_softmax(logits)[..., None, :, :]
  index = jnp.broadcast_to(index, logits.shape[:-2] + index.shape)
  log_p = jnp.broadcast_to(log_p, index.shape + (num_bins,))
  total = jnp.take_along_axis(log_p, index[..., None], -1)[..., 0].sum(-1)
  return angles.wrap(theta[jnp.argmax(total, axis=-1)])


DECODINGS = {"mean_shift": mean_shift, "product": product}


@dataclasses.dataclass(frozen=True)
class Shifted:
  """M classifiers of N bins; their cross-entropies are added.

  Attributes:
    num_nets: M.
    num_bins: N.
    kernel_deg: width of the mean shift's kernel, degrees of the head's circle.
    decode_: a key of `DECODINGS`.
  """

  num_nets: int = 3
  num_bins: int = 4
  kernel_deg: float = 30.0
  decode_: str = "mean_shift"

  def __post_init__(self):
    errors.check_range("head.num_nets", self.num_nets, 1, 360)
    errors.check_range("head.num_bins", self.num_bins, 3, 360)
    errors.check_range("head.kernel_deg", self.kernel_deg, 0.01, 360.0)
    errors.choose("head.decode", self.decode_, DECODINGS)

  @property
  def num_outputs(self) -> int:
    return self.num_nets * self.num_bins

  @property
  def num_cells(self) -> int:
    """The density is constant on each; see `density.grid_size`."""
    return self.num_nets * self.num_bins

  def _logits(self, outputs: jax.Array) -> jax.Array:
    shape = self.num_nets, self.num_bins
    return outputs.reshape(outputs.shape[:-1] + shape)

  def loss(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    log_p = log_histograms(self._logits(outputs), theta)
    # Without the bins' width: cross-entropy, zero at best.
    return (math.log(self.num_bins / (2 * math.pi)) - log_p).sum(-1)

  def decode(self, outputs: jax.Array) -> jax.Array:
    kernel = math.radians(self.kernel_deg)
    return DECODINGS[self.decode_](self._logits(outputs), kernel)

  def log_density(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    """The M histograms' mixture, all of equal weight."""
    log_p = log_histograms(self._logits(outputs), theta)
    return jax.nn.logsumexp(log_p, axis=-1) - math.log(self.num_nets)
