"""Pictures read, and brought to a network's input.

One rule for every kind of file: the first frame, turned as its EXIF orientation
says; what is transparent shows white; 16 bits are scaled by their full range;
grey is the luma of ITU-R 601, as in the datasets. The pixels count: metadata
that cannot be read are left out of account.
"""

from collections.abc import Iterator, Sequence
import contextlib
import io
import logging
import math
import os
import stat
from typing import Any, BinaryIO
import warnings

import numpy as np
import PIL.Image

from rotjax.image import picture_bytes, picture_pixels

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
# TIFF's NewSubfileType: a smaller version (bit 0) or a mask (bit 2).
_PAGE_KIND, _NO_PAGE = 254, 5


# Pillow logs what it then raises too, and would be heard beside our line.
logging.getLogger("PIL").addHandler(logging.NullHandler())


class Unusable(Exception):
  """Why a picture cannot be read or written, without its name."""


def formats() -> list[str]:
  """Pillow's names of the formats that are read."""
  PIL.Image.init()
  return [name for name in _FORMATS if name in PIL.Image.OPEN]


def read(path: str | os.PathLike) -> PIL.Image.Image:
  """A picture as a person sees it; see `decode`.

  Raises:
    Unusable: no such file, not a picture, damaged, or with more pixels than
      Pillow's limit.
  """
  with strict(), opened(path) as stream:
    return decode(stream, formats())


@contextlib.contextmanager
def opened(path: str | os.PathLike) -> Iterator[BinaryIO]:
  """A regular file, open; Unusable says why it is none."""
  # Opening a pipe would wait for a writer for ever.
  with refusing():
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
      os.close(handle)
      raise Unusable("not a file")
  with open(handle, "rb") as stream:
    yield stream


@contextlib.contextmanager
def strict() -> Iterator[None]:
  """Inside, odd metadata warn nobody and a decompression bomb is an error.

  Warning filters belong to all threads: enter it before they start.
  """
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
    yield


@contextlib.contextmanager
def refusing() -> Iterator[None]:
  """Inside, whatever a picture makes Pillow raise becomes Unusable.

  Damaged files raise a dozen types of exceptions, and MemoryError where they
  lie about their size or are long strips.
  """
  try:
    yield
  except Unusable:
    raise
  except PIL.UnidentifiedImageError:
    raise Unusable("not a picture that can be read") from None
  except (
    PIL.Image.DecompressionBombError,
    PIL.Image.DecompressionBombWarning,
  ):
    limit = PIL.Image.MAX_IMAGE_PIXELS
    raise Unusable(f"more than {limit} pixels, Pillow's limit") from None
  except MemoryError:
    raise Unusable("needs more memory than there is") from None
  except Exception as error:
    raise Unusable(reason(error)) from None


def decode(
  stream: BinaryIO, names: Sequence[str], least: int | None = None
) -> PIL.Image.Image:
  """A picture as a person sees it; to be called inside `strict`.

  Args:
    stream: its file.
    names: Pillow's names of the formats that it may have.
    least: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, as long as its
      short side keeps so many pixels; None decodes all of it.

  Returns:
    The first frame, in the file's own mode, its EXIF orientation applied; of
    more than 8 bits: mode "I;16", 0 black and 65535 white.

  Raises:
    Unusable: not a picture, damaged, or, as its header says, with more pixels
      than Pillow's limit.
  """
  try:
    return _decode(stream, names, least)
  except Unusable:
    with refusing():
      stream.seek(0)
      if not stream.read(1):
        raise Unusable("an empty file") from None
      stream.seek(0)
      pixels_only = picture_bytes.pixels_only(stream)
    if pixels_only is None:
      raise
  return _decode(io.BytesIO(pixels_only), names, least)


def _decode(stream, names, least):
  """`decode`, metadata and all."""
  with refusing(), PIL.Image.open(stream, formats=tuple(names)) as file:
    if least is not None and least < min(file.size):
      scale = least / min(file.size)
      width, height = file.size
      file.draft(None, (math.ceil(scale * width), math.ceil(scale * height)))
    return picture_pixels.shown(file)


def frames(path: str | os.PathLike) -> int:
  """The frames or pages of a picture file, of which `read` takes the first.

  A preview (of a JPEG, as phones write them; of a TIFF, a smaller version or
  a mask) is none of its own. Those behind a damaged one are not counted.

  Raises:
    Unusable: see `read`.
  """
  with strict(), opened(path) as stream:
    return count_frames(stream, formats())


def count_frames(stream: BinaryIO, names: Sequence[str]) -> int:
  """As `frames`, of an open file; 1 where its metadata cannot be read."""
  stream.seek(0)
  try:
    with PIL.Image.open(stream, formats=tuple(names)) as file:
      if file.format == "TIFF":
        return _count_pages(file)
      return 1 if file.format == "MPO" else getattr(file, "n_frames", 1)
  except Exception:
    return 1


def _count_pages(file: Any) -> int:
  """Of a TIFF, without smaller versions (bit 0) and masks (bit 2)."""
  count = page = 0
  with contextlib.suppress(Exception):
    while True:
      count += not file.tag_v2.get(_PAGE_KIND, 0) & _NO_PAGE
      page += 1
      file.seek(page)
  return max(count, 1)


def reason(error: Exception) -> str:
  """An exception in one line."""
  text = getattr(error, "strerror", None) or str(error)
  return " ".join(text.split()) or type(error).__name__


def of(image: Any) -> PIL.Image.Image:
  """A Pillow image, or a `[H, W]`, `[H, W, C]` array, as `read` gives one.

  Raises:
    Unusable: neither, an array of another type or shape, or as `read`.
  """
  with strict(), refusing():
    if isinstance(image, PIL.Image.Image):
      return picture_pixels.shown(image)
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[-1] == 1:
      array = array[..., 0]
    colour = array.ndim == 3 and array.shape[-1] in (3, 4)
    kind = array.dtype.newbyteorder("=")
    if array.size and (
      (kind == np.uint8 and (array.ndim == 2 or colour))
      or (kind in (np.uint16, np.bool_) and array.ndim == 2)
    ):
      return PIL.Image.fromarray(np.ascontiguousarray(array, kind))
  raise Unusable(
    f"an array of {array.dtype} {list(array.shape)} is not a picture: uint8 of"
    " [H, W] or [H, W, 1, 3 or 4], or uint16 or bool of [H, W]"
  )


def is_deep(picture: PIL.Image.Image) -> bool:
  """Whether a pixel is one number of more than 8 bits."""
  return picture.mode[0] in "IF"


def deep_pixels(picture: PIL.Image.Image) -> np.ndarray:
  """`[H, W]` float64 in 0..65535.

  Raises:
    Unusable: numbers whose full range is not known.
  """
  if picture.mode in ("I", "F"):
    raise Unusable(
      "pixels of 32 bits or with a sign have no stated range: save it with 8"
      " or 16 bits"
    )
  return np.asarray(picture).astype(np.float64)


def flat(picture: PIL.Image.Image, channels: int) -> PIL.Image.Image:
  """A picture without transparency, of 8 bits, grey or in colour.

  Args:
    picture: of any mode.
    channels: 1 or 3.

  Raises:
    Unusable: a mode that cannot be converted.
  """
  with refusing():
    if is_deep(picture):
      pixels = np.rint(deep_pixels(picture) * (255 / 65535))
      return PIL.Image.fromarray(pixels.astype(np.uint8)).convert(
        _MODES[channels]
      )
    # Pillow has no other way from these two.
    between = {"La": "LA", "LAB": "RGB"}
    picture = picture.convert(between.get(picture.mode, picture.mode))
    if picture.has_transparency_data:
      picture = picture.convert("RGBA")
      white = PIL.Image.new("RGBA", picture.size, "white")
      picture = PIL.Image.alpha_composite(white, picture)
    return picture.convert(_MODES[channels])


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
    Unusable: see `flat`; a strip whose length takes too much memory.
  """
  short, long = min(picture.size), max(picture.size)
  side = {"expand": long, "inscribed": short}.get(
    spec.crop, short * spec.size / min(spec.source)
  )
  # Each axis apart, so that no canvas is ever as large as a long strip's side.
  (left, right, width), (top, bottom, height) = (
    _span(length, side, spec.size) for length in picture.size
  )
  with refusing():
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
