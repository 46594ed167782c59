"""What paper, printing and a scanner do to a page.

A scanner's pixels, a JPEG's blocks and a threshold's steps lie along the
scanner's axes, not along the lines of a page that lies askew in it. So they
are put on a page that is turned by a random angle and then turned back: none of
them tells which way is up.
"""

import io

import numpy as np
import PIL.Image
import PIL.ImageFilter
import PIL.ImageOps

_BICUBIC = PIL.Image.Resampling.BICUBIC


def worn(
  rng: np.random.Generator, page: PIL.Image.Image, scale: int
) -> PIL.Image.Image:
  """A page as a scanner sees it.

  Args:
    rng: of this page.
    page: grey, square, dark on white.
    scale: pixels of the page in one of the result's.

  Returns:
    Grey, of the same side. What the largest disc does not show is undefined.
  """
  if rng.random() < 0.15:
    page = _bleed_through(rng, page)
  turn_deg = float(rng.uniform(-180, 180))
  page = page.rotate(turn_deg, _BICUBIC, fillcolor=255)
  page = _scanned(rng, page, scale)
  # The corners are gone by now, and their like is as good.
  fill = int(np.median(np.asarray(page)[:: page.height // 16 or 1]))
  return page.rotate(-turn_deg, _BICUBIC, fillcolor=fill)


def _bleed_through(rng, page):
  """The mirrored other side shines through, shifted."""
  shift = tuple(rng.uniform(-0.1, 0.1, 2) * page.height)
  other = PIL.ImageOps.mirror(page).transform(
    page.size,
    PIL.Image.Transform.AFFINE,
    (1, 0, shift[0], 0, 1, shift[1]),
    fillcolor=255,
  )
  other = other.filter(PIL.ImageFilter.GaussianBlur(page.height / 300))
  faint = other.point(lambda value: round(255 - 0.12 * (255 - value)))
  pair = np.minimum(np.asarray(page), np.asarray(faint))
  return PIL.Image.fromarray(pair)


def _scanned(rng, page, scale):
  """Paper, blur, light, noise; then a threshold or a JPEG, or neither."""
  if rng.random() < 0.5:
    sigma = scale * float(rng.uniform(0.1, 0.6))
    page = page.filter(PIL.ImageFilter.GaussianBlur(sigma))
  grey = np.asarray(page).astype(np.float32)
  if rng.random() < 0.6:
    paper = rng.uniform(190, 255)
    grey *= paper / 255
    # Light falls off to some side.
    way = rng.uniform(-1, 1, 2) * rng.choice([0, 15])
    y, x = np.linspace(-1, 1, page.height), np.linspace(-1, 1, page.width)
    grey += (way[0] * y[:, None] + way[1] * x).astype(np.float32)
    noise = scale * float(rng.uniform(0, 4))
    grey += noise * rng.standard_normal(grey.shape, np.float32)
  if rng.random() < 0.1:
    specks = rng.random(grey.shape) < 0.0005
    grey[specks] = rng.uniform(0, 255)
  if (kind := rng.random()) < 0.2:
    grey = 255.0 * (grey > rng.uniform(0.6, 0.85) * np.median(grey))
  page = PIL.Image.fromarray(np.uint8(np.clip(grey, 0, 255)))
  if kind > 0.6:
    file = io.BytesIO()
    page.save(file, "JPEG", quality=int(rng.integers(25, 95)))
    page = PIL.Image.open(file)
    page.load()
  return page
