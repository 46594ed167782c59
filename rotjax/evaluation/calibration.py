"""Densities fitted after training, on the validation set: one for every head.

A head without a density gets a von Mises around its decoded angle; a head with
one gets it tempered, made flatter or sharper (`density.temper`). One parameter
each, both by likelihood, so that tables can show raw and recalibrated scores of
all rows and favour none. Everything here is on the head's own circle, in
radians.
"""

from collections.abc import Callable
import dataclasses
import logging
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rotjax import angles as angles_lib
from rotjax import errors, heads
from rotjax.evaluation import density
from rotjax.metrics import probabilistic

_log = logging.getLogger("rotjax")

KINDS = ("vonmises", "temper")
MAX_KAPPA = 1e6
TAU_RANGE = (1e-3, 1e2)
# Views worth fitting to: the parameter's standard error is about 2 % there.
ENOUGH_VIEWS = 8192
# Images below which the fit is worth a warning.
FEW_IMAGES = 30


@dataclasses.dataclass(frozen=True)
class Calibration:
  """The fitted parameter; a pytree, so it can be an argument of jitted code.

  Attributes:
    kind: "vonmises" or "temper".
    value: kappa of the von Mises, or tau of the tempering: below 1 where the
      head was too sure of itself.
    num_points: of the grid that holds these densities, raw and recalibrated;
      see `density.grid_size`.
  """

  kind: str
  value: float
  num_points: int = probabilistic.GRID_SIZE

  @property
  def at_bound(self) -> bool:
    """Whether the likelihood still grew where the search ended."""
    low, high = (0.0, MAX_KAPPA) if self.kind == "vonmises" else TAU_RANGE
    return not low * 1.001 < float(self.value) < high * 0.999

  def to_dict(self) -> dict[str, Any]:
    """For JSON."""
    return {
      "kind": self.kind,
      "value": float(self.value),
      "num_points": self.num_points,
      "at_bound": self.at_bound,
    }

  @classmethod
  def from_dict(cls, state: dict[str, Any]) -> "Calibration":
    """What `to_dict` gave."""
    errors.choose("calibration", state["kind"], KINDS)
    num_points = int(state.get("num_points", probabilistic.GRID_SIZE))
    if num_points < 4 or num_points % 4:
      raise ValueError(f"num_points = {num_points} is not a multiple of 4")
    return cls(state["kind"], float(state["value"]), num_points)


jax.tree_util.register_dataclass(
  Calibration, data_fields=["value"], meta_fields=["kind", "num_points"]
)


def fit_vonmises(residual: np.ndarray) -> float:
  """Concentration of a von Mises about zero, by penalised likelihood.

  Maximises the likelihood over 1 + kappa: at large kappa the maximum likelihood
  of n residuals is n/(n - 2) times too sure on average, twice at n = 4 (a mean
  of squares stands in a denominator), and that factor takes it out; at many
  residuals nothing is left of it. Solves I1(kappa)/I0(kappa) =
  mean cos(residual) - 1/(n (1 + kappa)) (Mardia & Jupp 2000, eq. 5.3.4, without
  the last term), as 1 - ... on both sides: at large kappa that difference has
  the digits. 0 where nothing speaks for a direction, as after one or two
  residuals; MAX_KAPPA where it is larger still.

  Args:
    residual: `[n]` predicted less true angle, radians.

  Returns:
    kappa in [0, MAX_KAPPA].
  """
  import scipy.optimize  # slow to import, and only needed after training
  import scipy.special

  residual = np.asarray(residual, np.float64)
  loss = 2 * np.square(np.sin(residual / 2)).mean()  # mean of 1 - cos

  def excess(log1p_kappa: float) -> float:
    kappa = math.expm1(log1p_kappa)
    ratio = scipy.special.i1e(kappa) / scipy.special.i0e(kappa)
    return (1 - ratio) - loss - math.exp(-log1p_kappa) / residual.size

  low, high = 0.0, math.log1p(MAX_KAPPA)
  if excess(low) <= 0:
    return 0.0
  if excess(high) >= 0:
    return MAX_KAPPA
  return math.expm1(scipy.optimize.brentq(excess, low, high, xtol=1e-10))


def fit_temper(log_density: Callable[[float], np.ndarray]) -> float:
  """The tau of greatest likelihood, drawn to 1 where views are few.

  As if log tau were normal with a standard deviation of 1 beforehand: one view
  moves it a little, thousands as far as they will.

  Args:
    log_density: tau -> `[m]` nats per radian at the truth.

  Returns:
    tau, in TAU_RANGE.
  """
  import scipy.optimize  # likewise

  def loss(log_tau: float) -> float:
    value = np.maximum(log_density(math.exp(log_tau)), density.FLOOR)
    return 0.5 * log_tau**2 / value.size - value.mean(dtype=np.float64)

  low, high = map(math.log, TAU_RANGE)
  # A scan first: of a mixture the likelihood may have several maxima.
  log_tau = np.union1d(np.linspace(low, 0, 13), np.linspace(0, high, 9))
  best = int(np.argmin([loss(x) for x in log_tau]))
  bounds = log_tau[max(best - 1, 0)], log_tau[min(best + 1, len(log_tau) - 1)]
  found = scipy.optimize.minimize_scalar(
    loss, bounds=bounds, method="bounded", options={"xatol": 1e-5}
  )
  # The search stays inside of its bounds; a bound may be the answer.
  closest = min((*bounds, found.x), key=loss)
  return min(max(math.exp(closest), TAU_RANGE[0]), TAU_RANGE[1])


def _peak(head, angles, predicted_theta, outputs, theta, tau) -> float:
  """Log-density that one view in a hundred exceeds, raw or tempered."""

  @jax.jit
  def top(tau, outputs, *thetas):
    outputs = density.temper(head, outputs, tau)
    table = density.tabulate(head, angles, outputs, probabilistic.GRID_SIZE)
    at = [density.at(head, angles, outputs, t) for t in thetas]
    return jnp.stack([table.max(-1), *at]).max(0)

  both = [
    top(jnp.float32(t), outputs, predicted_theta, theta) for t in (1, tau)
  ]
  return float(np.quantile(np.max(both, axis=0), 0.99))


def fit(
  head: heads.Head,
  angles: angles_lib.Angles,
  *,
  predicted_theta: jax.Array,
  outputs: jax.Array,
  theta: jax.Array,
) -> Calibration:
  """Fits the recalibration of predictions, and of their densities where stated.

  Logs a warning where the parameter ends at a bound.

  Args:
    head: of any kind.
    angles: states the period.
    predicted_theta: `[m]` decoded on the validation set, radians.
    outputs: `[m, P, num_outputs]` of the network, see `density`.
    theta: `[m]` the truth, radians.

  Returns:
    The calibration: a tempering where a density is stated, else a von Mises.
  """
  predicted_theta, outputs, theta = map(
    jnp.asarray, (predicted_theta, outputs, theta)
  )

  @jax.jit
  def at_truth(tau, outputs, theta):
    tempered = density.temper(head, outputs, tau)
    return density.at(head, angles, tempered, theta)

  if jax.eval_shape(at_truth, jnp.float32(1), outputs, theta) is None:
    residual = angles_lib.difference(
      np.asarray(predicted_theta, np.float64), np.asarray(theta, np.float64)
    )
    kappa = fit_vonmises(residual)
    zero = jnp.zeros(())
    peak = float(_vonmises_log_density(jnp.float32(kappa), zero, zero))
    fitted = Calibration("vonmises", kappa, density.grid_size(head, peak))
  else:
    tau = fit_temper(
      lambda tau: np.asarray(at_truth(jnp.float32(tau), outputs, theta))
    )
    peak = 0.0
    if not getattr(head, "num_cells", None):  # a histogram's grid has no peak
      peak = _peak(head, angles, predicted_theta, outputs, theta, tau)
    fitted = Calibration("temper", tau, density.grid_size(head, peak))
  if fitted.at_bound:
    name = "kappa" if fitted.kind == "vonmises" else "tau"
    _log.warning(
      "the recalibration ended at its bound, %s = %g: validation tells no more"
      " than that the densities should be still %s",
      name,
      fitted.value,
      "flatter" if fitted.value < 1 else "sharper",
    )
  return fitted


def _vonmises_log_density(
  kappa: jax.Array, mean: jax.Array, theta: jax.Array
) -> jax.Array:
  """`[...]` nats per radian of von Mises(mean, kappa) at `theta` `[...]`."""
  # 1 - cos D as a square: kappa (1 - cos D) loses its digits at large kappa.
  square = jnp.square(jnp.sin((theta - mean) / 2))
  log_i0e = jnp.log(jax.scipy.special.i0e(kappa))
  return -2 * kappa * square - math.log(2 * math.pi) - log_i0e


def on_grid(
  calibration: Calibration,
  head: heads.Head,
  angles: angles_lib.Angles,
  *,
  predicted_theta: jax.Array,
  outputs: jax.Array,
) -> jax.Array:
  """The recalibrated log-density all around the circle; see `apply`.

  Returns:
    `[N, G]` on `probabilistic.grid(calibration.num_points)`, nats per radian.
  """
  num_points = calibration.num_points
  value = jnp.asarray(calibration.value, jnp.float32)
  if calibration.kind == "vonmises":
    return jax.vmap(
      lambda t: _vonmises_log_density(value, predicted_theta, t), out_axes=-1
    )(probabilistic.grid(num_points))
  tempered = density.temper(head, outputs, value)
  table = density.tabulate(head, angles, tempered, num_points)
  if table is None:
    raise ValueError("a tempering needs a head with a density")
  return table


def apply(
  calibration: Calibration,
  head: heads.Head,
  angles: angles_lib.Angles,
  *,
  predicted_theta: jax.Array,
  outputs: jax.Array,
  theta: jax.Array,
) -> tuple[jax.Array, jax.Array]:
  """The recalibrated log-density, at the truth and all around the circle.

  Args:
    calibration: from `fit` of the same head; may be traced.
    head: of any kind.
    angles: states the period.
    predicted_theta: `[N]` radians.
    outputs: `[N, P, num_outputs]` of the network.
    theta: `[N]` the truth, radians.

  Returns:
    `[N]` at theta and `[N, G]` as `on_grid`; nats per radian.

  Raises:
    ValueError: no density for a tempering.
  """
  value = jnp.asarray(calibration.value, jnp.float32)
  table = on_grid(
    calibration,
    head,
    angles,
    predicted_theta=predicted_theta,
    outputs=outputs,
  )
  if calibration.kind == "vonmises":
    return _vonmises_log_density(value, predicted_theta, theta), table
  tempered = density.temper(head, outputs, value)
  at_truth = density.at(head, angles, tempered, theta)
  if at_truth is None:
    raise ValueError("a tempering needs a head with a density")
  return jnp.maximum(at_truth, density.FLOOR), table
