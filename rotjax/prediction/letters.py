"""Which way up a page is, from its letters.

A whole page in a network's small square shows lines, and hardly a letter: the
square tells the turn modulo 180 degrees well, and which way is up by the layout
alone. Once the page is level by its lines, another network is shown parts of it
that hold a few lines each. That network, `configs/letters.py`, was trained on
such parts, upright and upside down.
"""

from collections.abc import Sequence
import dataclasses

import numpy as np
import PIL.Image
import scipy.special

from rotjax import angles as angles_lib
from rotjax.image import pictures
from rotjax.prediction import answers as answers_lib
from rotjax.prediction import lines
from rotjax.prediction import predictor as predictor_lib

# Lines in a part, and parts of a page at most.
_LINES = 7.0
_PARTS = 8
# Probability counts for a way up within so many degrees of it.
_NEAR_DEG = 30.0
# One part moves the odds by e to this at most, either way: parts that show a
# figure are sure of anything.
_LIMIT = 3.0
# Parts of one page err together: each counts for so much.
_WEIGHT = 0.5


def read(
  answers: answers_lib.Answers,
  pages: Sequence[PIL.Image.Image],
  found: Sequence[lines.Found],
  predictor: predictor_lib.Predictor,
) -> answers_lib.Answers:
  """Answers that are the right way up by the letters of their pages.

  Args:
    answers: to n pages, set by their lines; see `lines.refined`. Their period
      is 360 degrees.
    pages: the n pages, from `lines.small`.
    found: what the lines of each said.
    predictor: which knows level parts of pages, upright and upside down.

  Returns:
    The answers turned by 180 degrees where the letters say so. The odds of
    both ways up are those of the whole page and of its parts, multiplied; the
    density of each answer is weighted by them.
  """
  cut = [
    parts(page, float(angle)) if not f.reason else []
    for page, angle, f in zip(pages, answers.angle_deg, found, strict=True)
  ]
  squares = [
    pictures.square(part, predictor.spec) for page in cut for part in page
  ]
  if not squares:
    return answers
  odds = _odds(predictor.answer(np.stack(squares)))
  odds = np.clip(odds, -_LIMIT, _LIMIT)
  owner = np.repeat(np.arange(len(cut)), [len(page) for page in cut])
  said = _WEIGHT * np.bincount(owner, odds, len(cut))
  return _weighted(answers, said)


def parts(page: PIL.Image.Image, angle_deg: float) -> list[PIL.Image.Image]:
  """Squares of a page that is turned back, a few lines high, the most inked.

  Args:
    page: from `lines.small`.
    angle_deg: its turn, but for 180 degrees.

  Returns:
    Up to 8 squares, grey, that do not overlap; none where there is no ink.
  """
  ink, pitch = lines.level(page, angle_deg)
  if not pitch:
    return []
  level = page.rotate(
    -angle_deg, pictures.BICUBIC, expand=True, fillcolor=_paper(page)
  )
  side = min(round(_LINES * pitch), min(ink.shape))
  rows, columns = (_tiles(ink, axis, side) for axis in (0, 1))
  corners = [(top, left) for top in rows for left in columns]
  inked = [ink[y : y + side, x : x + side].sum() for y, x in corners]
  best = np.argsort(inked)[::-1][:_PARTS]
  least = 0.3 * inked[best[0]]
  return [
    level.crop((x, y, x + side, y + side))
    for y, x in (corners[i] for i in best if inked[i] >= least)
  ]


def _tiles(ink: np.ndarray, axis: int, side: int) -> list[int]:
  """Where squares begin along an axis that cover all of the ink."""
  there = np.flatnonzero(ink.any(1 - axis))
  first, last = int(there[0]), int(there[-1]) + 1
  count = -(-(last - first) // side)
  room = ink.shape[axis] - count * side
  begin = (first + last - count * side) // 2
  # Few pictures have room for the last square: then squares overlap.
  if room < 0:
    return np.linspace(0, ink.shape[axis] - side, count).astype(int).tolist()
  begin = min(max(begin, 0), room)
  return list(range(begin, begin + count * side, side))


def _paper(page: PIL.Image.Image) -> int:
  """The shade of what is not ink: the most common one of the lighter half."""
  counts = np.array(page.histogram()[:256])
  counts[:128] = 0
  return int(counts.argmax()) or 255


def _odds(answers: answers_lib.Answers) -> np.ndarray:
  """`[n]` log odds of what is upright, against what is upside down."""
  far = np.abs(answers.ring_deg)
  log = answers.log_density
  up, down = (
    scipy.special.logsumexp(log[:, inside], axis=-1)
    for inside in (far <= _NEAR_DEG, far >= 180 - _NEAR_DEG)
  )
  return up - down


def _weighted(
  answers: answers_lib.Answers, said: np.ndarray
) -> answers_lib.Answers:
  """Answers whose odds against the opposite way up are changed.

  Args:
    answers: of a full circle.
    said: `[n]` what is added to the log odds of each answer.
  """
  off = angles_lib.difference(
    answers.ring_deg, answers.angle_deg[:, None], 360.0
  )
  # A factor of exp(k cos): smooth, and exactly these odds between opposites.
  log = answers.log_density + said[:, None] / 2 * np.cos(np.deg2rad(off))
  log -= scipy.special.logsumexp(log, -1, keepdims=True)
  log += scipy.special.logsumexp(answers.log_density, -1, keepdims=True)
  turned = dataclasses.replace(answers, log_density=log)
  wrong = (said < 0) & (turned.within(90.0) < 0.5)
  angle_deg = answers.angle_deg + 180 * wrong
  return dataclasses.replace(
    turned, angle_deg=angles_lib.wrap(angle_deg, 360.0)
  )
