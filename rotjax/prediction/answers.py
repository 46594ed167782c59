"""Answers to pictures: angles, how sure, and what else it may be. NumPy."""

import dataclasses

import numpy as np

from rotjax import angles as angles_lib

RING_SIZE = 720  # of `metrics.probabilistic.grid`
# A second mode is told from this probability on, within `_NEAR` degrees.
NOTABLE = 0.1
_NEAR = 15.0
# A standard deviation of a normal density holds so much; half a quarter turn.
_USUAL, _EIGHTH = 0.6827, 45.0
# Of 255: what pixels of one colour differ by, from a scanner or a JPEG.
_BLANK = 8
# And only if it is so many times as probable as the valleys beside it.
_PROMINENCE = 1.5


@dataclasses.dataclass(frozen=True)
class Answers:
  """What a predictor says of n pictures.

  Attributes:
    angle_deg: `[n]` degrees in [-period/2, period/2), counter-clockwise as seen
      on the screen: the turn that was applied. Turn a picture by minus it.
    log_density: `[n, 720]` nats per radian, recalibrated, at `ring_deg`.
    period_deg: angles are known modulo this.
    blank: `[n]` whether the network was shown one colour and no picture: then
      nothing tells the turn, whatever the density says.
    trained: the turns that the network was trained on, in words. Of a picture
      turned otherwise an answer means nothing, nor does its density.
  """

  angle_deg: np.ndarray
  log_density: np.ndarray
  period_deg: float = 360.0
  blank: np.ndarray | None = None
  trained: str = ""

  @property
  def ring_deg(self) -> np.ndarray:
    """`[720]` degrees, the directions of the density."""
    return self.period_deg * ((np.arange(RING_SIZE) + 0.5) / RING_SIZE - 0.5)

  @property
  def mass(self) -> np.ndarray:
    """`[n, 720]` probability of each direction's cell."""
    top = self.log_density.max(axis=-1, keepdims=True)
    weight = np.exp(self.log_density - top)
    return weight / weight.sum(axis=-1, keepdims=True)

  def _share(
    self, offset_deg: np.ndarray, within_deg: float | np.ndarray
  ) -> np.ndarray:
    """Share of the cells at these offsets that lies within some degrees."""
    if np.all(within_deg >= self.period_deg / 2):
      return np.ones_like(offset_deg)
    cell = self.period_deg / RING_SIZE
    inside = within_deg + cell / 2 - np.abs(offset_deg)
    return np.clip(inside / cell, 0, 1)

  def within(self, degrees: float) -> np.ndarray:
    """`[n]` probability that the truth is within some degrees of the answer."""
    offset = angles_lib.difference(
      self.ring_deg, self.angle_deg[:, None], self.period_deg
    )
    return (self.mass * self._share(offset, degrees)).sum(axis=-1)

  def spread(self) -> np.ndarray:
    """`[n]` degrees: how far the answer is from the truth as a rule.

    Of the probability within 45 degrees of the answer, 68% lie so near, as
    within one standard deviation of a normal density.
    """
    offset = angles_lib.difference(
      self.ring_deg, self.angle_deg[:, None], self.period_deg
    )
    wanted = _USUAL * self.within(_EIGHTH)
    low = np.zeros(len(wanted))
    high = np.full(len(wanted), _EIGHTH)
    for _ in range(16):  # to a thousandth of a degree
      middle = (low + high) / 2
      share = (self.mass * self._share(offset, middle[:, None])).sum(axis=-1)
      low = np.where(share < wanted, middle, low)
      high = np.where(share < wanted, high, middle)
    return high

  def second_mode(self) -> tuple[np.ndarray, np.ndarray]:
    """Where else the density has a peak worth telling.

    The direction that the most probability lies within 15 degrees of, among
    the local maxima of that probability at least 30 degrees from the answer,
    if there are valleys between the two.

    Returns:
      `[n]` degrees and `[n]` the probability within 15 degrees of it; NaN where
      that is below `NOTABLE`, or there is no such direction.
    """
    cell = self.period_deg / RING_SIZE
    offset = angles_lib.wrap(np.arange(RING_SIZE) * cell, self.period_deg)
    kernel = self._share(offset, _NEAR)
    near = np.fft.irfft(
      np.fft.rfft(self.mass) * np.fft.rfft(kernel), RING_SIZE, axis=-1
    )
    reach = int(_NEAR / cell)
    around = [np.roll(near, k, axis=-1) for k in range(-reach, reach + 1)]
    # The margin: on a plateau the transform leaves noise of 1e-16.
    peak = near >= np.max(around, axis=0) - 1e-9
    away = angles_lib.difference(
      self.ring_deg, self.angle_deg[:, None], self.period_deg
    )
    height = np.where(peak & (np.abs(away) >= 2 * _NEAR), near, 0.0)
    best = height.argmax(axis=-1)
    tallest = np.take_along_axis(height, best[:, None], axis=-1)[:, 0]
    angle = np.full(len(best), np.nan)
    for n in np.flatnonzero(tallest >= NOTABLE):
      own = round(float(self.angle_deg[n] - self.ring_deg[0]) / cell)
      if _stands_out(near[n], best[n], own % RING_SIZE):
        shift = _plateau_middle(near[n], best[n])
        angle[n] = self.ring_deg[best[n]] + shift * cell
    return (
      angles_lib.wrap(angle, self.period_deg),
      np.where(np.isnan(angle), np.nan, tallest),
    )


def is_blank(
  squares: np.ndarray, disc: bool, threshold: float = 0.0
) -> np.ndarray:
  """Whether squares show one colour, but for the noise of a scan.

  Args:
    squares: uint8 `[n, S, S, C]`.
    disc: whether only the largest disc in them is looked at, see `warp.disc`.
    threshold: see `view.View`; 0 for none.

  Returns:
    `[n]` bools.
  """
  size = squares.shape[1]
  far = (np.arange(size) - (size - 1) / 2) ** 2
  inside = (far[:, None] + far <= (size / 2) ** 2) | (not disc)
  seen = squares[:, inside].astype(np.int16)
  if not seen.size:
    return np.zeros(len(squares), bool)
  if threshold:
    seen = 255 * (seen > 255 * threshold)
  spread = seen.max(axis=1) - seen.min(axis=1)
  return (spread <= _BLANK).all(axis=-1)


def _stands_out(ring: np.ndarray, at: int, other: int) -> bool:
  """Whether both ways from one cell to another lead through a valley."""
  from_at = np.roll(ring, -at)
  steps = (other - at) % len(ring)
  ways = from_at[: steps + 1], from_at[steps:]
  return all(way.min() < ring[at] / _PROMINENCE for way in ways)


def _plateau_middle(ring: np.ndarray, at: int) -> float:
  """Cells from `at` to the middle of the run of equal values around it."""
  equal = np.abs(np.roll(ring, -at) - ring[at]) < 1e-9
  if equal.all():
    return 0.0
  # argmin finds the first unequal one, ahead and behind.
  return (int(equal.argmin()) - int(np.roll(equal[::-1], 1).argmin())) / 2


def in_words(angle_deg: float) -> str:
  """An angle as a sentence's end: "turned 12.3° counter-clockwise"."""
  size = f"{abs(angle_deg):.1f}"
  if size == "0.0":
    return "upright"
  way = "counter-clockwise" if angle_deg > 0 else "clockwise"
  return f"turned {size}° {way}"
