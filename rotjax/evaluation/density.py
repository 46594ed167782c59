"""The density that a head states of a picture, at an angle or all around.

Outputs are `[N, P, num_outputs]`: P passes of the same N pictures, pass k with
the picture turned on by k/P of a whole turn, as test-time averaging makes them;
their densities, turned back, are averaged. Radians of the head's own circle.
"""

import math

import jax
import jax.numpy as jnp

from rotjax import angles as angles_lib
from rotjax import heads
from rotjax.metrics import probabilistic

# Points of a grid on which a histogram or a narrow peak is still tabulated.
MAX_POINTS = 8 * probabilistic.GRID_SIZE
# Stands for log 0, so that 0 times it is 0.
FLOOR = -1e6


def temper(head: heads.Head, outputs: jax.Array, tau: jax.Array) -> jax.Array:
  """Outputs of a density flatter (tau < 1) or sharper than that of `outputs`.

  Temperature scaling (Guo et al. 2017): the outputs times tau. Of logits,
  log-odds, natural parameters and Fourier coefficients that is p^tau,
  normalised; of any other head a density still, for every tau, with nothing to
  integrate. A head whose outputs mean something else has a method `temper`.

  Args:
    head: of any kind.
    outputs: `[..., num_outputs]`.
    tau: positive scalar.

  Returns:
    `[..., num_outputs]`.
  """
  method = getattr(head, "temper", None)
  return method(outputs, tau) if method else tau * outputs


def _turns(angles: angles_lib.Angles, passes: int) -> list[jax.Array]:
  return [angles.to_theta(jnp.float32(360 / passes * k)) for k in range(passes)]


def _mean(parts: list[jax.Array]) -> jax.Array:
  return jax.nn.logsumexp(jnp.stack(parts), axis=0) - math.log(len(parts))


def at(
  head: heads.Head,
  angles: angles_lib.Angles,
  outputs: jax.Array,
  theta: jax.Array,
) -> jax.Array | None:
  """The log-density of each picture at one angle.

  Args:
    head: of any kind.
    angles: states the period.
    outputs: `[N, P, num_outputs]`.
    theta: `[N]` radians.

  Returns:
    `[N]` nats per radian; None where the head states no density.
  """
  parts = [
    head.log_density(outputs[:, k], angles_lib.wrap(theta + turn))
    for k, turn in enumerate(_turns(angles, outputs.shape[1]))
  ]
  stated = [part for part in parts if part is not None]
  return _mean(stated) if stated else None


def tabulate(
  head: heads.Head,
  angles: angles_lib.Angles,
  outputs: jax.Array,
  num_points: int,
) -> jax.Array | None:
  """The log-density of each picture all around the circle.

  Args:
    head: of any kind.
    angles: states the period.
    outputs: `[N, P, num_outputs]`.
    num_points: G, a multiple of 4.

  Returns:
    `[N, G]` nats per radian on `probabilistic.grid(G)`; None where the head
    states no density.
  """
  grid = probabilistic.grid(num_points)
  parts = []
  for k, turn in enumerate(_turns(angles, outputs.shape[1])):
    # The grid is turned back, too: a quarter turn is a whole number of its
    # points for every period.
    points = 360 / outputs.shape[1] * k / angles.period_deg * num_points
    whole = abs(points - round(points)) < 1e-6
    ring = grid if whole else angles_lib.wrap(grid + turn)
    table = probabilistic.tabulate(head, outputs[:, k], ring)
    if table is not None:
      parts.append(jnp.roll(table, -round(points), -1) if whole else table)
  return _mean(parts) if parts else None


def grid_size(head: heads.Head, peak: float = -math.inf) -> int:
  """How many points a grid needs to hold a head's densities.

  A histogram's bins hold equally many points each; the spacing is at most the
  standard deviation of a peak, so that sums over the grid are its integrals.

  Args:
    head: one that is piecewise constant has an attribute `num_cells`: K, with
      edges at multiples of pi/K only.
    peak: greatest log-density to be held, nats per radian.

  Returns:
    A multiple of 4, `probabilistic.GRID_SIZE` or a little more wherever that
    is enough; not over MAX_POINTS for the sake of a peak.
  """
  cells = getattr(head, "num_cells", None)
  if cells:
    unit = math.lcm(2 * cells, 4)
    return unit * -(-probabilistic.GRID_SIZE // unit)
  # A normal density's greatest value is 1/(sqrt(2 pi) sd).
  log_points = 1.5 * math.log(2 * math.pi) + peak
  size = probabilistic.GRID_SIZE
  while size < MAX_POINTS and math.log(size) < log_points:
    size *= 2
  return size
