"""A softmax over K directions: classification, soft labels, histograms.

Bin k is centred on 2 pi k / K (so K = 360 has its centres on whole degrees)
and reaches half a bin to either side.
"""

from collections.abc import Callable
import dataclasses
import math

import jax
import jax.numpy as jnp

from rotjax import errors
from rotjax.heads import bin_targets, grid, plane

DECODINGS = {
  "argmax": grid.argmax,
  "local_mean": grid.local_mean,
  "mean": grid.mean,
  "median": grid.median,
  "parabola": grid.parabola,
}


def kl(targets: jax.Array, logits: jax.Array) -> jax.Array:
  """KL divergence of the softmax from `targets`, both `[..., K]`, in nats.

  The cross-entropy less the targets' own entropy, so that it is zero at best.
  """
  entropy = jax.scipy.special.entr(targets).sum(-1)
  return -(targets * jax.nn.log_softmax(logits)).sum(-1) - entropy


def circular_wasserstein(p: jax.Array, q: jax.Array) -> jax.Array:
  """Earth mover's distance round the ring, in radians, `[..., K]` -> `[...]`.

  The flow across each bin's edge is the difference of the cumulative sums, up
  to a current round the whole ring; their median is the current that moves
  least (Werman et al. 1986; Rabin et al. 2011).
  """
  flow = jnp.cumsum(p - q, axis=-1)
  # Its slope is zero only where the signs of the rest cancel: of a peaked p
  # many flows tie with the median, or miss it by a rounding, so it must stay.
  current = jnp.median(flow, axis=-1, keepdims=True)
  return jnp.abs(flow - current).sum(-1) * (2 * math.pi / p.shape[-1])


def circular_squared_emd(p: jax.Array, q: jax.Array) -> jax.Array:
  """Sum of squared flows in radians, `[..., K]` -> `[...]`.

  Hou, Yu, Samaras 2016, "Squared earth mover's distance-based loss", closed
  to a ring: here the mean is the current that costs least.
  """
  flow = jnp.cumsum(p - q, axis=-1)
  flow -= flow.mean(axis=-1, keepdims=True)
  return jnp.square(flow).sum(-1) * (2 * math.pi / p.shape[-1])


def histogram_log_density(logits: jax.Array, theta: jax.Array) -> jax.Array:
  """Piecewise constant: the softmax `[..., K]` spread over each bin's width."""
  num_bins = logits.shape[-1]
  index = grid.nearest(theta, num_bins)[..., None]
  log_p = jax.nn.log_softmax(logits)
  chosen = jnp.take_along_axis(log_p, index, axis=-1)[..., 0]
  return chosen + math.log(num_bins / (2 * math.pi))


def cross_entropy(
  logits: jax.Array, theta: jax.Array, smoothing: float = 0.0
) -> jax.Array:
  """The classifier's: blind to how near a wrong bin is (RotNet)."""
  return kl(bin_targets.one_hot(theta, logits.shape[-1], smoothing), logits)


def gaussian(logits: jax.Array, theta: jax.Array, width: float) -> jax.Array:
  """KL from circular Gaussian labels (CGD, label distribution learning)."""
  return kl(bin_targets.gaussian(theta, logits.shape[-1], width), logits)


def von_mises(logits: jax.Array, theta: jax.Array, width: float) -> jax.Array:
  """KL from von Mises labels."""
  return kl(bin_targets.von_mises(theta, logits.shape[-1], width), logits)


def mebow(logits: jax.Array, theta: jax.Array, width: float) -> jax.Array:
  """Squared distance of the softmax to a Gaussian heat map.

  Wu et al. 2020, "MEBOW", with 72 bins and a width of 4 of them. The slope
  vanishes for a softmax that is sure of a wrong bin.
  """
  labels = bin_targets.gaussian(theta, logits.shape[-1], width)
  return jnp.square(jax.nn.softmax(logits) - labels).sum(-1)


def wasserstein(logits: jax.Array, theta: jax.Array) -> jax.Array:
  """`circular_wasserstein` to the angle, split between its two bins."""
  labels = bin_targets.linear(theta, logits.shape[-1])
  return circular_wasserstein(jax.nn.softmax(logits), labels)


def squared_emd(logits: jax.Array, theta: jax.Array) -> jax.Array:
  """`circular_squared_emd` to the angle, split between its two bins."""
  labels = bin_targets.linear(theta, logits.shape[-1])
  return circular_squared_emd(jax.nn.softmax(logits), labels)


def expectation(
  logits: jax.Array, theta: jax.Array, weight: float = 1.0
) -> jax.Array:
  """Cross-entropy plus `weight` x the arc from the softmax's mean direction.

  Ruiz et al. 2018 (HopeNet), whose expectation was that of a line.
  """
  m, t = grid.mean_vector(logits), plane.target_vector(theta)
  arc = plane.arc(plane.dot(m, t), plane.cross(m, t))
  return cross_entropy(logits, theta) + weight * arc


LOSSES: dict[str, Callable[..., jax.Array]] = {
  "cross_entropy": cross_entropy,
  "expectation": expectation,
  "gaussian": gaussian,
  "mebow": mebow,
  "squared_emd": squared_emd,
  "von_mises": von_mises,
  "wasserstein": wasserstein,
}


@dataclasses.dataclass(frozen=True)
class Bins:
  """K-way classification of the angle, scored as a histogram density.

  Attributes:
    num_bins: K.
    loss_: a key of `LOSSES`.
    label_smoothing: share spread over all bins, for "cross_entropy".
    width_deg: standard deviation of the labels of "gaussian", "mebow" and
      "von_mises", degrees of the head's circle.
    expectation_weight: weight of the arc, in radians, in "expectation".
    decode_: a key of `DECODINGS`. Measured on validation with 360 bins: median
      3.71, mean 3.72, argmax 3.86 degrees on threes; 30.8, 30.9, 31.4 on all
      digits.
  """

  num_bins: int = 360
  loss_: str = "cross_entropy"
  label_smoothing: float = 0.0
  width_deg: float = 6.0
  expectation_weight: float = 1.0
  decode_: str = "median"

  def __post_init__(self):
    errors.check_range("head.num_bins", self.num_bins, 3, 36_000)
    errors.choose("loss for head bins", self.loss_, LOSSES)
    errors.choose("head.decode", self.decode_, DECODINGS)
    errors.check_share("head.label_smoothing", self.label_smoothing)
    errors.check_range("head.width_deg", self.width_deg, 0.01, 360.0)
    errors.check_range(
      "head.expectation_weight", self.expectation_weight, 0, 1e6
    )

  @property
  def num_outputs(self) -> int:
    return self.num_bins

  @property
  def turns(self) -> int:
    return self.num_bins

  @property
  def num_cells(self) -> int:
    """The density is constant on each; see `density.grid_size`."""
    return self.num_bins

  def loss(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    width = {"width": math.radians(self.width_deg)}
    options = {
      "cross_entropy": {"smoothing": self.label_smoothing},
      "expectation": {"weight": self.expectation_weight},
      "gaussian": width,
      "mebow": width,
      "von_mises": width,
    }
    return LOSSES[self.loss_](outputs, theta, **options.get(self.loss_, {}))

  def decode(self, outputs: jax.Array) -> jax.Array:
    return DECODINGS[self.decode_](outputs)

  def log_density(self, outputs: jax.Array, theta: jax.Array) -> jax.Array:
    return histogram_log_density(outputs, theta)
