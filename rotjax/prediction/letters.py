"""Which way up a page is, from its letters.

A whole page in a network's small square shows lines, and hardly a letter: the
square tells the turn modulo 180 degrees well, and which way is up by the layout
alone. Once the page is level by its lines, its letters are looked at in parts
of a few lines each.

A small network of convolutions sees each part both ways up. What counts are the
differences between what it finds there, so that turning a part by 180 degrees
negates its log odds, whatever the weights are: log odds(-x) = -log odds(x).
`experiments/letters.py` trained it on rendered pages.
"""

from collections.abc import Sequence
import dataclasses
import functools
import pathlib
from typing import Any, NamedTuple

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
# Of a part, in pixels: a line is about 18 pixels high. Its middle is read, and
# in training another square of it each time.
SIDE, CROP = 128, 96
MIDDLE = slice((SIDE - CROP) // 2, (SIDE + CROP) // 2)
# Lines in a part, and parts of a page.
LINES, _PARTS = 7.0, 8
# Where that does not tell by so many nats, parts of twice the size are read,
# too: of lines far apart their halves may have been taken for lines.
_LINE_COUNTS, _SURE = (LINES, 2 * LINES), 2.0
# Of the part with the strongest lines, theirs are so strong in the others.
_LEAST_RHYTHM = 0.3
# The least share of the probability that a half of the circle may have had.
_LEAST = 1e-6
_STRIDES = (2, 1, 2)


class Network(NamedTuple):
  """Three convolutions and an odd network of what they find.

  Attributes:
    kernels: `[k, k, C, K]` of each convolution, and `biases` `[K]`.
    scale: `[F]`, F the last K: how far what is found both ways up differs.
    weight: `[F, H]` of the hidden units, `bias` `[H]` and `out` `[H]`.
    gain: `[]`, the log odds of a page over the mean of its parts'.
  """

  kernels: tuple[jax.Array, ...]
  biases: tuple[jax.Array, ...]
  scale: jax.Array
  weight: jax.Array
  bias: jax.Array
  out: jax.Array
  gain: jax.Array

  def differences(self, ink: jax.Array) -> jax.Array:
    """`[n, H, W]` ink of parts -> `[n, F]`: what is found in them, upright,
    less what is found upside down."""
    return self._found(ink) - self._found(ink[:, ::-1, ::-1])

  def _found(self, ink):
    x = ink[..., None]
    for kernel, bias, stride in zip(self.kernels, self.biases, _STRIDES):
      # Not by rotjax.models: model files are used where flax is not installed.
      x = jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
      )
      x = jax.nn.relu(x + bias[None, None, None])
    return x.mean((1, 2))

  def weighed(self, differences: jax.Array) -> jax.Array:
    """`[n, F]` differences, in units of `scale` -> `[n]` log odds of parts."""
    ahead, back = (
      jnp.tanh(sign * differences @ self.weight + self.bias[None])
      for sign in (1, -1)
    )
    return (ahead - back) @ self.out

  def log_odds(self, ink: jax.Array) -> jax.Array:
    """`[n, H, W]` ink of parts -> `[n]` log odds of their being upright."""
    return self.weighed(self.differences(ink) / self.scale[None])


_ANY: Any = 0
_STRUCTURE = jax.tree.structure(
  Network((_ANY,) * 3, (_ANY,) * 3, _ANY, _ANY, _ANY, _ANY, _ANY)
)


def save(network: Network, path: pathlib.Path) -> None:
  """Writes a network, in 16 bits."""
  np.savez(path, *[np.float16(x) for x in jax.tree.leaves(network)])


def load(path: pathlib.Path) -> Network:
  """Reads what `save` wrote."""
  with np.load(path) as stored:
    leaves = [jnp.asarray(stored[name], jnp.float32) for name in stored.files]
  return jax.tree.unflatten(_STRUCTURE, leaves)


@functools.cache
def network() -> Network:
  """The network that comes with rotjax."""
  return load(WEIGHTS)


_part_log_odds = jax.jit(Network.log_odds)


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
  total = 0.0
  for count in _LINE_COUNTS:
    cut = parts(page, angle_deg, count)
    if cut:
      total += _mean_log_odds(cut)
    if abs(total) >= _SURE:
      break
  return total


def _mean_log_odds(cut) -> float:
  """Of a page by some of its parts."""
  reads = network()
  # Always as many, so that there is one program.
  ink = np.zeros((_PARTS, CROP, CROP), np.float32)
  ink[: len(cut)] = inked(squares(cut))[:, MIDDLE, MIDDLE]
  each = np.asarray(_part_log_odds(reads, ink))[: len(cut)]
  return float(reads.gain * each.mean())


def squares(parts: Sequence[PIL.Image.Image]) -> np.ndarray:
  """n parts, grey, as they are looked at: uint8 `[n, SIDE, SIDE]`."""
  size = (SIDE, SIDE)
  return np.stack([np.asarray(p.resize(size, pictures.BICUBIC)) for p in parts])


def inked(squares: np.ndarray) -> np.ndarray:
  """Shades -> ink, float32 from 0 to 1, whatever is the colour of either.

  Args:
    squares: uint8 `[n, H, W]`.
  """
  ink = 1 - squares.astype(np.float32) / 255
  low, high = (
    np.percentile(ink, percent, axis=(1, 2), keepdims=True)
    for percent in (20, 98)
  )
  return np.clip((ink - low) / np.maximum(high - low, 0.05), 0, 1)


def parts(
  page: PIL.Image.Image, angle_deg: float, count: float = LINES
) -> list[PIL.Image.Image]:
  """Squares of a page that is turned back, a few lines high, where lines are.

  Args:
    page: from `lines.small`.
    angle_deg: its turn, but for 180 degrees.
    count: of lines in each.

  Returns:
    Up to 8 squares, grey, that do not overlap; none where there is no ink.
  """
  ink, pitch = lines.level(page, angle_deg)
  if not pitch:
    return []
  side = min(round(count * pitch), min(ink.shape))
  rows, columns = (_tiles(ink, axis, side) for axis in (0, 1))
  corners = [(top, left) for top in rows for left in columns]
  # By the ink that comes and goes with the lines: pictures have more of it.
  wave = np.exp(2j * np.pi * np.arange(side) / pitch)
  rhythm = [
    abs(wave @ ink[y : y + side, x : x + side].sum(1)) for y, x in corners
  ]
  best = np.argsort(rhythm)[::-1][:_PARTS]
  least = _LEAST_RHYTHM * rhythm[best[0]]
  # Of large letters fewer pixels do.
  k = max(side // SIDE, 1)
  page, shape = page.reduce(k), np.divide(ink.shape, k)
  return [
    _cut(page, angle_deg, shape, np.divide(corners[i], k), side // k)
    for i in best
    if rhythm[i] >= least
  ]


def _cut(page, angle_deg, shape, corner, side) -> PIL.Image.Image:
  """A level square of the page, taken from the page as it lies.

  Args:
    page: as it lies.
    angle_deg: its turn.
    shape: height and width of the page once it is turned back.
    corner: top and left of the square in that.
    side: of the square, pixels.
  """
  cos, sin = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
  y, x = np.subtract(corner, np.divide(shape, 2))
  # From pixels of the square to those of the page.
  affine = (
    *(cos, sin, page.width / 2 + cos * x + sin * y),
    *(-sin, cos, page.height / 2 - sin * x + cos * y),
  )
  return page.transform(
    (side, side),
    PIL.Image.Transform.AFFINE,
    affine,
    pictures.BICUBIC,
    fillcolor=_paper(page),
  )


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
