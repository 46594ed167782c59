"""Picture files: found, read, brought to a network's input.

One rule for every kind of file: the first frame, turned as its EXIF orientation
says; what is transparent shows white; 16 bits are scaled by their full range;
grey is the luma of ITU-R 601, as in the datasets.
"""

from collections.abc import Iterable, Iterator, Sequence
import contextlib
import dataclasses
import math
import os
import pathlib
import stat
from typing import Any, BinaryIO
import warnings

import numpy as np
import PIL.Image
import PIL.ImageOps

# Those that Pillow decodes by itself: no document or script runs a program.
_FORMATS = (
  "AVIF",
  "BMP",
  "GIF",
  "JPEG",
  "JPEG2000",
  "PCX",
  "PNG",
  "PPM",
  "QOI",
  "TGA",
  "TIFF",
  "WEBP",
)
_MODES = {1: "L", 3: "RGB"}
BICUBIC = PIL.Image.Resampling.BICUBIC


class Unusable(Exception):
  """Why a picture cannot be read or written, without its name."""


@dataclasses.dataclass(frozen=True)
class Found:
  """A picture file.

  Attributes:
    path: to open.
    name: where it lies below the folder that was named; its bare name if it
      was named itself.
  """

  path: str
  name: pathlib.PurePath


def find(paths: Iterable[str]) -> Iterator[Found | tuple[str, Unusable]]:
  """Files, and the pictures in folders and their subfolders, each once.

  Files are taken whatever they are called; in folders the name has to end like
  a picture's, and what begins with a dot is left out.

  Args:
    paths: of files and folders.

  Yields:
    What was found, by name within a folder; a path and what is wrong with it
    for a folder without pictures.
  """
  seen = set()
  for path in paths:
    if os.path.isdir(path):
      inside = list(_walk(path))
      if not inside:
        yield path, Unusable("no picture in this folder")
    else:
      inside = [Found(path, pathlib.PurePath(os.path.basename(path)))]
    for found in inside:
      if found.path not in seen:
        seen.add(found.path)
        yield found


def _walk(folder: str) -> Iterator[Found]:
  endings = _endings()
  for root, folders, files in os.walk(folder):
    folders[:] = sorted(name for name in folders if name[0] != ".")
    for name in sorted(files):
      if name[0] != "." and os.path.splitext(name)[1].lower() in endings:
        path = os.path.join(root, name)
        yield Found(path, pathlib.PurePath(os.path.relpath(path, folder)))


def formats() -> list[str]:
  """Pillow's names of the formats that are read."""
  PIL.Image.init()
  return [name for name in _FORMATS if name in PIL.Image.OPEN]


def _endings() -> set[str]:
  readable = formats()
  known = PIL.Image.registered_extensions()
  found = {ending for ending, name in known.items() if name in readable}
  return found | {".mpo"}  # several JPEGs in one


def read(path: str | os.PathLike) -> PIL.Image.Image:
  """A picture as a person sees it; see `decode`.

  Raises:
    Unusable: no such file, not a picture, damaged, or with more pixels than
      Pillow's limit.
  """
  try:
    if not stat.S_ISREG(os.stat(path).st_mode):
      raise Unusable("not a file")
    with strict(), open(path, "rb") as stream:
      return decode(stream, formats())
  except OSError as error:
    raise Unusable(reason(error)) from None


@contextlib.contextmanager
def strict() -> Iterator[None]:
  """Inside, odd metadata warn nobody and a decompression bomb is an error.

  Warning filters belong to all threads: enter it before they start.
  """
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
    yield


def decode(
  stream: BinaryIO, names: Sequence[str], least: int | None = None
) -> PIL.Image.Image:
  """A picture as a person sees it; to be called inside `strict`.

  Args:
    stream: its file. A stream, not a name: Pillow maps a named TIFF into
      memory and then scrambles one that its orientation turns by 90 degrees.
    names: Pillow's names of the formats that it may have.
    least: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, as long as its
      short side keeps so many pixels; None decodes all of it.

  Returns:
    The first frame, in the file's own mode, its EXIF orientation applied.

  Raises:
    Unusable: not a picture, damaged, or, as its header says, with more pixels
      than Pillow's limit.
  """
  try:
    with PIL.Image.open(stream, formats=tuple(names)) as file:
      if least is not None and least < min(file.size):
        scale = least / min(file.size)
        width, height = file.size
        file.draft(None, (math.ceil(scale * width), math.ceil(scale * height)))
      file.load()
      return PIL.ImageOps.exif_transpose(file)
  except PIL.UnidentifiedImageError:
    raise Unusable("not a picture that can be read") from None
  except (
    PIL.Image.DecompressionBombError,
    PIL.Image.DecompressionBombWarning,
  ):
    limit = PIL.Image.MAX_IMAGE_PIXELS
    raise Unusable(f"more than {limit} pixels, Pillow's limit") from None
  # Damaged files raise a dozen types, and MemoryError where they lie about
  # their size.
  except Exception as error:
    raise Unusable(reason(error)) from None


def reason(error: Exception) -> str:
  """An exception in one line."""
  text = getattr(error, "strerror", None) or str(error)
  return " ".join(text.split()) or type(error).__name__


def of(image: Any) -> PIL.Image.Image:
  """A Pillow image, or a `[H, W]`, `[H, W, C]` array, as a Pillow image.

  Raises:
    Unusable: neither, or an array of another type or shape.
  """
  if isinstance(image, PIL.Image.Image):
    return image
  array = np.asarray(image)
  if array.ndim == 3 and array.shape[-1] == 1:
    array = array[..., 0]
  colour = array.ndim == 3 and array.shape[-1] in (3, 4)
  if (array.dtype == np.uint8 and (array.ndim == 2 or colour)) or (
    array.dtype == np.uint16 and array.ndim == 2
  ):
    return PIL.Image.fromarray(array)
  raise Unusable(
    f"an array of {array.dtype} {list(array.shape)} is not a picture: uint8 of"
    " [H, W] or [H, W, 1, 3 or 4], or uint16 of [H, W]"
  )


def is_deep(picture: PIL.Image.Image) -> bool:
  """Whether a pixel is one number of more than 8 bits."""
  return picture.mode[0] in "IF"


def deep_pixels(picture: PIL.Image.Image) -> np.ndarray:
  """`[H, W]` float64 in 0..65535.

  Raises:
    Unusable: numbers whose full range is not known.
  """
  pixels = np.asarray(picture).astype(np.float64)
  if picture.mode == "F" or pixels.min() < 0 or pixels.max() > 65535:
    raise Unusable("pixels beyond 16 bits have no stated range: save it with 8")
  return pixels


def flat(picture: PIL.Image.Image, channels: int) -> PIL.Image.Image:
  """A picture without transparency, of 8 bits, grey or in colour.

  Args:
    picture: of any mode.
    channels: 1 or 3.

  Raises:
    Unusable: a mode that cannot be converted.
  """
  if is_deep(picture):
    pixels = np.rint(deep_pixels(picture) * (255 / 65535))
    picture = PIL.Image.fromarray(pixels.astype(np.uint8))
  try:
    if picture.has_transparency_data:
      picture = picture.convert("RGBA")
      white = PIL.Image.new("RGBA", picture.size, "white")
      picture = PIL.Image.alpha_composite(white, picture)
    return picture.convert(_MODES[channels])
  except ValueError as error:
    raise Unusable(reason(error)) from None


def square(picture: PIL.Image.Image, spec: Any) -> np.ndarray:
  """A turned picture as a network's view shows one, before `View.finish`.

  In training the view shows a square about the middle of the turned source,
  and so it is here: of a picture whose short side is taken for the source's.
  Where the view shrinks the whole of the turned source (crop "expand"), or the
  largest square in it ("inscribed"), the whole picture or its largest square.

  Args:
    picture: of any mode and size.
    spec: a `predictor.Spec`.

  Returns:
    `[size, size, channels]` uint8; black where the square leaves the picture.

  Raises:
    Unusable: see `flat`.
  """
  short, long = min(picture.size), max(picture.size)
  side = {"expand": long, "inscribed": short}.get(
    spec.crop, short * spec.size / min(spec.source)
  )
  # Each axis apart, so that no canvas is ever as large as a long strip's side.
  (left, right, width), (top, bottom, height) = (
    _span(length, side, spec.size) for length in picture.size
  )
  shown = flat(picture, spec.channels).resize(
    (width, height), BICUBIC, box=(left, top, right, bottom)
  )
  canvas = PIL.Image.new(shown.mode, (spec.size, spec.size))
  canvas.paste(shown, ((spec.size - width) // 2, (spec.size - height) // 2))
  return np.asarray(canvas).reshape(spec.size, spec.size, spec.channels)


def _span(length: int, side: float, size: int) -> tuple[float, float, int]:
  """Where a side cuts an axis, and how many of the size's pixels show it."""
  if side <= length:
    return (length - side) / 2, (length + side) / 2, size
  # An even number of pixels is left, so that the middle stays the middle.
  margin = min(round(size * (1 - length / side) / 2), (size - 1) // 2)
  return 0, length, size - 2 * margin


def square_in_words(spec: Any) -> list[str]:
  """How `square` makes its square, for those who have Pillow alone.

  Args:
    spec: a `predictor.Spec`.

  Returns:
    Step by step; following them gives the same pixels.
  """
  size = spec.size
  side = {
    "expand": "max(width, height)",
    "inscribed": "min(width, height)",
  }.get(spec.crop, f"min(width, height) * {size} / {min(spec.source)}")
  return [
    "the first frame or page, as its EXIF orientation shows it:"
    " PIL.ImageOps.exif_transpose",
    "grey of 16 bits (0 black): times 255/65535, rounded, as uint8",
    "transparency: convert('RGBA'), over white by Image.alpha_composite",
    f"convert({_MODES[spec.channels]!r})"
    + (": the luma of ITU-R 601" if spec.channels == 1 else ""),
    f"the square about the middle, of side q = {side} in the picture's pixels;"
    " for each axis, of length n:",
    f"where q <= n the box is (n - q)/2 to (n + q)/2, not rounded, and becomes"
    f" {size} pixels",
    f"else the box is 0 to n and becomes {size} - 2 m pixels, m = min(round("
    f"{size} * (1 - n/q) / 2), {(size - 1) // 2}), halves rounded to even",
    "resize(these pixels, BICUBIC, box=(left, top, right, bottom)) in one call",
    f"pasted into a black {size} x {size}: left = ({size} - pixels) // 2, and"
    " top in the same way",
  ]
