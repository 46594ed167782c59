"""Densities fitted after training, on the validation set: one for every head.

A head without a density gets a von Mises around its decoded angle; a head with
one gets it tempered, p^tau / Z(tau). One parameter each, both by maximum
likelihood, so that tables can show raw and recalibrated scores of all rows
and favour none. Everything here is on the head's own circle, in radians.
"""

from collections.abc import Callable
import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rotjax import angles, errors
from rotjax.metrics import probabilistic

KINDS = ("vonmises", "temper")
MAX_KAPPA = 1e6
TAU_RANGE = (1e-3, 1e2)
# Views worth fitting to: the parameter's standard error is about 2 % there.
ENOUGH_VIEWS = 8192
# Stands for log 0, so that 0 times it is 0.
_FLOOR = -1e6


@dataclasses.dataclass(frozen=True)
class Calibration:
  """The fitted parameter; a pytree, so it can be an argument of jitted code.

  Attributes:
    kind: "vonmises" or "temper".
    value: kappa of the von Mises, or tau of the tempering: below 1 where the
      head was too sure of itself.
  """

  kind: str
  value: float

  def to_dict(self) -> dict[str, Any]:
    """For JSON."""
    return {"kind": self.kind, "value": float(self.value)}

  @classmethod
  def from_dict(cls, state: dict[str, Any]) -> "Calibration":
    """What `to_dict` gave."""
    if state["kind"] not in KINDS:
      raise errors.unknown("calibration", state["kind"], KINDS)
    return cls(state["kind"], float(state["value"]))


jax.tree_util.register_dataclass(
  Calibration, data_fields=["value"], meta_fields=["kind"]
)


def _root(
  function: Callable[[float], float], low: float, high: float, xtol: float
) -> float:
  import scipy.optimize  # slow to import, and only needed after training

  return scipy.optimize.brentq(function, low, high, xtol=xtol)


def fit_vonmises(residual: np.ndarray) -> float:
  """Concentration of a von Mises about zero, by maximum likelihood.

  Solves I1(kappa)/I0(kappa) = mean cos(residual) (Mardia & Jupp 2000, eq.
  5.3.4), as 1 - ... on both sides: at large kappa that difference has the
  digits. 0 where the mean is not positive, MAX_KAPPA where it is larger still.

  Args:
    residual: `[m]` decoded less true angle, radians.

  Returns:
    kappa in [0, MAX_KAPPA].
  """
  import scipy.special  # likewise

  residual = np.asarray(residual, np.float64)
  loss = 2 * np.square(np.sin(residual / 2)).mean()  # mean of 1 - cos

  def excess(log1p_kappa: float) -> float:
    kappa = math.expm1(log1p_kappa)
    ratio = scipy.special.i1e(kappa) / scipy.special.i0e(kappa)
    return (1 - ratio) - loss

  low, high = 0.0, math.log1p(MAX_KAPPA)
  if excess(low) <= 0:
    return 0.0
  if excess(high) >= 0:
    return MAX_KAPPA
  return math.expm1(_root(excess, low, high, 1e-10))


@jax.jit
def _likelihood_slope(
  tau: jax.Array, log_density_grid: jax.Array, log_density: jax.Array
) -> jax.Array:
  """Derivative in tau of the mean negative log-likelihood of p^tau / Z.

  E_tau[log p] - mean log p(truth), `[m, G]` and `[m]`: increasing in tau, for
  log Z is convex.
  """
  weight = jax.nn.softmax(tau * log_density_grid)
  return ((weight * log_density_grid).sum(-1) - log_density).mean()


def fit_temper(log_density_grid: jax.Array, log_density: jax.Array) -> float:
  """Exponent tau that maximises the likelihood of p^tau / Z(tau).

  The likelihood is concave in tau, so the root of its slope is the maximum,
  and far better conditioned in float32 than the maximum itself.

  Args:
    log_density_grid: `[m, G]` nats per radian on `probabilistic.grid(G)`.
    log_density: `[m]` at the truth.

  Returns:
    tau, in TAU_RANGE.
  """
  table = jnp.maximum(log_density_grid.astype(jnp.float32), _FLOOR)
  truth = jnp.maximum(log_density.astype(jnp.float32), _FLOOR)

  def slope(log_tau: float) -> float:
    tau = jnp.asarray(math.exp(log_tau), jnp.float32)
    return float(_likelihood_slope(tau, table, truth))

  low, high = map(math.log, TAU_RANGE)
  if slope(low) >= 0:
    return TAU_RANGE[0]
  if slope(high) <= 0:
    return TAU_RANGE[1]
  return math.exp(_root(slope, low, high, 1e-6))


def fit(
  answer: jax.Array,
  theta: jax.Array,
  log_density: jax.Array | None = None,
  table: jax.Array | None = None,
) -> Calibration:
  """Fits the recalibration of answers, and of their densities where stated.

  Args:
    answer: `[m]` decoded angles on the validation set, radians.
    theta: `[m]` the truth, radians.
    log_density: `[m]` at the truth, nats per radian; None: none is stated.
    table: `[m, G]` the same on `probabilistic.grid(G)`.

  Returns:
    The calibration: a tempering where a density is stated, else a von Mises.
  """
  if log_density is not None and table is not None:
    return Calibration("temper", fit_temper(table, log_density))
  residual = angles.difference(
    np.asarray(answer, np.float64), np.asarray(theta, np.float64)
  )
  return Calibration("vonmises", fit_vonmises(residual))


def _vonmises_log_density(
  kappa: jax.Array, mean: jax.Array, theta: jax.Array
) -> jax.Array:
  """`[...]` nats per radian of von Mises(mean, kappa) at `theta` `[...]`."""
  # 1 - cos D as a square: kappa (1 - cos D) loses its digits at large kappa.
  square = jnp.square(jnp.sin((theta - mean) / 2))
  log_i0e = jnp.log(jax.scipy.special.i0e(kappa))
  return -2 * kappa * square - math.log(2 * math.pi) - log_i0e


def on_ring(
  calibration: Calibration, answer: jax.Array, table: jax.Array | None = None
) -> jax.Array:
  """The recalibrated log-density on a ring; see `apply`.

  Returns:
    `[..., G]` on `probabilistic.grid(G)`, nats per radian.
  """
  value = jnp.asarray(calibration.value, jnp.float32)
  if calibration.kind == "vonmises":
    return jax.vmap(
      lambda t: _vonmises_log_density(value, answer, t), out_axes=-1
    )(probabilistic.grid())
  scaled, log_z = _temper(value, table)
  return scaled - log_z[..., None]


def _temper(value, table):
  """tau log p `[..., G]` and log Z(tau) `[...]`."""
  scaled = value * jnp.maximum(table.astype(jnp.float32), _FLOOR)
  step = 2 * math.pi / scaled.shape[-1]
  return scaled, jax.nn.logsumexp(scaled, axis=-1) + math.log(step)


def apply(
  calibration: Calibration,
  answer: jax.Array,
  theta: jax.Array,
  log_density: jax.Array | None = None,
  table: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
  """The recalibrated log-density, at the truth and on a ring.

  Args:
    calibration: from `fit` of the same kind of answers; may be traced.
    answer: `[...]` decoded angles, radians.
    theta: `[...]` radians.
    log_density: `[...]` at theta, nats per radian; for a tempering.
    table: `[..., G]` the same on `probabilistic.grid(G)`; for a tempering.

  Returns:
    `[...]` at theta and `[..., G]` on `probabilistic.grid(G)`; nats per radian.

  Raises:
    ValueError: no density for a tempering.
  """
  value = jnp.asarray(calibration.value, jnp.float32)
  ring = on_ring(calibration, answer, table)
  if calibration.kind == "vonmises":
    return _vonmises_log_density(value, answer, theta), ring
  if log_density is None:
    raise ValueError("a tempering needs the log-density at the truth")
  _, log_z = _temper(value, table)
  return value * jnp.maximum(log_density, _FLOOR) - log_z, ring
