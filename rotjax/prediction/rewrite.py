"""A picture in the format of the file that it was made from.

Kept are the format, the mode, the bit depth and the compression, and of the
metadata EXIF less the orientation, the colour profile, the resolution, XMP and
texts. Metadata can be damaged in any way: what cannot be written again is left
out and named; pixels count.
"""

from collections.abc import Sequence
import dataclasses
import io
import os
import pathlib
from typing import Any

import PIL.Image
import PIL.JpegImagePlugin

from rotjax.image import pictures
from rotjax.prediction import metadata, outputs

# Where quality is a choice, it costs nothing that can be seen.
_QUALITY = {"quality": 95}
# What every TIFF can have, without loss.
_LOSSLESS = "tiff_adobe_deflate"
_COMPRESSIONS = (
  *("raw", "packbits", "tiff_lzw", "tiff_deflate", _LOSSLESS, "zstd", "lzma"),
)

_CUT = "has more than 8 bits a colour, and Pillow reads 8: not written"
_FIRST_BYTES: tuple[tuple[bytes, str, dict[str, Any]], ...] = (
  (b"\x89PNG", "PNG", {}),
  (b"\xff\xd8", "JPEG", _QUALITY),
  (b"RIFF", "WEBP", _QUALITY),
  (b"II*\0", "TIFF", {"compression": _LOSSLESS}),
  (b"MM\0*", "TIFF", {"compression": _LOSSLESS}),
)
# TIFF's NewSubfileType: a smaller version (bit 0) or a mask (bit 2).
PAGE_KIND, NO_PAGE = 254, 5


@dataclasses.dataclass(frozen=True)
class Original:
  """How a file was written.

  Attributes:
    form: Pillow's name of its format.
    options: what Pillow's `save` takes to write pixels as they were.
    metadata: the same, for each kind of metadata by its name.
    lost: names of metadata that could not be read.
  """

  form: str
  options: dict[str, Any]
  metadata: dict[str, dict[str, Any]]
  lost: tuple[str, ...]


def original(
  path: str | os.PathLike,
  names: Sequence[str] | None = None,
  frame: int | None = None,
) -> Original:
  """How a picture file was written.

  Args:
    path: the file.
    names: Pillow's names of what it may be; None for all that are read.
    frame: of a TIFF, the one of its pages that is asked about; None for all
      of a file, which may have one.

  Raises:
    Unusable: nothing made from it can be written as it was: it has several
      pages or frames, more bits than are read, or a format without a writer.
  """
  try:
    with pictures.strict(), open(path, "rb") as stream:
      try:
        return _original(stream, names or pictures.formats(), frame)
      except pictures.Unusable:
        raise
      except Exception:  # damaged files raise a dozen types
        return _bare(stream)
  except OSError as error:
    raise pictures.Unusable(pictures.reason(error)) from None


def _original(stream, names, frame) -> Original:
  with PIL.Image.open(stream, formats=tuple(names)) as file:
    if frame:
      file.info.clear()  # of the first page
      file.seek(frame)
    # Several JPEGs in one file: the first is the picture.
    form = "JPEG" if file.format == "MPO" else str(file.format)
    if frame is None:
      _check_frames(file)
    _check(file, form)
    kept, lost = metadata.read(file, form)
    return Original(form, _options(file, form), kept, tuple(lost))


def _bare(stream) -> Original:
  """What its first bytes tell of a file that Pillow stumbles over.

  Metadata can make it; what reads the pixels all the same is `pictures.read`.
  """
  stream.seek(0)
  head = stream.read(26)
  for start, form, options in _FIRST_BYTES:
    if head.startswith(start):
      # PNG's bit depth and its colour type, of which 0 and 3 are one number.
      if form == "PNG" and head[24] == 16 and head[25] not in (0, 3):
        raise pictures.Unusable(_CUT)
      return Original(form, options, {}, ("metadata, all of them",))
  raise pictures.Unusable("damaged: not written again")


def _check_frames(file) -> None:
  count = _frames(file)
  if count > 1:
    raise pictures.Unusable(
      f"has {count} pages or frames, and only the first is read: not written"
    )


def _check(file, form) -> None:
  """Refuses what would not come back whole."""
  if pictures.is_deep(file) and file.has_transparency_data:
    raise pictures.Unusable(
      "has 16 bits and transparency, which Pillow cannot write: not written"
    )
  if form not in PIL.Image.SAVE:
    raise pictures.Unusable(f"Pillow writes no {form}: not written")
  if _is_cut_to_8_bits(file, form):
    raise pictures.Unusable(_CUT)


def _frames(file) -> int:
  """Frames or pages; a preview (MPO's, a TIFF's smaller version) is none."""
  if file.format == "MPO":
    return 1
  count = getattr(file, "n_frames", 1)
  if file.format != "TIFF":
    return count
  kinds = []
  for page in range(count):
    file.seek(page)
    kinds.append(file.tag_v2.get(PAGE_KIND, 0))
  file.seek(0)
  return sum(not kind & NO_PAGE for kind in kinds)


def _is_cut_to_8_bits(file, form) -> bool:
  """Whether colours have more bits in the file than Pillow reads."""
  if pictures.is_deep(file):
    return False
  if form in ("AVIF", "HEIF", "JPEG2000"):
    return _declared_bits(file, form) > 8
  for tile in file.tile:
    args = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
    # "RGB;16B" of PNG and TIFF, ("RGB", 65535) of PPM.
    if ";16" in str(args[0]) or (form == "PPM" and args[-1] in _DEEP_PPM):
      return True
  return False


_DEEP_PPM = range(256, 65536)


def _declared_bits(file, form) -> int:
  """The most bits a colour that a file's header states; 8 if none does."""
  file.fp.seek(0)
  head = file.fp.read(1 << 16)
  # Of AVIF and HEIC the box "pixi": version and flags, channels, bits of each;
  # of JPEG 2000 the segment SIZ: 40 bytes on, three a component.
  if form in ("AVIF", "HEIF"):
    at = head.find(b"pixi")
    return max(head[at + 9 : at + 9 + head[at + 8]], default=8) if at > 0 else 8
  at = head.find(b"\xff\x4f\xff\x51")
  if at < 0:
    return 8
  components = int.from_bytes(head[at + 40 : at + 42])
  sizes = head[at + 42 : at + 42 + 3 * components : 3]
  return max(((size & 0x7F) + 1 for size in sizes), default=8)


def _options(file, form) -> dict[str, Any]:
  """What writes pixels as this file's are written."""
  if form == "JPEG":
    return {
      **_QUALITY,
      "subsampling": PIL.JpegImagePlugin.get_sampling(file),
    }
  if form == "WEBP":
    file.fp.seek(0)
    if _is_lossless_webp(file.fp):
      return {"lossless": True, "exact": True}
    return dict(_QUALITY)
  if form in ("AVIF", "HEIF"):
    return dict(_QUALITY)
  if form == "TIFF":
    compression = file.info.get("compression", "raw")
    quality = _QUALITY if compression == "jpeg" else {}
    return {**quality, "compression": compression}
  if form == "JPEG2000":
    return {"no_jp2": file.codec == "j2k"}
  return {}


def _is_lossless_webp(stream) -> bool:
  """Whether the picture's chunk is the lossless one (RFC 9649, 2.6)."""
  stream.seek(12)
  while len(head := stream.read(8)) == 8:
    if head[:4] in (b"VP8 ", b"VP8L"):
      return head[:4] == b"VP8L"
    size = int.from_bytes(head[4:], "little")
    stream.seek(size + size % 2, os.SEEK_CUR)
  return False


def encode(
  turned: PIL.Image.Image, kind: Original
) -> tuple[bytes, tuple[str, ...]]:
  """A picture as a file of another's kind.

  Args:
    turned: what to write.
    kind: of the file that it was made from.

  Returns:
    The file, and what was left out or changed, in words.

  Raises:
    Unusable: the format cannot hold such a picture.
  """
  # What a picture remembers of its file would be written unasked.
  transparency = turned.info.get("transparency")
  turned = turned.copy()
  turned.info = {}
  options = dict(kind.options)
  if transparency is not None:
    options["transparency"] = transparency
  changed = list(kind.lost)
  everything = {
    k: v for kept in kind.metadata.values() for k, v in kept.items()
  }
  if "compression" in options and not _compresses(options, turned.mode):
    changed.append(f"compression {options['compression']} (deflate instead)")
    options = {"compression": _LOSSLESS}
  data = _attempt(turned, kind.form, {**options, **everything})
  if isinstance(data, bytes):
    return data, tuple(changed)
  plain = _attempt(turned, kind.form, options)
  if not isinstance(plain, bytes):
    raise pictures.Unusable(f"cannot be written: {pictures.reason(plain)}")
  for name, kept in kind.metadata.items():
    data = _attempt(turned, kind.form, {**options, **kept})
    if isinstance(data, bytes):
      plain, options = data, {**options, **kept}
    else:
      changed.append(name)
  return plain, tuple(changed)


def _compresses(options, mode) -> bool:
  """Whether a TIFF's compression can be written, of such pixels.

  Asked beforehand, for the library would print its own errors, and writes one
  of those for fax that it cannot read again.
  """
  compression = options["compression"]
  if compression == "jpeg":
    return mode in ("L", "RGB", "CMYK")
  if compression in ("group3", "group4", "tiff_ccitt"):
    return mode == "1"
  return compression in _COMPRESSIONS


def _attempt(turned, form, options) -> bytes | Exception:
  """The file, if it is one that gives the picture back; else why not."""
  data = io.BytesIO()
  try:
    with pictures.strict():
      turned.save(data, format=form, **options)
      with PIL.Image.open(data, formats=[form]) as back:
        # All colours of a GIF come from a palette.
        same = form == "GIF" or back.getbands() == turned.getbands()
        if not same or back.size != turned.size:
          raise ValueError(f"{form} does not keep {turned.mode} pixels")
        metadata.check(back)
  # Pillow raises whatever an odd value leads to: struct.error, TypeError, ...
  except Exception as error:
    return error
  return data.getvalue()


def save(
  turned: PIL.Image.Image, path: str | os.PathLike, out: pathlib.Path
) -> tuple[str, ...]:
  """Writes a picture in the format of the file that it was made from.

  Args:
    turned: what to write.
    path: the file that it was made from.
    out: must not exist.

  Returns:
    What was left out or changed, in words.

  Raises:
    Unusable: it exists, or cannot be written.
  """
  data, changed = encode(turned, original(path))
  outputs.Folder(out.parent).write(
    pathlib.PurePath(out.name), data, os.fspath(path)
  )
  return changed
