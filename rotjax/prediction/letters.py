"""Which way up a page is, from its letters.

A whole page in a network's small square shows lines, and hardly a letter: the
square tells the turn modulo 180 degrees well, and which way is up by the layout
alone. Once the page is level by its lines, its letters are looked at in parts
of a few lines each.

What counts are statistics that a half turn gives the other sign and changes in
no other way: what rises above the small letters of a line and what hangs below
them, where strokes end and where bars lie. They are third-order correlations
along the height of a part, of its rows' ink, of their edges and of how uneven
they are (bispectra, taken where a pair of lags and its mirror image differ;
Nikias & Petropulu 1993). A small odd network, log odds(-x) = -log odds(x),
weighs them. `experiments/letters.py` trained it on rendered pages.
"""

from collections.abc import Iterator, Sequence
import dataclasses
import functools
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import scipy.special

from rotjax import angles as angles_lib
from rotjax.image import pictures
from rotjax.prediction import answers as answers_lib
from rotjax.prediction import lines

WEIGHTS = pathlib.Path(__file__).with_suffix(".npz")
# Lines in a part, its side in pixels as it is measured, and parts of a page.
_LINES = 7.0
_SIDE = 128
_PARTS = 8
# Lags along the height: a line is about 18 pixels high.
_LAGS, _PAIR_LAGS = 21, 15
# The least share of the probability that a half of the circle may have had.
_LEAST = 1e-6
# Statistics are squashed at so many standard deviations.
_SQUASH = 3.0


class Network(NamedTuple):
  """An odd network of F statistics: a linear part and H odd hidden units.

  Attributes:
    scale: `[F]` standard deviation of each statistic.
    linear: `[F]`.
    weight: `[F, H]` of the hidden units, `bias` `[H]` and `out` `[H]`.
  """

  scale: np.ndarray
  linear: np.ndarray
  weight: np.ndarray
  bias: np.ndarray
  out: np.ndarray

  def log_odds(self, mean: np.ndarray) -> jax.Array:
    """`[..., F]` means of `squashed` -> `[...]` log odds of being upright."""
    ahead, back = (
      jnp.tanh(sign * mean @ self.weight + self.bias) for sign in (1, -1)
    )
    return (ahead - back) @ self.out + mean @ self.linear


def squashed(statistics: np.ndarray, scale: np.ndarray) -> np.ndarray:
  """`[..., F]` statistics as they are averaged over the parts of a page.

  Args:
    statistics: see `statistics`.
    scale: `[F]` of a `Network`.
  """
  bounded = _SQUASH * np.tanh(statistics / (_SQUASH * scale))
  return bounded.astype(np.float32)


@functools.cache
def network() -> Network:
  """The network that comes with rotjax."""
  with np.load(WEIGHTS) as stored:
    return Network(**{name: stored[name] for name in Network._fields})


def read(
  answers: answers_lib.Answers,
  pages: Sequence[PIL.Image.Image],
  found: Sequence[lines.Found],
) -> answers_lib.Answers:
  """Answers that are the right way up by the letters of their pages.

  Args:
    answers: to n pages, set by their lines; see `lines.refined`. Their period
      is 360 degrees.
    pages: the n pages, from `lines.small`.
    found: what the lines of each said.

  Returns:
    The answers turned by 180 degrees where the letters say so. The odds of
    both ways up are the letters' alone, and the density of each answer has
    them: on rendered pages those of a network, which knows the layout, make
    them worse (88.6 % of 79 pages right with them, 91.1 % without).
  """
  said = [
    log_odds(page, float(angle)) if not f.reason else 0.0
    for page, angle, f in zip(pages, answers.angle_deg, found, strict=True)
  ]
  return _weighted(answers, np.array(said))


def log_odds(page: PIL.Image.Image, angle_deg: float) -> float:
  """Of a page being turned by an angle, against 180 degrees more.

  Args:
    page: from `lines.small`.
    angle_deg: its turn, but for 180 degrees, by its lines.

  Returns:
    Nats; 0 where there is nothing to read.
  """
  cut = parts(page, angle_deg)
  if not cut:
    return 0.0
  weighs = network()
  mean = squashed(statistics(cut), weighs.scale).mean(0)
  return float(weighs.log_odds(mean))


def statistics(parts: Sequence[PIL.Image.Image]) -> np.ndarray:
  """The statistics of level parts of pages that a half turn negates.

  Args:
    parts: n squares, grey.

  Returns:
    `[n, F]`.
  """
  size = (_SIDE, _SIDE)
  squares = np.stack(
    [np.asarray(p.resize(size, pictures.BICUBIC)) for p in parts]
  )
  ink = 1 - squares.astype(np.float32) / 255
  low, high = (
    np.percentile(ink, percent, axis=(1, 2), keepdims=True)
    for percent in (20, 98)
  )
  ink = np.clip((ink - low) / np.maximum(high - low, 0.05), 0, 1)
  rows = [
    _standardised(rows)
    for rows in (
      ink.mean(2),
      np.abs(np.diff(ink, axis=2)).mean(2),
      ink.std(2),
    )
  ]
  return np.stack([*_triples(rows), *_pairs(rows)], axis=1)


def _standardised(rows: np.ndarray) -> np.ndarray:
  rows = rows - rows.mean(1, keepdims=True)
  return rows / (rows.std(1, keepdims=True) + 1e-3)


def _triples(rows: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
  """E p(y) p(y+a) p(y+b), less the same of the part turned by 180 degrees."""
  for p in rows:
    for b in range(2, _LAGS + 1):
      ends, length = p[:, : _SIDE - b] * p[:, b:], _SIDE - b
      for a in range(1, (b + 1) // 2):
        inner = p[:, a : a + length] - p[:, b - a : b - a + length]
        yield (ends * inner).mean(1)


def _pairs(rows: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
  """E p(y) q(y+b), less the same of the part turned by 180 degrees."""
  for i, p in enumerate(rows):
    for q in rows[i + 1 :]:
      for b in range(1, _PAIR_LAGS + 1):
        yield (p[:, :-b] * q[:, b:] - q[:, :-b] * p[:, b:]).mean(1)


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


def _weighted(
  answers: answers_lib.Answers, said: np.ndarray
) -> answers_lib.Answers:
  """Answers with other odds against the opposite way up.

  Args:
    answers: of a full circle.
    said: `[n]` the log odds of each; 0 leaves an answer as it is.
  """
  off = angles_lib.difference(
    answers.ring_deg, answers.angle_deg[:, None], 360.0
  )
  near, share = np.abs(off) < 90, answers.within(90.0)[:, None]
  share = np.clip(share, _LEAST, 1 - _LEAST)
  up = scipy.special.expit(said)[:, None]
  factor = np.where(near, up / share, (1 - up) / (1 - share))
  log_density = answers.log_density + np.where(said, np.log(factor).T, 0).T
  angle_deg = angles_lib.wrap(answers.angle_deg + 180 * (said < 0), 360.0)
  return dataclasses.replace(
    answers, angle_deg=angle_deg, log_density=log_density
  )
