"""Pictures set upright: turned back, written beside the originals, shown."""

from collections.abc import Sequence
import io
import math
import os
import pathlib
from typing import Any, NamedTuple
import warnings

import numpy as np
import PIL.ExifTags
import PIL.Image

from rotjax import pictures

FITS = ("expand", "crop", "same")
# Pictures on a contact sheet, and the longest side that one is kept with.
SHEET_LIMIT = 48
_THUMB = 320
_COLUMNS = 4


def turn_back(
  picture: PIL.Image.Image, angle_deg: float, fit: str = "expand"
) -> PIL.Image.Image:
  """Turns a picture by minus the angle that was applied to it.

  Args:
    picture: of any mode.
    angle_deg: counter-clockwise as seen on the screen.
    fit: "expand" shows all of it, "crop" the largest rectangle without empty
      corners, "same" keeps the size. Empty corners are transparent where the
      picture can be, else black.

  Returns:
    The picture, bicubic; a palette becomes colours, 1 bit becomes grey.
  """
  if pictures.is_deep(picture):
    pixels = pictures.deep_pixels(picture).astype(np.float32)
    turned = _rotate(PIL.Image.fromarray(pixels), angle_deg, fit)
    pixels = np.rint(np.asarray(turned)).clip(0, 65535)
    return PIL.Image.fromarray(pixels.astype(np.uint16))
  return _rotate(_smooth(picture), angle_deg, fit)


def _smooth(picture):
  """The picture in a mode whose pixels can be interpolated."""
  if picture.has_transparency_data:
    return picture.convert("RGBA")
  return picture.convert({"1": "L", "P": "RGB"}.get(picture.mode, picture.mode))


def _rotate(picture, angle_deg, fit):
  """`turn_back` of a picture in a mode that Pillow interpolates."""
  size = picture.size
  black = (0, 0, 0, 255) if picture.mode == "CMYK" else None
  turned = picture.rotate(
    -angle_deg, pictures.BICUBIC, expand=fit != "same", fillcolor=black
  )
  if fit != "crop":
    return turned
  # Rounding must not cost a row of a picture that is turned by 90 degrees.
  inner = _inner(*size, angle_deg)
  width, height = (max(int(side + 1e-6), 1) for side in inner)
  left, top = (turned.width - width) // 2, (turned.height - height) // 2
  return turned.crop((left, top, left + width, top + height))


def _inner(width: int, height: int, angle_deg: float) -> tuple[float, float]:
  """Sides of the largest upright rectangle in a turned one."""
  angle = math.radians(angle_deg)
  s, c = abs(math.sin(angle)), abs(math.cos(angle))
  short, long = min(width, height), max(width, height)
  if short <= 2 * s * c * long or abs(s - c) < 1e-10:
    # Two of its corners touch the long sides, the others nothing.
    half = short / 2
    pair = (half / s, half / c)
    return pair if width >= height else pair[::-1]
  cos_2a = c * c - s * s
  return (width * c - height * s) / cos_2a, (height * c - width * s) / cos_2a


def save(
  turned: PIL.Image.Image, original: str | os.PathLike, path: pathlib.Path
) -> None:
  """Writes a picture in another's format, with the other's metadata.

  Args:
    turned: what to write.
    original: the file that it was made from.
    path: must not exist.

  Raises:
    Unusable: it exists, or cannot be written.
  """
  data = io.BytesIO()
  try:
    turned.save(data, **_options(original))
    path.parent.mkdir(parents=True, exist_ok=True)
    # Exclusive: neither an input nor an earlier output is ever replaced.
    file = open(path, "xb")
    try:
      with file:
        file.write(data.getbuffer())
    except OSError:
      path.unlink(missing_ok=True)
      raise
  except FileExistsError:
    raise pictures.Unusable("exists already and is not overwritten") from None
  except (OSError, ValueError, KeyError) as error:
    raise pictures.Unusable(
      f"cannot be written: {pictures.reason(error)}"
    ) from None


def _options(original: str | os.PathLike) -> dict[str, Any]:
  """A file's format and what else Pillow's `save` takes to keep of it."""
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    with PIL.Image.open(original, formats=pictures.formats()) as file:
      # Several JPEGs in one file: only the first is kept.
      form = "JPEG" if file.format == "MPO" else file.format
      kept = ("icc_profile", "dpi")
      options = {k: file.info[k] for k in kept if file.info.get(k)}
      exif = _kept_exif(file.getexif(), form)
  if len(exif):
    options["exif"] = exif
  if form in ("JPEG", "WEBP", "AVIF"):
    options["quality"] = 95
  return {"format": form, **options}


def _kept_exif(exif: PIL.Image.Exif, form: str | None) -> PIL.Image.Exif:
  """EXIF less the orientation; all of it read, for the file will be closed."""
  tags = PIL.ExifTags.Base
  # In a TIFF the other tags say how this file's pixels were laid out.
  words = (
    tags.ImageDescription,
    tags.Make,
    tags.Model,
    tags.Software,
    tags.DateTime,
    tags.Artist,
    tags.Copyright,
  )
  kept = PIL.Image.Exif()
  for tag, value in exif.items():
    if tag in (PIL.ExifTags.IFD.Exif, PIL.ExifTags.IFD.GPSInfo):
      kept.get_ifd(tag).update(exif.get_ifd(tag))
      kept[tag] = 0  # Pillow puts the place where it writes them
    elif tag != tags.Orientation and (form != "TIFF" or tag in words):
      kept[tag] = value
  return kept


class Pair(NamedTuple):
  """A picture on a contact sheet.

  Attributes:
    before: small, in colour.
    after: the same, turned back.
    words: below them.
  """

  before: PIL.Image.Image
  after: PIL.Image.Image
  words: str


def pair(
  picture: PIL.Image.Image, angle_deg: float, fit: str, words: str
) -> Pair:
  """The picture before and after, small; see `turn_back`.

  Raises:
    Unusable: a mode that cannot be shown.
  """
  before = _smooth(picture).copy()
  before.thumbnail((_THUMB, _THUMB))
  after = turn_back(before, angle_deg, fit)
  return Pair(pictures.flat(before, 3), pictures.flat(after, 3), words)


def _shortened(line: str, length: int = 40) -> str:
  """The end of a line that is too long: of a path it says most."""
  return line if len(line) <= length else "…" + line[1 - length :]


def contact_sheet(pairs: Sequence[Pair], path: pathlib.Path) -> None:
  """Writes a picture of pictures, before and after.

  Args:
    pairs: at least one.
    path: a new file, in any format that matplotlib writes.

  Raises:
    Unusable: it cannot be written.
  """
  from rotjax.drawing import matplotlib

  columns = min(len(pairs), _COLUMNS)
  rows = math.ceil(len(pairs) / columns)
  figure = matplotlib.figure.Figure(
    (3.0 * columns, 1.9 * rows), layout="constrained"
  )
  cells = figure.subfigures(rows, columns, squeeze=False, wspace=0.1).ravel()
  for cell, shown in zip(cells, pairs):
    for axes, image in zip(cell.subplots(1, 2), (shown.before, shown.after)):
      axes.imshow(np.asarray(image))
      axes.set(xticks=[], yticks=[])
      axes.spines[:].set(color="0.8", linewidth=0.5)  # for white on white
    lines = [_shortened(line) for line in shown.words.splitlines()]
    cell.suptitle("\n".join(lines), fontsize=7)
  try:
    figure.savefig(path, dpi=120)
  except (OSError, ValueError) as error:
    raise pictures.Unusable(
      f"cannot be written: {pictures.reason(error)}"
    ) from None
