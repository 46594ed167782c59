"""Angles: units, wrapping, circular averages, and which angles are drawn.

Inside rotjax a head sees `theta`, radians in [-pi, pi), on a circle whose full
turn is one period of the content (360 degrees, or 180 for lines and text).
People, the warp and every table see degrees, counter-clockwise as seen on the
screen. Pure functions; those on arrays take NumPy and JAX arrays alike.
"""

import dataclasses
import math
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from rotjax import errors

TWO_PI = 2 * math.pi
# NumPy in, NumPy out; jax in, jax out.
Array = TypeVar("Array", float, np.ndarray, jax.Array)


def wrap(theta: Array, period: float = TWO_PI) -> Array:
  """Wraps angles into [-period/2, period/2).

  Args:
    theta: `[...]` angles, in the unit of `period`.
    period: the full turn.

  Returns:
    `[...]` the equivalent angles; NumPy in, NumPy out.
  """
  wrapped = (theta + period / 2) % period - period / 2
  # In floating point the remainder of a tiny negative number is `period`.
  xp = jnp if isinstance(wrapped, jax.Array) else np
  return xp.where(wrapped >= period / 2, -period / 2, wrapped)


def difference(a: Array, b: Array, period: float = TWO_PI) -> Array:
  """The signed shortest turn from `b` to `a`, `[...]` in [-period/2, ...)."""
  return wrap(a - b, period)


def circular_mean(
  theta: Array, weights: Array | None = None, axis: int = -1
) -> Array:
  """Direction of the vector average, radians (Mardia & Jupp 2000, eq. 2.2.4).

  Args:
    theta: radians; averaged over `axis`.
    weights: non-negative, broadcastable to `theta`; equal when None.
    axis: the axis that goes.

  Returns:
    Radians in [-pi, pi); arbitrary where the resultant is zero.
  """
  xp = jnp if isinstance(theta, jax.Array) else np
  w = 1.0 if weights is None else weights
  sine, cosine = (w * xp.sin(theta)).sum(axis), (w * xp.cos(theta)).sum(axis)
  return wrap(xp.arctan2(sine, cosine))


def nearest_multiple(angle_deg: np.ndarray, step_deg: float) -> np.ndarray:
  """The number of the multiple of a step that is nearest to each angle.

  The higher one of two, also where float32 left the angle a rounding below the
  middle. To the even one, as `round` has it, angles on a grid of half the step
  would fall to every other multiple.

  Args:
    angle_deg: `[...]` degrees.
    step_deg: degrees.

  Returns:
    `[...]` whole numbers, int64.
  """
  angle_deg = np.asarray(angle_deg, np.float64)
  return np.floor((angle_deg + 1e-4) / step_deg + 0.5).astype(np.int64)


def hashed_uniform(index: np.ndarray) -> np.ndarray:
  """A fixed pseudo-random number in [0, 1) for each non-negative integer.

  The 32-bit finaliser of MurmurHash3 (Appleby 2011): the same for every run,
  arm, seed and machine, and unrelated for neighbouring indices.
  """
  h = np.asarray(index, np.uint64) + np.uint64(0x9E3779B9)
  mask = np.uint64(0xFFFFFFFF)
  for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
    h = ((h ^ (h >> np.uint64(shift))) * np.uint64(factor)) & mask
  return (h ^ (h >> np.uint64(16))) / 2.0**32


# What a distribution draws from, and what it leaves aside.
_USED = {
  "uniform": ("range_deg",),
  "grid": ("range_deg", "step_deg"),
  "values": ("values_deg",),
}
# Of test-time averaging, `eval.tta`: how many turns of a picture are shown.
TTA_PASSES = {"none": 1, "rot90": 4, "rot8": 8}
_FIELDS = ("range_deg", "step_deg", "values_deg")
# Finer float32 does not tell apart; a grid so fine has 360,000 points.
_FINEST_DEG = 1e-3


@dataclasses.dataclass(frozen=True)
class Angles:
  """Which angles are drawn, and on which circle they are scored.

  Attributes:
    distribution: "uniform" over the range, "grid" with `step_deg` over the
      range, or "values": those of `values_deg`, equally likely.
    step_deg: spacing of the grid, from the range's lower end.
    range_deg: lower and upper end, degrees; a full turn leaves the upper out.
    values_deg: the list for "values".
      Of these three, one that its distribution does not use is refused.
    period_deg: the content's own period: 360, or 360/n where it is n-fold
      symmetric. Angles are trained and scored modulo it.
  """

  distribution: str = "uniform"
  step_deg: float = 20.0
  range_deg: tuple[float, float] = (-180.0, 180.0)
  values_deg: tuple[float, ...] = ()
  period_deg: float = 360.0

  def __post_init__(self):
    errors.choose("angles.distribution", self.distribution, _USED)
    # Down to a degree; written so that NaN is refused, too.
    fold = 360 / self.period_deg if self.period_deg >= 1 else 0.5
    if not (1 <= fold and abs(fold - round(fold)) <= 1e-9):
      raise errors.UserError(
        f"angles.period_deg = {self.period_deg} is not 360/n: use 360, 180,"
        " 120, 90, ... 1"
      )
    if len(self.range_deg) != 2 or not self.range_deg[0] < self.range_deg[1]:
      raise errors.UserError(
        f"angles.range_deg = {self.range_deg} is not (low, high) with"
        " low < high"
      )
    if self.range_deg[1] - self.range_deg[0] > 360:
      raise errors.UserError(
        f"angles.range_deg = {self.range_deg} spans more than 360 degrees"
      )
    for end in self.range_deg:
      errors.check_range("an end of angles.range_deg", end, -720, 720)
    width = self.range_deg[1] - self.range_deg[0]
    errors.check_range("the width of angles.range_deg", width, _FINEST_DEG, 360)
    periods = width / self.period_deg
    if periods > 1 and abs(periods - round(periods)) > 1e-9:
      raise errors.UserError(
        f"angles.range_deg = {self.range_deg} covers a part of the circle of"
        f" angles.period_deg = {self.period_deg} more often than the rest: use"
        " one period or less"
      )
    if (
      self.distribution == "grid" and not _FINEST_DEG <= self.step_deg <= width
    ):
      raise errors.UserError(
        f"angles.step_deg = {self.step_deg} must be positive, at least"
        f" {_FINEST_DEG}, and no more than the range is wide, {width:g}"
      )
    if self.distribution == "values":
      self._check_values()
    self._check_ignored()

  def _check_values(self):
    if not self.values_deg:
      raise errors.UserError(
        'angles.distribution = "values" needs angles.values_deg, e.g.'
        " (0, 90, 180, 270)"
      )
    errors.check_range(
      "the number of angles.values_deg", len(self.values_deg), 1, 36_000
    )
    for value in self.values_deg:
      errors.check_range("an angle of angles.values_deg", value, -720, 720)
    # Twice the same would be twice as likely.
    turns = sorted(round(value % 360, 6) % 360 for value in self.values_deg)
    twice = [b for a, b in zip(turns, turns[1:]) if a == b]
    if twice:
      raise errors.UserError(
        f"angles.values_deg = {self.values_deg} holds {twice[0]:g} degrees, up"
        " to whole turns, twice: each is equally likely, so name it once"
      )

  def _check_ignored(self):
    """Refuses what was set and would change nothing."""
    used = _USED[self.distribution]
    for field in dataclasses.fields(self):
      ignored = field.name in _FIELDS and field.name not in used
      if ignored and getattr(self, field.name) != field.default:
        raise errors.UserError(
          f"angles.{field.name} = {getattr(self, field.name)} has no effect"
          f" where angles.distribution = {self.distribution!r}: leave it at"
          f" {field.default}, or choose the distribution"
          f" {' or '.join(repr(d) for d in _USED if field.name in _USED[d])}"
        )

  @property
  def width_deg(self) -> float:
    """Length of the arc that the drawn angles cover, degrees."""
    return min(self.range_deg[1] - self.range_deg[0], self.period_deg)

  @property
  def discrete_deg(self) -> np.ndarray | None:
    """`[n]` the possible angles in degrees; None where they are a continuum."""
    if self.distribution == "values":
      return np.asarray(self.values_deg, np.float64)
    if self.distribution == "grid":
      low, high = self.range_deg
      # The upper end of a whole period is the lower end again.
      whole = high - low >= self.period_deg
      end = high - 1e-9 if whole else high + 1e-9
      return np.arange(low, end, self.step_deg, dtype=np.float64)
    return None

  @property
  def covers_the_circle(self) -> bool:
    """Whether every angle is equally likely, whatever turn came before."""
    return self.distribution == "uniform" and self.width_deg == self.period_deg

  def has_turns(self, turn_deg: float) -> bool:
    """Whether each of these angles, turned on by so much, is one of them."""
    period, values = self.period_deg, self.discrete_deg
    if values is None:
      left = math.fmod(turn_deg, period)
      return self.width_deg == period or min(left, period - left) < 1e-9

    def on_the_circle(deg):
      deg = deg % period
      deg = np.sort(np.where(period - deg < 1e-6, 0.0, deg))
      return deg[np.diff(deg, prepend=-1.0) > 1e-6]

    before, after = on_the_circle(values), on_the_circle(values + turn_deg)
    return len(before) == len(after) and np.allclose(before, after, 0, 1e-5)

  def check_tta(self, tta: str) -> None:
    """Checks that a network trained on these angles may be averaged so.

    Raises:
      UserError: it would be shown turns that it never saw.
    """
    turn_deg = 360 / TTA_PASSES[tta]
    if tta == "none" or self.has_turns(turn_deg):
      return
    field = {"grid": "step_deg", "values": "values_deg"}.get(
      self.distribution, "range_deg"
    )
    raise errors.UserError(
      f'tta = "{tta}" shows the network each picture turned on by multiples of'
      f" {turn_deg:g} degrees, too, and angles.{field} ="
      f" {getattr(self, field)} trains no such turns: use tta ="
      ' "none", or train on the full circle'
    )

  def draw(self, key: jax.Array) -> jax.Array:
    """One angle in degrees, float32 scalar, from a typed PRNG key."""
    values = self.discrete_deg
    if values is not None:
      index = jax.random.randint(key, (), 0, len(values), jnp.int32)
      return jnp.asarray(values, jnp.float32)[index]
    low, high = self.range_deg
    return jax.random.uniform(key, (), jnp.float32, low, high)

  def to_theta(self, angle_deg: Array) -> Array:
    """Degrees to the heads' radians: one period is one full turn."""
    return wrap(wrap(angle_deg, self.period_deg) * (TWO_PI / self.period_deg))

  def to_degrees(self, theta: Array) -> Array:
    """The heads' radians to degrees in [-period/2, period/2)."""
    return theta * (self.period_deg / TWO_PI)

  @property
  def log_jacobian(self) -> float:
    """Added to a head's log-density to get nats per radian of real turn."""
    return math.log(360.0 / self.period_deg)

  def evaluation_deg(self, index: np.ndarray, num_angles: int) -> np.ndarray:
    """The angles at which each image is evaluated, the same for every run.

    An even grid over the range, offset by a hash of the image's index: one
    common grid would alias with bin heads and clumping statistics. Where the
    distribution is discrete, evenly spread members of it.

    Args:
      index: `[n]` dataset indices.
      num_angles: A.

    Returns:
      `[n, A]` degrees, float64 (A is smaller where fewer values exist).
    """
    offset = hashed_uniform(index)[:, None]
    values = self.discrete_deg
    if values is None:
      low = self.range_deg[0]
      return low + (np.arange(num_angles) + offset) * (
        self.width_deg / num_angles
      )
    count = min(num_angles, len(values))
    stride = np.arange(count) * len(values) // count
    start = (offset * len(values)).astype(np.int64)
    return values[(stride + start) % len(values)]

  def quantiles_deg(self, n: int = 3600) -> np.ndarray:
    """`[~n]` angles that stand for the distribution, for chance levels."""
    values = self.discrete_deg
    if values is not None:
      return values
    low, width = self.range_deg[0], self.width_deg
    return low + width * (np.arange(n) + 0.5) / n
