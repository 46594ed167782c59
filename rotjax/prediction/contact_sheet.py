"""A contact sheet: pictures before and after they were turned back."""

from collections.abc import Sequence
import functools
import math
import os
import pathlib
from typing import NamedTuple

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import PIL.PngImagePlugin

from rotjax import errors
from rotjax.image import pictures
from rotjax.prediction import outputs, upright

# Pictures on a sheet, and how many of them stand side by side.
LIMIT = 48
_COLUMNS = 4
# In pixels: the longest side of a picture, its frame, the type.
_SIDE, _GAP, _FONT, _LINE = 160, 12, 14, 19
_MADE_BY = "rotjax.predict --contact-sheet"


class Pair(NamedTuple):
  """A picture on a contact sheet.

  Attributes:
    before: small, in colour.
    after: the same, turned back.
    caption: below them, a line or more.
  """

  before: PIL.Image.Image
  after: PIL.Image.Image
  caption: str


def final_name(name: str | os.PathLike) -> pathlib.Path:
  """The file that a sheet is written to; `.png` is added where no ending is.

  Raises:
    UserError: it exists already, ends otherwise, or has no folder.
  """
  path = pathlib.Path(name)
  if not path.suffix:
    path = path.with_name(path.name + ".png")
  if path.suffix.lower() != ".png":
    raise errors.UserError(f"--contact-sheet {name} does not end in .png")
  outputs.check_new(path)
  # Not after hours of pictures.
  if not path.parent.is_dir():
    raise errors.UserError(f"--contact-sheet {name}: no such folder")
  return path


def is_one(picture: PIL.Image.Image) -> bool:
  """Whether a picture that was read is such a sheet."""
  return picture.info.get("Software") == _MADE_BY


def pair(
  picture: PIL.Image.Image,
  angle_deg: float,
  fit: str,
  caption: str,
  fill: str = "auto",
) -> Pair:
  """The picture before and after, small; see `upright.turn_back`.

  Raises:
    Unusable: a mode that cannot be shown.
  """
  before = upright.smooth(picture).copy()
  before.thumbnail((2 * _SIDE, 2 * _SIDE))
  after = upright.turn_back(before, angle_deg, fit, fill)
  images = [pictures.flat(image, 3) for image in (before, after)]
  for image in images:
    image.thumbnail((_SIDE, _SIDE))
  return Pair(images[0], images[1], caption)


def write(pairs: Sequence[Pair], path: pathlib.Path) -> None:
  """Writes a picture of pictures, before and after.

  Args:
    pairs: at least one.
    path: a new file, PNG.

  Raises:
    Unusable: it exists or cannot be written.
  """
  columns = min(len(pairs), _COLUMNS)
  rows = math.ceil(len(pairs) / columns)
  lines = max(len(pair.caption.splitlines()) for pair in pairs)
  width = 2 * _SIDE + 3 * _GAP
  height = _SIDE + lines * _LINE + 2 * _GAP
  sheet = PIL.Image.new("RGB", (columns * width, rows * height), "white")
  for n, pair in enumerate(pairs):
    cell = (n % columns * width, n // columns * height)
    _draw(sheet, cell, pair)
  note = PIL.PngImagePlugin.PngInfo()
  note.add_text("Software", _MADE_BY)
  outputs.write_picture(sheet, path, format="PNG", pnginfo=note)


def _draw(sheet, cell, pair) -> None:
  draw = PIL.ImageDraw.Draw(sheet)
  left, top = cell[0] + _GAP, cell[1] + _GAP
  middle = left + _SIDE + _GAP / 2
  for n, line in enumerate(pair.caption.splitlines()):
    text, font = _set_type(line, 2 * _SIDE + _GAP)
    at = (middle, top + n * _LINE)
    draw.text(at, text, "black", font, anchor="ma")
  top += (n + 1) * _LINE
  for image in (pair.before, pair.after):
    x, y = left + (_SIDE - image.width) // 2, top + (_SIDE - image.height) // 2
    sheet.paste(image, (x, y))
    # For white on white.
    edge = (x - 1, y - 1, x + image.width, y + image.height)
    draw.rectangle(edge, outline="#cccccc")
    left += _SIDE + _GAP


def _set_type(line: str, width: int):
  """A line as it can be drawn, and the font that has most of its letters.

  What no font has is shown as "?". Of a line that is too long the end stays:
  of a path it says most.
  """
  path = max(_fonts(line), key=lambda path: len(set(line) & _has(path, line)))
  known = _has(path, line)
  text = "".join(c if c in known or c == " " else "?" for c in line)
  font = PIL.ImageFont.truetype(path, _FONT)
  if font.getlength(text) > width:
    # So long a line is never measured whole more often than it must be.
    text = text[-width:]
    while font.getlength("…" + text) > width:
      text = text[1:]
    text = "…" + text
  return text, font


def _fonts(line: str) -> Sequence[str]:
  """Fonts to choose from: the one that is always there, if it will do."""
  from rotjax.figures.drawing import matplotlib

  path = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
  if not set(line) - {" "} - _has(path, line):
    return [path]
  return [path, *_installed()]


@functools.cache
def _installed() -> tuple[str, ...]:
  """The machine's fonts, plain ones first, by name."""
  from matplotlib import font_manager

  files = font_manager.findSystemFonts()
  plain = ("regular", "sans")
  return tuple(
    sorted(
      files,
      key=lambda p: (-sum(w in p.lower() for w in plain), "emoji" in p, p),
    )
  )


def _has(path: str, line: str) -> set[str]:
  """The characters of a line that a font has; none if it cannot be read."""
  found = _charmap(path)
  return {c for c in line if ord(c) in found}


@functools.cache
def _charmap(path: str) -> frozenset[int]:
  from matplotlib import ft2font

  try:
    PIL.ImageFont.truetype(path, _FONT)
    return frozenset(ft2font.FT2Font(path).get_charmap())
  except Exception:  # of many types, by what is wrong with the file
    return frozenset()
