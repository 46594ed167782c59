"""Content-blind summaries of a view: what an estimator of a leak looks at.

Each group is a function of `[n, S, S, C]` views, 0 to 1, that gives `[n, d]`
numbers. None looks at what is shown; together they see brightness, its
distribution, sharpness by direction, the spectrum, the rim, the place of the
mass, single rows, and colours. NumPy.
"""

from collections.abc import Callable
import functools
from typing import NamedTuple

import numpy as np
import scipy.fft

# Spectral bands, cycles a pixel, and the orders of direction within them.
_BANDS = (0.03, 0.1, 0.18, 0.25, 0.32, 0.38, 0.44, 0.5, 0.71)
_ORDERS = (2, 4, 8)
# Orders of the brightness along the rim.
_HARMONICS = (1, 2, 3, 4, 6, 8, 12, 18, 24, 36)
_QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.85, 0.9, 0.95, 0.98, 0.995)
_LEVELS = (0.02, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
_INK = 0.1
_TINY = 1e-6


class Cue(NamedTuple):
  """A group of summaries.

  Attributes:
    summarize: `[n, S, S, C]` views -> `[n, d]`.
    remedy: the control that removes what it usually shows.
  """

  summarize: Callable[[np.ndarray], np.ndarray]
  remedy: str


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  return np.log((a + _TINY) / (b + _TINY))


@functools.lru_cache(maxsize=8)
def _polar(side: int) -> tuple[np.ndarray, np.ndarray]:
  """Radius, 1 at the disc's edge, and direction of every pixel."""
  at = np.arange(side) - (side - 1) / 2
  return np.hypot(at[:, None], at) / (side / 2), np.arctan2(at[:, None], at)


def centroid(grey: np.ndarray) -> np.ndarray:
  """Brightness centroid (y, x) about the canvas's centre, pixels."""
  at = np.arange(grey.shape[1]) - (grey.shape[1] - 1) / 2
  total = np.maximum(grey.sum((1, 2)), 1e-9)
  return np.stack([grey.sum(2) @ at / total, grey.sum(1) @ at / total], -1)


def place(views: np.ndarray) -> np.ndarray:
  """Centroid and second moments, of the brightness and of the ink's shape."""
  grey, found = views.mean(-1), []
  at = np.arange(grey.shape[1]) - (grey.shape[1] - 1) / 2
  for mass in (np.maximum(grey, 0), (grey > _INK).astype(np.float32)):
    total = np.maximum(mass.sum((1, 2)), 1e-9)
    middle = centroid(mass)
    yy = mass.sum(2) @ at**2 / total - middle[:, 0] ** 2
    xx = mass.sum(1) @ at**2 / total - middle[:, 1] ** 2
    yx = (mass @ at) @ at / total - middle[:, 0] * middle[:, 1]
    spread = np.maximum(yy + xx, 0) + _TINY
    found += [*middle.T, np.log(spread), (yy - xx) / spread, 2 * yx / spread]
  return np.stack(found, -1)


def _moments(pixels: np.ndarray) -> list[np.ndarray]:
  mean, sd = pixels.mean(1), pixels.std(1)
  z = (pixels - mean[:, None]) / (sd[:, None] + _TINY)
  square = z * z  # powers of arrays are slow
  return [mean, sd, (square * z).mean(1), (square * square).mean(1)]


def brightness(views: np.ndarray) -> np.ndarray:
  """Range, moments and quantiles of all pixels of the disc."""
  radius, _ = _polar(views.shape[1])
  pixels = np.sort(views.mean(-1)[:, radius < 1], 1)
  last = pixels.shape[1] - 1
  quantiles = [pixels[:, round(q * last)] for q in _QUANTILES]
  ends = [pixels[:, 0], pixels[:, -1], views.min((1, 2, 3))]
  return np.stack([*ends, *quantiles, *_moments(pixels)], -1)


def ink(views: np.ndarray) -> np.ndarray:
  """Area, moments, quantiles and levels of the pixels that are not black."""
  grey = np.sort(views.mean(-1).reshape(len(views), -1), 1)
  first = (grey <= _INK).sum(1)
  count = np.maximum(grey.shape[1] - first, 1)
  rows, last = np.arange(len(grey)), grey.shape[1] - 1
  quantiles = [
    grey[rows, np.minimum(first + (q * (count - 1)).astype(int), last)]
    for q in _QUANTILES
  ]
  own = np.where(grey > _INK, grey, 0)
  mean = own.sum(1) / count
  square = np.square(own).sum(1) / count
  shares = [
    ((grey > low) & (grey <= high)).sum(1) / count
    for low, high in zip(_LEVELS, (*_LEVELS[1:], np.inf))
  ]
  sd = np.sqrt(np.maximum(square - mean**2, 0))
  return np.stack([np.log(count), mean, sd, *quantiles, *shares], -1)


def _quartile(x: np.ndarray) -> np.ndarray:
  flat = x.reshape(len(x), -1)
  at = flat.shape[1] // 4
  return np.partition(flat, at, axis=1)[:, at]


def sharpness(views: np.ndarray) -> np.ndarray:
  """Log ratios of gradients' and Laplacians' energies, by direction."""
  x = views.mean(-1)
  inner = x[:, 1:-1, 1:-1]
  along = (
    x[:, :, 1:] - x[:, :, :-1],
    x[:, 1:] - x[:, :-1],
    x[:, 1:, 1:] - x[:, :-1, :-1],
    x[:, 1:, :-1] - x[:, :-1, 1:],
  )
  cross = x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:]
  corner = x[:, :-2, :-2] + x[:, 2:, 2:] + x[:, 2:, :-2] + x[:, :-2, 2:]
  laplacians = (cross - 4 * inner, corner - 4 * inner)

  def mean(y):
    return y.mean((1, 2))

  squares = [y * y for y in (*along, *laplacians)]
  first, second = (
    [mean(y) for y in part] for part in (squares[:4], squares[4:])
  )
  fourth = [mean(y * y) for y in (squares[0], squares[1], squares[4])]
  size = [mean(np.abs(y)) for y in (along[0], along[1], laplacians[0])]
  straight, diagonal = first[0] + first[1], first[2] + first[3]
  local = second[0] / 16 + second[1] / 16
  found = [
    *(_ratio(e, straight + diagonal) for e in first),
    _ratio(diagonal, straight),
    _ratio(straight, x.var((1, 2))),
    _ratio(second[0], straight),
    _ratio(second[1], diagonal),
    _ratio(second[0], second[1]),
    np.log(local + 1e-9),
    _ratio(size[2], size[0] + size[1]),
    _ratio(fourth[0] + fourth[1], straight**2),
    _ratio(fourth[2], second[0] ** 2),
    # What the quietest quarter of the pixels keeps is noise.
    np.log(_quartile(np.abs(laplacians[0])) + 1e-4),
  ]
  return np.stack(found, -1)


@functools.lru_cache(maxsize=8)
def _spectral_weights(side: int) -> np.ndarray:
  """`[frequencies, bands, 1 + 2 orders]` of a real transform."""
  y, x = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)
  radius, phi = np.hypot(y, x).ravel(), np.arctan2(y, x).ravel()
  # A real transform holds one of each pair of opposite frequencies.
  twice = np.where((x == 0) | (x == 0.5), 1.0, 2.0)
  twice = np.broadcast_to(twice, (side, len(x))).ravel()
  waves = [np.ones_like(phi)]
  for order in _ORDERS:
    waves += [np.cos(order * phi), np.sin(order * phi)]
  inside = [
    (radius >= low) & (radius < high) for low, high in zip(_BANDS, _BANDS[1:])
  ]
  weights = [[twice * band * wave for wave in waves] for band in inside]
  return np.asarray(weights, np.float32).transpose(2, 0, 1)


def spectrum(views: np.ndarray) -> np.ndarray:
  """Energy of each band, and its directions to the orders 2, 4 and 8."""
  x = views.mean(-1)
  power = np.square(np.abs(scipy.fft.rfft2(x - x.mean((1, 2), keepdims=True))))
  weights = _spectral_weights(views.shape[1])
  sums = np.einsum(
    "nf,fbw->nbw", power.reshape(len(x), -1), weights, optimize=True
  )
  energy = sums[..., 0] / power.shape[1] ** 2
  directions = sums[..., 1:] / (sums[..., :1] + _TINY)
  share = np.log((energy + 1e-9) / (energy.sum(1, keepdims=True) + 1e-6))
  parts = (share, directions.reshape(len(x), -1))
  return np.concatenate(parts, -1)


@functools.lru_cache(maxsize=8)
def _rim_weights(side: int) -> np.ndarray:
  """`[pixels, d]`: harmonics of the two outermost rings."""
  radius, phi = _polar(side)
  waves = []
  for inner, outer in ((0.7, 0.88), (0.88, 1.0)):
    ring = ((radius >= inner) & (radius < outer)).ravel()
    for order in _HARMONICS:
      for wave in (np.cos, np.sin):
        waves.append(ring * wave(order * phi.ravel()) / max(ring.sum(), 1))
  return np.asarray(waves, np.float32).T


def rim(views: np.ndarray) -> np.ndarray:
  """Means and deviations of six rings, and waves along the outer two."""
  grey = views.mean(-1)
  radius, _ = _polar(views.shape[1])
  edges = np.linspace(0, 1, 7)
  found = []
  for inner, outer in zip(edges, edges[1:]):
    ring = grey[:, (radius >= inner) & (radius < outer)]
    if ring.shape[1]:
      found += [ring.mean(1), ring.std(1)]
  waves = grey.reshape(len(grey), -1) @ _rim_weights(views.shape[1])
  # The square root tells a faint dot on black apart from none.
  signed = np.sign(waves) * np.sqrt(np.abs(waves))
  return np.concatenate([np.stack(found, -1), waves, signed], -1)


def border(views: np.ndarray) -> np.ndarray:
  """Mean brightness at the four corners and the four sides."""
  grey = views.mean(-1)
  n = max(grey.shape[1] // 7, 1)
  ends, middle = (slice(0, n), slice(-n, None)), slice(n, -n)
  corners = [grey[:, a, b].mean((1, 2)) for a in ends for b in ends]
  rows = [grey[:, a, middle].mean((1, 2)) for a in ends]
  columns = [grey[:, middle, a].mean((1, 2)) for a in ends]
  return np.stack(corners + rows + columns, -1)


def _strongest(profile: np.ndarray) -> np.ndarray:
  """The entry of greatest size in each of at most 32 runs of a profile."""
  runs = np.array_split(profile, min(32, profile.shape[1]), axis=1)
  return np.stack(
    [
      np.take_along_axis(r, np.abs(r).argmax(1)[:, None], 1)[:, 0] for r in runs
    ],
    -1,
  )


def rows(views: np.ndarray) -> np.ndarray:
  """How each row and column differs from its neighbours."""
  grey = views.mean(-1)
  found = []
  for profile in (grey.mean(2), grey.mean(1)):
    padded = np.pad(profile, ((0, 0), (1, 1)), mode="edge")
    found.append(_strongest(profile - (padded[:, :-2] + padded[:, 2:]) / 2))
  return np.concatenate(found, -1)


def colours(views: np.ndarray) -> np.ndarray:
  """Differences of the channels: level, spread, place; none where grey."""
  if views.shape[-1] == 1:
    return np.zeros((len(views), 0), views.dtype)
  found = []
  for a, b in ((0, 1), (1, 2)):
    difference = (views[..., a] - views[..., b]).reshape(len(views), -1)
    found += [*_moments(difference), difference.min(1), difference.max(1)]
    apart = centroid(views[..., a]) - centroid(views[..., b])
    found += [*apart.T]
  return np.stack(found, -1)


CUES = {
  "place": Cue(place, "view.center=dataset, or view.center=centroid"),
  "border": Cue(border, "view.mask=disc with view.crop=none or circle"),
  "brightness": Cue(brightness, "nothing here: look at what makes the images"),
  "ink": Cue(ink, "view.crop=none or circle"),
  "sharpness": Cue(sharpness, "view.fineness=3"),
  "spectrum": Cue(spectrum, "view.fineness=3"),
  "rim": Cue(rim, "view.mask=disc with view.crop=none or circle"),
  "rows": Cue(rows, "nothing here: look at what makes the images"),
  "colours": Cue(colours, "nothing here: look at what makes the images"),
}


def summarize(views: np.ndarray) -> dict[str, np.ndarray]:
  """`[n, S, S, C]` views, 0 to 1 -> `[n, d]` float32 of each group."""
  views = np.asarray(views, np.float32)
  return {
    name: np.asarray(cue.summarize(views), np.float32)
    for name, cue in CUES.items()
  }
