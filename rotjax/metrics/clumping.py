"""Do the predictions gather at certain angles that the truth does not favour?

Everything here counts degrees of a circle of 360; on a shorter period all
numbers shrink by period/360 (with period 180, "multiples of 45" are multiples
of 22.5), because it is the head's own circle that an activation clumps on.
"""

import math

import numpy as np

from rotjax import angles as angles_lib
from rotjax.metrics import predictions

# m_8 sees multiples of 45 degrees, m_4 tells axes from diagonals, m_18 and m_36
# see grids of 20 and 10; m_1 alone tells one constant prediction from several
# clumps that cancel in it.
MOMENTS = (1, 4, 8, 18, 36)
MIN_IMAGES = 8
# What heads with a tanh say of their outputs: `vector.tanh_saturation`.
SATURATION = ("saturated_share", "tanh_slope", "mean_abs_output")
_CELLS = 360  # of the circle, for Kuiper's p-value
_EXCHANGES = 999  # random ones behind it, _CHUNK at a time
_CHUNK = 111


def moment(angle_deg: np.ndarray, k: int, period_deg: float) -> complex:
  """The k-th trigonometric moment, mean of exp(i k theta) over all views."""
  theta = np.asarray(angle_deg, np.float64) * (2 * np.pi / period_deg)
  return complex(np.exp(1j * k * theta).mean())


def moment_p_value(p: predictions.Predictions, k: int) -> float:
  """p-value of "the errors pull the predictions no k-fold way".

  With theta the truth and e the error, the predictions' moment is
  E exp(ik theta) exp(ik e). Where errors do not depend on the angle, that is
  the product of the two means, whatever grid the truth lies on and however
  biased or broad the errors are; the covariance of the two factors is what
  clumping adds. It is tested against zero with a Wald test (Hotelling's T^2,
  two degrees of freedom) whose variance is that between images, for the views
  of one image are not independent. On a truth that itself lies on the k-fold
  grid nothing can be told, and the p-value is 1.

  Args:
    p: predictions on at least MIN_IMAGES images.
    k: order of the moment.

  Returns:
    In [0, 1]; uniform where there is no clumping and images are many.
  """
  turn = 2j * np.pi * k / p.angles.period_deg
  truth = np.exp(turn * np.asarray(p.true_deg, np.float64))
  error = np.exp(turn * p.residual_deg)
  covariance = (truth - truth.mean()) * (error - error.mean())
  image = p.sum_by_image(covariance) / covariance.shape[1]
  xy = np.stack([image.real, image.imag], axis=-1)
  n = len(xy)
  # Answers that are all right, or all one constant, have no variance at all.
  variance = np.cov(xy, rowvar=False) + 1e-12 * np.eye(2)
  mean = xy.mean(0)
  t_square = n * mean @ np.linalg.solve(variance, mean)
  f = t_square * (n - 2) / (2 * (n - 1))
  # The F distribution's upper tail; scipy.stats takes a second to import, this
  # a fifth of one, which a start can do without.
  import scipy.special

  return float(scipy.special.fdtrc(2, n - 2, f))


# Name -> the multiples, and how near, degrees. Multiples of 45 are where a
# saturated tanh clumps; a quarter turn is where an interpolation looks special.
NEAR = {"near_45": (45, 3), "near_90": (90, 1)}


def is_near(name: str, angle_deg: np.ndarray, period_deg: float) -> np.ndarray:
  """Which angles lie near the multiples that `name`, a key of NEAR, counts."""
  turns = np.asarray(angle_deg, np.float64) * (360 / period_deg)
  step, reach = NEAR[name]
  # float32 radians hold a degree to about 1e-5; the reach itself is near.
  return np.abs(angles_lib.wrap(turns, step)) <= reach + 1e-4


def near(name: str, angle_deg: np.ndarray, period_deg: float) -> float:
  """Share of `is_near`; uniform angles have .1333 and .0222."""
  return float(is_near(name, angle_deg, period_deg).mean())


def occupancy(angle_deg: np.ndarray, period_deg: float) -> np.ndarray:
  """`[8]` shares of the cells centred on -180, -135, ... 135 degrees."""
  turns = np.asarray(angle_deg, np.float64).ravel() * (360 / period_deg)
  cell = (angles_lib.nearest_multiple(turns, 45) + 4) % 8
  return np.bincount(cell, minlength=8) / cell.size


def kuiper_statistic(
  a_deg: np.ndarray, b_deg: np.ndarray, period_deg: float
) -> float:
  """Kuiper's two-sample V = max(F_a - F_b) + max(F_b - F_a).

  Unlike Kolmogorov's it does not depend on where the circle is cut. (Mardia &
  Jupp 2000, section 8.3.2.)
  """
  a = np.sort(angles_lib.wrap(np.ravel(a_deg), period_deg))
  b = np.sort(angles_lib.wrap(np.ravel(b_deg), period_deg))
  both = np.concatenate([a, b])
  gap = (
    np.searchsorted(a, both, side="right") / a.size
    - np.searchsorted(b, both, side="right") / b.size
  )
  return float(max(gap.max(), 0) + max(-gap.min(), 0))


def _cells(turn: np.ndarray) -> float:
  """Into how many cells to cut the circle for predictions `[...]` in turns.

  A fraction where the last one is shorter. Predictions on a grid finer than 2
  degrees lie on the edges, which count them half; predictions on a coarser one
  do clump.
  """
  gaps = np.diff(np.unique(turn))
  gaps = gaps[gaps > 1e-5]  # less is the rounding of one value
  points = round(1 / gaps.min()) if gaps.size else 0
  position = turn * points
  if (
    not 180 <= points <= 1e4
    or np.abs(position - np.rint(position)).max() > 0.01
  ):
    return _CELLS
  return points / max(1, round(points / _CELLS))


def _increments(turn: np.ndarray, image: np.ndarray, cells: float, size: int):
  """`[n, A]` turns in [0, 1) -> `[size, S]`: between one edge and the next.

  What lies on an edge is half before it, half behind: a grid's point stands for
  what was rounded to it from either side.
  """
  slots = math.ceil(cells) + 1
  position = turn * cells
  edge = np.rint(position)
  on_edge = np.abs(position - edge) < 1e-3
  edge[turn > 1 - 1e-3 / cells] = 0
  low = np.where(on_edge, edge, np.floor(position) + 1).astype(int)
  high = np.where(on_edge, edge + 1, low).astype(int)
  first = image[:, None] * slots
  both = np.concatenate([(first + slot).ravel() for slot in (low, high)])
  return np.bincount(both, minlength=size * slots).reshape(size, slots) / 2


def kuiper_p_value(p: predictions.Predictions, seed: int = 0) -> float:
  """p-value of "predictions and truth have one distribution", by image.

  The classical one takes all angles for independent. Here truth and predictions
  of one image are exchanged together or not at all, 999 times at random, which
  keeps whatever ties an image's views to each other and to their truth; V is
  taken at some 360 angles. Predictions on a grid finer than 2 degrees, as
  argmax of bins gives, pass for what was rounded to it. On a grid of truths or
  a restricted range any error at all spreads the predictions beyond the truth,
  and p is small without a fault.

  Args:
    p: the predictions.
    seed: of the exchanges.

  Returns:
    In [1/1000, 1].
  """
  predicted, truth = (
    np.asarray(degrees, np.float64) / p.angles.period_deg % 1
    for degrees in (p.predicted_deg, p.true_deg)
  )
  cells = _cells(predicted)
  gap = np.subtract(
    *(
      _increments(x, p.cluster, cells, p.num_clusters)
      for x in (predicted, truth)
    )
  )
  # Halves and whole numbers: float32 adds them exactly up to 8 million views.
  gap = np.cumsum(gap, axis=1)[:, :-1].astype(np.float32)
  rng = np.random.default_rng(seed)
  as_it_is = np.ptp(gap.sum(0))
  as_extreme = 1
  for _ in range(_EXCHANGES // _CHUNK):
    signs = rng.integers(0, 2, (_CHUNK, len(gap)), np.int8) * 2.0 - 1.0
    v = np.ptp(signs.astype(np.float32) @ gap, axis=1)
    as_extreme += int((v >= as_it_is).sum())
  return as_extreme / (_EXCHANGES + 1)


def compute(p: predictions.Predictions) -> dict[str, float]:
  """Clumping of the predictions.

  For k in MOMENTS `m{k}_excess`, |m_k| of the predictions less the truth's,
  and `m{k}_p`, `moment_p_value`; the shares of NEAR; `occupancy_max` and
  `occupancy_min` over the eight cells (uniform .125); `kuiper_v` of predictions
  against truth and `kuiper_p`. The p-values only with MIN_IMAGES images or
  more. The means of SATURATION, where the head states them.
  """
  period = p.angles.period_deg
  enough = p.num_clusters >= MIN_IMAGES
  metrics = {}
  for k in MOMENTS:
    predicted = abs(moment(p.predicted_deg, k, period))
    metrics[f"m{k}_excess"] = predicted - abs(moment(p.true_deg, k, period))
    if enough:
      metrics[f"m{k}_p"] = moment_p_value(p, k)
  shares = occupancy(p.predicted_deg, period)
  for name in NEAR:
    metrics[name] = near(name, p.predicted_deg, period)
  metrics["occupancy_max"] = float(shares.max())
  metrics["occupancy_min"] = float(shares.min())
  metrics["kuiper_v"] = kuiper_statistic(p.predicted_deg, p.true_deg, period)
  if enough:
    metrics["kuiper_p"] = kuiper_p_value(p)
  for name in SATURATION:
    if name in p.scores:
      metrics[name] = float(p.scores[name].mean())
  return metrics


def chance(angles: angles_lib.Angles) -> dict[str, float]:
  """What predictions distributed as the truth would have."""
  truth, period = angles.quantiles_deg(), angles.period_deg
  shares = occupancy(truth, period)
  return {
    **{name: near(name, truth, period) for name in NEAR},
    "occupancy_max": float(shares.max()),
    "occupancy_min": float(shares.min()),
  }
