"""Scores of a predictive density: on the device per view, then their means.

The first half is pure jax and works on a density tabulated on a ring of
directions, so that one implementation serves every head; the second half is
NumPy and turns the scores of all views into metrics.

Both circular scores below are (1/2) sum_n w_n |phi_n - exp(i n y)|^2, with
phi_n = E exp(i n X) the density's Fourier coefficients and w_n >= 0 those of
the kernel k(d): E k(X - y) - (1/2) E k(X - X') written out, k(0) being 0. A
score is strictly proper where every w_n is positive. The arc distance has
w_n = 0 for even n, so its CRPS cannot see those waves: sharp two-fold and
four-fold mixtures score exactly the uniform's 45 degrees. The chord sees all.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rotjax import angles as angles_lib
from rotjax.metrics import angular, predictions

GRID_SIZE = 720
COVERAGE_LEVELS = (50, 80, 90, 95)
_SCORES = (
  *("log_density", "crps_deg", "energy_score", "hpd_rank"),
  *("entropy", "hpd90_deg", "resultant"),
)


def grid(num_points: int = GRID_SIZE) -> jax.Array:
  """`[G]` directions -pi + (k + 1/2) 2 pi / G, float32, for even G.

  Half a step off zero, so that histogram bins centred on whole degrees hold
  equally many points. Sums over a full ring converge faster than any power of
  the spacing: with 720 points a von Mises of concentration 1e4 (standard
  deviation .57 degrees) is still normalised to 1e-6 and scored to .03 %, only
  its highest-density width is 3 % off. What is sharper needs more points:
  `density.grid_size` tells how many.
  """
  if num_points % 2:
    raise ValueError(f"num_points = {num_points} must be even")
  step = 2 * np.pi / num_points
  return jnp.asarray(-np.pi + (np.arange(num_points) + 0.5) * step, jnp.float32)


def tabulate(
  head: Any, outputs: jax.Array, ring: jax.Array
) -> jax.Array | None:
  """A head's log-density in every direction of a ring.

  Args:
    head: of any kind.
    outputs: `[..., num_outputs]`.
    ring: `[G]` radians, as `grid` returns.

  Returns:
    `[..., G]` nats per radian of the head's circle; None where the head states
    no density.
  """
  # vmap, not broadcasting: what depends on the outputs alone is done once.
  return jax.vmap(
    lambda t: head.log_density(
      outputs, jnp.broadcast_to(t, outputs.shape[:-1])
    ),
    out_axes=-1,
  )(ring)


def cell_means(log_density: jax.Array, num_cells: int) -> jax.Array:
  """Log of the mean density over each of an even number of cells.

  Args:
    log_density: `[..., G]` on `grid(G)`, constant over each of its cells.
    num_cells: M.

  Returns:
    `[..., M]` on `grid(M)`, in the same unit.
  """
  num_points = log_density.shape[-1]
  if num_points == num_cells:
    return log_density
  # Cell m reaches over so many of the G, the first and the last in part.
  width = num_points / num_cells
  start = np.arange(num_cells)[:, None] * width
  index = np.floor(start).astype(int) + np.arange(math.ceil(width) + 1)
  held = np.minimum(index + 1, start + width) - np.maximum(index, start)
  share = np.float32(np.maximum(held, 0) / width)
  parts = log_density[..., index % num_points]
  weights = jnp.broadcast_to(share, parts.shape)
  return jax.nn.logsumexp(parts, axis=-1, b=weights)


def _kernel_weights(num_waves: int) -> tuple[np.ndarray, np.ndarray]:
  """`[N, 2]` w_n for n < N of arc and chord, and `[2]` their sums beyond.

  |d| = pi/2 - (4/pi) sum over odd n of cos(n d) / n^2;
  2 |sin(d/2)| = 4/pi - (8/pi) sum over n >= 1 of cos(n d) / (4 n^2 - 1).
  """
  n = np.arange(num_waves, dtype=np.float64)
  arc = np.where(n % 2 == 1, 4 / np.pi / np.maximum(n, 1) ** 2, 0.0)
  chord = np.where(n > 0, 8 / np.pi / (4 * n**2 - 1), 0.0)
  weights = np.stack([arc, chord], axis=-1)
  return weights, np.array([np.pi / 2, 4 / np.pi]) - weights.sum(0)


def _kernel_scores(mass: jax.Array, theta: jax.Array) -> jax.Array:
  """`[2]` arc CRPS and chord energy score of `mass` `[G]` at a scalar theta."""
  num_points = mass.shape[-1]
  num_waves = num_points // 2
  weights, beyond = _kernel_weights(num_waves)
  n = np.arange(num_waves)
  # fft sums exp(-i n x) with x counted from the table's first direction.
  shift = np.exp(1j * n * (np.pi / num_points - np.pi)).astype(np.complex64)
  phi = jnp.conj(jnp.fft.rfft(mass)[:-1]) * shift
  turn = theta * n.astype(np.float32)
  gap = jnp.square(phi.real - jnp.cos(turn))
  gap += jnp.square(phi.imag - jnp.sin(turn))
  # From G/2 on the density has no waves left and |phi_n - exp(i n y)| is 1.
  total = jnp.matmul(gap, weights.astype(np.float32), precision="highest")
  return 0.5 * (total + beyond.astype(np.float32))


def _hpd_rank(
  mass: jax.Array, theta: jax.Array, uniform: jax.Array
) -> jax.Array:
  """Mass denser than the truth, plus a share `uniform` of what ties with it."""
  num_points = mass.shape[-1]
  cell = jnp.floor((theta + jnp.pi) * (num_points / (2 * jnp.pi)))
  own = mass[jnp.mod(cell.astype(jnp.int32), num_points)]
  share = jnp.where(mass == own, uniform, jnp.where(mass > own, 1.0, 0.0))
  return jnp.clip((mass * share).sum(), 0, 1)


def _hpd_width(log_mass: jax.Array, level: float) -> jax.Array:
  """Length, in radians, of the densest region that holds `level`.

  Bisects the log-density that bounds the region: .6 seconds for 36,000
  densities on two CPU cores, where sorting them takes 4.
  """
  mass = jnp.exp(log_mass)

  def halve(_, bounds):
    low, high = bounds
    middle = 0.5 * (low + high)
    enough = jnp.where(log_mass > middle, mass, 0).sum() >= level
    return jnp.where(enough, middle, low), jnp.where(enough, high, middle)

  top = log_mass.max()
  # Below e^-40 of the peak no float32 sum changes.
  low, high = jax.lax.fori_loop(0, 24, halve, (top - 40, top))
  wide, narrow = log_mass > low, log_mass > high
  held = jnp.where(narrow, mass, 0).sum()
  edge = jnp.where(wide & ~narrow, mass, 0).sum()
  # Cells between the bounds are equally dense: they count by the share needed.
  share = jnp.clip((level - held) / jnp.maximum(edge, 1e-30), 0, 1)
  cells = jnp.where(narrow, 1.0, jnp.where(wide, share, 0.0)).sum()
  return cells * (2 * math.pi / mass.shape[-1])


def _scores_of_view(
  log_density_grid: jax.Array, theta: jax.Array, uniform: jax.Array
) -> dict[str, jax.Array]:
  """`density_scores` of one view: `[G]` and two scalars."""
  log_mass = jax.nn.log_softmax(log_density_grid.astype(jnp.float32))
  theta = theta.astype(jnp.float32)
  mass = jnp.exp(log_mass)
  crps, energy = _kernel_scores(mass, theta)
  cell = 2 * math.pi / mass.shape[-1]
  return {
    "crps": crps,
    "energy_score": energy,
    "hpd_rank": _hpd_rank(mass, theta, uniform.astype(jnp.float32)),
    "entropy": jax.scipy.special.entr(mass).sum() + math.log(cell),
    "hpd90": _hpd_width(log_mass, 0.9),
    "resultant": jnp.abs(jnp.fft.rfft(mass)[1]),
  }


def density_scores(
  log_density_grid: jax.Array, theta: jax.Array, uniform: jax.Array
) -> dict[str, jax.Array]:
  """Scores a density tabulated on a ring against the true direction.

  The density is normalised on the grid first. On the head's own circle, in
  radians and nats; `in_degrees` turns them into what `Predictions` holds. The
  log-density at the truth is not among them: the head states it exactly.

  Args:
    log_density_grid: `[..., G]` nats per radian on `grid(G)`; need not be
      normalised, -inf allowed.
    theta: `[...]` the truth, radians in [-pi, pi).
    uniform: `[...]` in [0, 1), drawn independently of all else, e.g.
      `angles.hashed_uniform` of the view's number: breaks ties of `hpd_rank`.

  Returns:
    `[...]` each:
    crps: E|X - y| - E|X - X'|/2 with the arc distance (Grimit, Gneiting,
      Berrocal, Johnson 2006), radians; proper, not strictly.
    energy_score: the same with the chord distance 2 |sin(d/2)| (Gneiting &
      Raftery 2007, section 4.3), no unit; strictly proper. Both are exact for a
      density without waves shorter than two grid steps, in O(G log G).
    hpd_rank: mass of the directions denser than the truth plus `uniform` times
      that of those equally dense, the truth's own grid cell included. Uniform
      on [0, 1] for a calibrated density, smooth or piecewise constant.
    entropy: nats.
    hpd90: length of the 90 % highest-density region, radians.
    resultant: length of the mean vector, 1 for certainty.
  """
  scores_of = _scores_of_view
  for _ in range(theta.ndim):
    scores_of = jax.vmap(scores_of)
  return scores_of(log_density_grid, theta, uniform)


# From here on NumPy, on the host.


def in_degrees(
  scores: dict[str, np.ndarray], angles: angles_lib.Angles
) -> dict[str, np.ndarray]:
  """Scores on the head's circle to scores of the real turn, float64.

  Args:
    scores: `density_scores`, and the head's own "log_density" at the truth.
    angles: states the period; with 180 degrees a head's radian is half a real
      one, and its densities are twice as high.

  Returns:
    The same under the names of `Predictions.scores`: log_density and entropy
    in nats per real radian, crps_deg and hpd90_deg in degrees; energy_score,
    hpd_rank and resultant as they were.
  """
  convert = {
    "log_density": ("log_density", lambda s: s + angles.log_jacobian),
    "entropy": ("entropy", lambda s: s - angles.log_jacobian),
    "crps": ("crps_deg", angles.to_degrees),
    "hpd90": ("hpd90_deg", angles.to_degrees),
  }
  result = {}
  for name, value in scores.items():
    new_name, function = convert.get(name, (name, lambda s: s))
    result[new_name] = function(np.asarray(value, np.float64))
  return result


def risk_coverage(
  error: np.ndarray, confidence: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Mean error of the most confident share of the views.

  (El-Yaniv & Wiener 2010.) Views of equal confidence come in random order; the
  curve is its expectation, so a constant confidence gives a flat one.

  Args:
    error: `[n]` absolute errors.
    confidence: `[n]` larger is surer; equal up to 1e-4 counts as equal, for
      float32 densities that differ in their mode alone do so in 1e-5.

  Returns:
    `[n]` coverage 1/n ... 1 and `[n]` mean error at that coverage; the mean of
    the latter is the AURC.
  """
  _, group = np.unique(-np.round(confidence, 4), return_inverse=True)
  group = group.reshape(-1)
  mean = np.bincount(group, error) / np.bincount(group)
  count = np.arange(1, error.size + 1)
  return count / error.size, np.cumsum(mean[np.sort(group)]) / count


def _density_metrics(
  scores: dict[str, np.ndarray], error_deg: np.ndarray, width_deg: float
) -> dict[str, float]:
  """Means over views of one density's scores; those that are there."""
  metrics = {}
  if "log_density" in scores:
    metrics["nll"] = -scores["log_density"].mean()
    metrics["nll_minus_uniform"] = metrics["nll"] - math.log(
      math.radians(width_deg)
    )
  for name in ("crps_deg", "energy_score", "entropy", "hpd90_deg", "resultant"):
    if name in scores:
      metrics[name] = scores[name].mean()
  if "hpd_rank" in scores:
    rank = np.sort(scores["hpd_rank"].ravel())
    for level in COVERAGE_LEVELS:
      metrics[f"coverage_{level}"] = (rank <= level / 100).mean()
    ideal = (np.arange(rank.size) + 0.5) / rank.size
    metrics["calibration_error"] = np.abs(rank - ideal).mean()
  if "entropy" in scores:
    _, risk = risk_coverage(error_deg.ravel(), -scores["entropy"].ravel())
    metrics["aurc_deg"] = risk.mean()
  return metrics


def compute(p: predictions.Predictions) -> dict[str, float]:
  """Metrics of the head's density, and "recalibrated_" ones of the fitted.

  nll in nats per radian and nll_minus_uniform against the uniform density on
  the range (below zero is better than chance); crps_deg, energy_score; the
  share of truths inside the q % highest-density region as coverage_q, and
  calibration_error, the mean of |coverage_q - q| over all q in [0, 1] (n
  independent views of a calibrated density give some .3/sqrt(n)); sharpness as
  mean entropy, hpd90_deg and resultant; aurc_deg, the mean error over all
  shares of the views, surest (least entropy) first, mae_deg if entropy tells
  nothing.
  """
  metrics: dict[str, float] = {}
  for prefix in ("", "recalibrated_"):
    scores = {
      k: p.scores[prefix + k] for k in _SCORES if prefix + k in p.scores
    }
    means = _density_metrics(scores, p.error_deg, p.angles.width_deg)
    metrics |= {prefix + k: float(v) for k, v in means.items()}
  return metrics


def _uniform_kernel(kernel, angles: angles_lib.Angles) -> float:
  """Mean score of the uniform density on the range, for a distance kernel."""
  width = angles.width_deg
  x = angles.range_deg[0] + width * (np.arange(720) + 0.5) / 720
  y = angles.quantiles_deg(720)
  period = angles.period_deg
  to_truth = kernel(angles_lib.difference(x[:, None], y[None, :], period))
  spread = kernel(angles_lib.difference(x[:, None], x[None, :], period))
  return float(to_truth.mean() - spread.mean() / 2)


def chance(angles: angles_lib.Angles) -> dict[str, float]:
  """Scores of the uniform density on the range of angles."""
  log_width = math.log(math.radians(angles.width_deg))
  turn = 2 * math.pi / angles.period_deg
  levels = {
    "nll": log_width,
    "nll_minus_uniform": 0.0,
    "crps_deg": _uniform_kernel(np.abs, angles),
    "energy_score": _uniform_kernel(
      lambda d: 2 * np.abs(np.sin(d * turn / 2)), angles
    ),
    "entropy": log_width,
    "hpd90_deg": 0.9 * angles.width_deg,
    "aurc_deg": angular.chance(angles)["mae_deg"],
  }
  return levels | {f"recalibrated_{k}": v for k, v in levels.items()}
