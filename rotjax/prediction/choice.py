"""Which model answers a picture: the one for pages, or the one for photos.

The rule, so simple that a person can predict it: a picture is a page where at
least 60 % of it is one or two light shades, such as paper and what a scanner
shows around it; a photo where less than half is. What lies between is taken for
a photo, and told to be unsure. A page in the shade, on a desk or within a black
border has less paper: where a fifth of a picture is, lines and letters that
the model for pages can read make it a page, and that is told to be unsure, too.

Measured on 1,480 photos of six public sets: 2.7 % were taken for pages, 3.6 %
unsure; on 300 pages, upright and turned: 1 % unsure. Of 586 photos two were
taken for pages by their lines.
"""

from collections.abc import Callable, Sequence
import functools
import pathlib

import numpy as np
import PIL.Image

from rotjax.image import pictures
from rotjax.prediction import reader as reader_lib
from rotjax.prediction import ready

_PAGE, _PHOTO, _SOME = 0.6, 0.5, 0.2
# Whoever has read lines and letters is so sure of the angle, within _NEAR_DEG.
_READ, _NEAR_DEG = 0.99, 15.0
# One shade is what lies within so many of 255, either way; those below this
# are dark.
_NEAR, _LIGHT = 8, 128
_SIDE = 128

# A picture -> who answers it, and why that is not sure; "" where it is.
Choice = Callable[[PIL.Image.Image], tuple[reader_lib.Reader, str]]


def paper(picture: PIL.Image.Image) -> float:
  """The share of a picture that is one of its two most common light shades.

  Args:
    picture: of any mode and size; looked at 128 pixels large.

  Raises:
    pictures.Unusable: a mode that cannot be converted.
  """
  grey = pictures.flat(picture, 1)
  grey.thumbnail((_SIDE, _SIDE), PIL.Image.Resampling.BOX, reducing_gap=None)
  counts, total = np.array(grey.histogram()), grey.width * grey.height
  share = 0.0
  for _ in range(2):
    near = np.convolve(counts, np.ones(2 * _NEAR + 1), "same")
    top = _LIGHT + int(near[_LIGHT:].argmax())
    share += near[top] / total
    counts[max(top - _NEAR, 0) : top + _NEAR + 1] = 0
  return float(share)


def of(
  models: Sequence[pathlib.Path],
  tta: str | None = None,
  refine: str | None = None,
) -> Choice:
  """Who answers: the one model there is, or whom a picture calls for.

  Args:
    models: one, or those for pages and for photos, in this order.
    tta, refine: see `reader.load`.

  Raises:
    UserError: the one cannot be loaded. Of two, each is loaded when the first
      picture calls for it, and raises then.
  """
  if len(models) == 1:
    only = reader_lib.load(models[0], tta, refine)
    return lambda _: (only, "")
  pages, photos = (
    functools.cache(functools.partial(reader_lib.load, model, tta, refine))
    for model in models
  )

  def choose(picture):
    share = paper(picture)
    if share >= _PAGE:
      return pages(), ""
    if share >= _SOME and _reads(pages(), picture):
      return pages(), (
        f"a page or a photo? {share:.0%} of it is paper or the like, but there"
        f" are lines of text: taken for a page, --model {ready.PHOTOS} if it is"
        " none"
      )
    unsure = (
      f"a page or a photo? {share:.0%} of it is paper or the like: taken for"
      f" a photo, --model {ready.PAGES} if it is a page"
    )
    return photos(), unsure if share >= _PHOTO else ""

  return choose


def _reads(pages: reader_lib.Reader, picture: PIL.Image.Image) -> bool:
  if not pages.refine:
    return False
  answers, (found,) = pages.answer([pages.see(picture)])
  if found is None or found.reason:
    return False
  return bool(answers.within(_NEAR_DEG)[0] >= _READ)
