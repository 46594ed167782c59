"""A TIFF of one page or many, each written back with its own compression."""

from collections.abc import Iterator, Sequence
import contextlib
import io
import os
import struct
from typing import Any, BinaryIO

import PIL.ExifTags
import PIL.Image
import PIL.TiffImagePlugin

from rotjax.image import picture_pixels, pictures
from rotjax.prediction import rewrite, upright
from rotjax.prediction.kinds import picture

# Offsets in a TIFF have 32 bits.
_MAX_BYTES = 2**32 - 1
_CUT = "the file is cut off or damaged here: this page and those behind it"
# Pillow cannot move what these point to.
_POINTERS = (PIL.ExifTags.IFD.Exif, PIL.ExifTags.IFD.GPSInfo)


class Document(picture.Document):
  """A TIFF; smaller versions of a page and masks are no pages."""

  def __init__(self, path: str):
    self.path, self.notes = path, ()
    # Where each page lies among the file's frames; beyond the last one the
    # page that a broken chain of directories leads to.
    self._frames, self._broken_link = _pages(path)
    if not self._frames:  # another format under the name of a TIFF
      super().__init__(path)
    self.pages = max(len(self._frames), 1)

  def read(self, page: int) -> PIL.Image.Image:
    with _quiet():
      return super().read(page) if self.pages == 1 else self._read(page)

  def _read(self, page: int) -> PIL.Image.Image:
    """One of several pages."""
    frame = self._frames[page]
    if frame is None:
      raise pictures.Unusable(f"{_CUT} cannot be read")
    with (
      pictures.strict(),
      pictures.opened(self.path) as stream,
      pictures.refusing(),
      PIL.Image.open(self._mended(stream), formats=("TIFF",)) as file,
    ):
      file.seek(frame)
      # Pillow asks this of the first page alone.
      limit = PIL.Image.MAX_IMAGE_PIXELS
      if limit and file.width * file.height > limit:
        raise pictures.Unusable(f"more than {limit} pixels, Pillow's limit")
      return picture_pixels.shown(file)

  def _mended(self, stream: BinaryIO) -> BinaryIO:
    """The file, ended where its chain of pages breaks.

    The library would print its own errors about the link to nowhere.
    """
    if self._broken_link is None:
      return stream
    data = bytearray(stream.read())
    data[self._broken_link] = bytes(
      self._broken_link.stop - self._broken_link.start
    )
    return io.BytesIO(data)

  def upright(
    self, angles: Sequence[float], how: picture.How
  ) -> tuple[bytes, picture.Changed]:
    if self.pages == 1:
      return super().upright(angles, how)
    changed: dict[str, None] = {}
    data = io.BytesIO()
    with PIL.TiffImagePlugin.AppendingTiffWriter(data, new=True) as writer:
      for page, angle_deg in enumerate(angles):
        part, left_out = self._page(page, angle_deg, how)
        changed.update(dict.fromkeys(left_out))
        if data.tell() + len(part) > _MAX_BYTES:
          raise pictures.Unusable("would be more than 4 GiB: not written")
        with pictures.refusing():
          writer.write(part)
          writer.newFrame()
    return data.getvalue(), tuple(changed)

  def _page(self, page, angle_deg, how):
    """A page as a TIFF of its own, and what of it was left out."""
    kind = rewrite.original(self.path, frame=self._frames[page])
    exif = kind.metadata.get("EXIF", {}).get("exif", {})
    lost = [ifd for ifd in _POINTERS if exif.pop(ifd, None) is not None]
    shown = self.read(page)
    if angle_deg:
      shown = upright.turn_back(shown, angle_deg, how.fit, how.fill)
    part, left_out = rewrite.encode(shown, kind)
    return part, (*left_out, *(f"EXIF {ifd.name}" for ifd in lost))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Inside, libtiff prints nothing; what is wrong Pillow raises, too."""
  try:
    kept = os.dup(2)
  except OSError:  # closed
    yield
    return
  try:
    with open(os.devnull, "wb") as nowhere:
      os.dup2(nowhere.fileno(), 2)
    yield
  finally:
    os.dup2(kept, 2)
    os.close(kept)


def _pages(path: str) -> tuple[list[int | None], slice | None]:
  """Frames that are pages, in order; None in place of those that are lost, and
  the bytes of the link to them."""
  with pictures.strict(), pictures.opened(path) as stream:
    with pictures.refusing():
      count, broken = _chain(stream)
      stream.seek(0)
    try:
      with PIL.Image.open(stream, formats=("TIFF",)) as file:
        found: list[int | None] = [
          n for n in range(count) if not _is_preview(file, n)
        ]
    except Exception:  # of a dozen types: `pictures.read` says what is wrong
      return [], None
  return found + [None] * bool(found and broken), broken


def _is_preview(file: Any, frame: int) -> bool:
  try:
    file.seek(frame)
  except Exception:  # a damaged page is one, too
    return False
  return bool(file.tag_v2.get(rewrite.PAGE_KIND, 0) & rewrite.NO_PAGE)


def _chain(stream: BinaryIO) -> tuple[int, slice | None]:
  """How many directories of pages a TIFF has, and the bytes of a link that
  leads nowhere.

  Pillow takes the end of a file that was cut for its last page.
  """
  head = stream.read(16)
  order = "<" if head[:2] == b"II" else ">"
  big = head[2:4] in (b"+\0", b"\0+")
  number, width, entry = ("Q", 8, 20) if big else ("I", 4, 12)
  counter, counted = ("Q", 8) if big else ("H", 2)
  link = width if big else 4
  (at,) = struct.unpack_from(order + number, head, link)
  seen: set[int] = set()
  while at and at not in seen:
    try:
      stream.seek(at)
      (entries,) = struct.unpack(order + counter, stream.read(counted))
      after = at + counted + entries * entry
      stream.seek(after)
      (following,) = struct.unpack(order + number, stream.read(width))
    except (struct.error, OverflowError, OSError):
      return len(seen), slice(link, link + width)
    seen.add(at)
    link, at = after, following
  return len(seen), None
