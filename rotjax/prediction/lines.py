"""The exact tilt of a page, from its lines.

A network tells which way is up, and the angle to a degree or so. The rest is in
the lines of text: seen along them, a page's ink lies in narrow bands with gaps
between. What is measured is how uneven the ink is that way, for turns about
the network's answer, on far more pixels than the network sees.

The sum of the ink along a direction is had from the transforms of narrow strips
across it, which are shifted against each other by as much as the direction
asks for. Of that sum the energy within a band of frequencies counts, weighted
by their squares: the sum of squared slopes, the criterion of Postl (1986) and
Baird (1987).
"""

from collections.abc import Sequence
import dataclasses

import numpy as np
import PIL.Image
import scipy.fft
import scipy.ndimage

from rotjax import angles as angles_lib
from rotjax.image import pictures
from rotjax.prediction import answers as answers_lib

# The longer side of what is measured, pixels: .03 degrees are half of one.
_SIDE = 1024
_STRIP = 8
# A page is looked at in so many parts, side by side.
_PARTS = 4
# Ink at a picture's border fades over so many pixels: the border is no line.
_FADE = 16
# Periods across the lines, pixels, that are looked at.
_LONGEST, _COARSE, _SHORTEST = 80.0, 14.0, 5.0
_COARSE_STEP_DEG, _FINE_STEP_DEG = 0.25, 0.05
# How far beside an answer lines are looked for, at most and at least.
WIDEST_DEG, NARROWEST_DEG = 20.0, 1.0
# Of the network's probability around its answer, the turns that are searched
# hold so much.
_SEARCHED = 0.99
# What a page that is set by its lines is off by, as a rule: two times what was
# measured on rendered pages, for lines that are not quite straight.
SPREAD_DEG = 0.05
# Of the largest, the energy at which a period across the lines is one of them.
_NOTABLE = 0.3
NO_LINES = "no lines"
# The energy along lines, over the median of that of all turns.
_LEAST_CONTRAST = 2.2


@dataclasses.dataclass(frozen=True)
class Found:
  """What the lines of a picture say.

  Attributes:
    angle_deg: its turn, by its lines; the answer itself where there are none.
    moved_deg: by how much that differs from the answer.
    reason: why the answer was left as it is; "" where it was not.
  """

  angle_deg: float
  moved_deg: float = 0.0
  reason: str = ""


def small(picture: PIL.Image.Image) -> PIL.Image.Image:
  """What `refine` looks at of a picture: grey, 1024 pixels long at most.

  Raises:
    pictures.Unusable: a mode that cannot be converted.
  """
  grey = pictures.flat(picture, 1)
  shrink = max(grey.size) // _SIDE
  if shrink > 1:
    grey = grey.reduce(shrink)
  if max(grey.size) > _SIDE:
    grey.thumbnail((_SIDE, _SIDE), PIL.Image.Resampling.BOX, reducing_gap=None)
  return grey


def refined(
  answers: answers_lib.Answers, pages: Sequence[PIL.Image.Image]
) -> tuple[answers_lib.Answers, list[Found]]:
  """A network's answers, moved to where the pages' lines are.

  Args:
    answers: to n pictures.
    pages: the n pictures, from `small`.

  Returns:
    The answers with other angles, their densities as they were, and what was
    found of each. Angles are known modulo the answers' period still.
  """
  offsets = angles_lib.difference(
    answers.ring_deg, answers.angle_deg[:, None], answers.period_deg
  )
  found = [
    _refined(page, float(angle), float(also), reach_deg(offset, mass))
    for page, angle, also, offset, mass in zip(
      *(pages, answers.angle_deg, answers.second_mode()[0]),
      *(offsets, answers.mass),
      strict=True,
    )
  ]
  angle_deg = np.array([f.angle_deg for f in found])
  return (
    dataclasses.replace(
      answers, angle_deg=angles_lib.wrap(angle_deg, answers.period_deg)
    ),
    found,
  )


def _refined(page, angle_deg, also_deg, reach_deg) -> Found:
  """By the lines at an answer, or else at the network's second one."""
  if not np.isfinite(angle_deg):
    return Found(angle_deg, reason="no answer")
  found = refine(page, angle_deg, reach_deg)
  if found.reason != NO_LINES or np.isnan(also_deg):
    return found
  other = refine(page, also_deg, reach_deg)
  if other.reason:
    return found
  moved = (other.angle_deg - angle_deg + 180) % 360 - 180
  return Found(other.angle_deg, moved)


def reach_deg(offset_deg: np.ndarray, mass: np.ndarray) -> float:
  """How far a network's own spread lets its answer be moved.

  The half width of the range about the answer that holds 99 % of the
  probability within 45 degrees of it, from 1 to 20 degrees. What lies
  farther, such as a second mode upside down, is another answer and no spread.

  Args:
    offset_deg: `[G]` directions, degrees away from the answer.
    mass: `[G]` their probability.
  """
  far = np.abs(offset_deg)
  order = np.argsort(far)
  order = order[far[order] <= 45]
  sums = np.cumsum(mass[order])
  if not sums.size or not sums[-1] > 0:
    return NARROWEST_DEG
  at = int(np.searchsorted(sums, _SEARCHED * sums[-1]))
  half = float(far[order[min(at, len(order) - 1)]])
  return min(max(half, NARROWEST_DEG), WIDEST_DEG)


def refine(
  picture: PIL.Image.Image, angle_deg: float, reach_deg: float
) -> Found:
  """The turn of a page, from its lines, near to what a network says.

  Args:
    picture: of any mode, dark on light; see `small`.
    angle_deg: the network's answer, counter-clockwise.
    reach_deg: lines may move it by so much, either way.

  Raises:
    pictures.Unusable: a mode that cannot be converted.
  """
  ink = _ink(picture, angle_deg)
  if not ink.any():
    return Found(angle_deg, reason="no ink")
  spectrum, frequency = _strips(ink)
  # Turned back by the answer, the lines are level but for its error. All that
  # a network may ever be moved by, so that the contrast is always the same.
  wide = _steps(WIDEST_DEG, _COARSE_STEP_DEG)
  energy = _energy(spectrum, frequency, wide, _COARSE)
  near = np.abs(wide) <= reach_deg + _COARSE_STEP_DEG / 2
  at = int(np.argmax(np.where(near, energy, -1)))
  if not energy[at] > _LEAST_CONTRAST * np.median(energy):
    return Found(angle_deg, reason=NO_LINES)
  if at in (0, len(wide) - 1) or energy[at] < max(energy[at - 1 : at + 2]):
    return Found(angle_deg, reason="lines beyond the network's spread alone")
  fine = wide[at] + _steps(2 * _COARSE_STEP_DEG, _FINE_STEP_DEG)
  energy = _energy(spectrum, frequency, fine, _SHORTEST)
  peak = int(np.clip(np.argmax(energy), 1, len(fine) - 2))
  moved = float(fine[peak]) + _FINE_STEP_DEG * _parabola(
    *energy[peak - 1 : peak + 2]
  )
  turned = (angle_deg + moved + 180) % 360 - 180
  return Found(turned, moved)


def level(page: PIL.Image.Image, angle_deg: float) -> tuple[np.ndarray, float]:
  """The ink of a page that is turned back, and how far apart its lines are.

  Args:
    page: see `small`.
    angle_deg: its turn.

  Returns:
    float32 `[H, W]`, 1 is ink and 0 is paper; and pixels from line to line, 0
    where there is no ink.
  """
  ink = _ink(page, angle_deg, PIL.Image.Resampling.BILINEAR)
  if not ink.any():
    return ink, 0.0
  spectrum, frequency = _strips(ink)
  # Weighted by the frequency: the blocks of a page are more uneven than its
  # lines, and seldom. Of several peaks the longest period: at a half or a third
  # of it are the lines' upper and lower halves.
  energy = frequency * np.abs(spectrum.sum(-1)) ** 2
  energy = scipy.ndimage.uniform_filter1d(energy, 3)
  inner = energy[1:-1]
  rises, falls = inner > energy[:-2], inner >= energy[2:]
  peaks = np.flatnonzero(rises & falls & (inner >= _NOTABLE * energy.max()))
  at = peaks[0] + 1 if peaks.size else int(np.argmax(energy))
  return ink, 1 / float(frequency[at])


def _steps(reach: float, step: float) -> np.ndarray:
  count = round(reach / step)
  return step * np.arange(-count, count + 1)


def _ink(
  picture: PIL.Image.Image,
  angle_deg: float,
  resample: PIL.Image.Resampling = pictures.BICUBIC,
) -> np.ndarray:
  """float32 `[H, W]`: the page turned back; 1 is ink and 0 is paper.

  Of what is dark only strokes count: neither the scanner's black border nor
  shades of paper, which a closing takes for the background.
  """
  grey = small(picture)
  rough = np.asarray(grey.reduce(4))
  size = max(round(max(rough.shape) / 25), 3)
  behind = scipy.ndimage.grey_closing(rough, size)
  background = PIL.Image.fromarray(behind).resize(
    grey.size, PIL.Image.Resampling.BILINEAR
  )
  dark = np.asarray(background).astype(np.int16) - np.asarray(grey)
  level = np.clip(dark, 0, 255).astype(np.uint8)
  # As dark as most strokes is as dark as it gets.
  strokes = level[level > 32]
  if not strokes.size:
    return np.zeros(level.shape, np.float32)
  top = float(np.median(strokes))
  level = np.minimum(level * (255 / top), 255)
  level *= np.outer(*(_fading(length) for length in level.shape))
  ink = PIL.Image.fromarray(level.astype(np.uint8))
  turned = ink.rotate(-angle_deg, resample, expand=True, fillcolor=0)
  return np.asarray(turned).astype(np.float32) / 255


def _fading(length: int) -> np.ndarray:
  """`[length]`: 1, but for its ends, where it falls to 0."""
  at = np.arange(length)
  far = (np.minimum(at, at[::-1]) + 0.5) / _FADE
  return np.minimum(far, 1).astype(np.float32)


def _strips(ink: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Spectra across the lines, of upright strips.

  Returns:
    `[F, N]` complex, and `[F]` frequencies in cycles a pixel, from `_LONGEST`
    to `_SHORTEST`.
  """
  height, width = ink.shape
  count = -(-width // _STRIP)
  padded = np.pad(ink, ((0, 0), (0, count * _STRIP - width)))
  strips = padded.reshape(height, count, _STRIP).sum(-1)
  # What the shifts move out at one end must not come in at the other.
  length = scipy.fft.next_fast_len(
    height + int(width * np.tan(np.deg2rad(WIDEST_DEG + 1))), real=True
  )
  spectrum = scipy.fft.rfft(strips, length, axis=0)
  frequency = np.arange(len(spectrum)) / length
  kept = (frequency >= 1 / _LONGEST) & (frequency <= 1 / _SHORTEST)
  return spectrum[kept], frequency[kept]


def _energy(spectrum, frequency, angles_deg, shortest) -> np.ndarray:
  """How uneven the ink is along lines of some tilts, counter-clockwise.

  Args:
    spectrum, frequency: of `_strips`.
    angles_deg: `[A]`.
    shortest: period up to which frequencies count.

  Returns:
    `[A]`.
  """
  kept = frequency <= 1 / shortest
  spectrum, frequency = spectrum[kept], frequency[kept]
  # A line that rises to the right by the angle lies higher there: smaller y.
  slope = np.tan(np.deg2rad(angles_deg))
  # Columns of text need not have their lines at the same height, and two that
  # are shifted by half a line look level when they are not: parts of a page are
  # looked at one by one.
  size = -(-spectrum.shape[1] // _PARTS)
  padding = size * _PARTS - spectrum.shape[1]
  spectrum = np.pad(spectrum, ((0, 0), (0, padding)))
  spectrum = spectrum.reshape(len(spectrum), _PARTS, size)
  # Powers of one factor a strip: a complex exponential for each is slow.
  step = np.exp(-2j * np.pi * np.outer(frequency, slope) * _STRIP)[:, None]
  # Horner's scheme, from the last strip of each part to the first.
  total = np.zeros((len(spectrum), _PARTS, len(slope)), step.dtype)
  for strip in np.moveaxis(spectrum, -1, 0)[::-1]:
    total = total * step + strip[..., None]
  return np.einsum("f,fpa->a", frequency**2, np.abs(total) ** 2)


def _parabola(left: float, middle: float, right: float) -> float:
  """Where a parabola through three points, a step apart, has its top."""
  bend = left - 2 * middle + right
  return 0.5 * (left - right) / bend if bend < 0 else 0.0
