"""Picture files without their metadata, for those that Pillow stumbles over.

A damaged comment is a reason to refuse a file for Pillow, and for no viewer.
"""

from collections.abc import Iterator
import contextlib
import io
import re
import struct
from typing import BinaryIO
import zlib

# What pixels need; "eXIf" may say how a picture is to be turned.
_PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf")
_WEBP_KEPT = (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"EXIF")
# JFIF and Adobe, which say what the colours are; comments and all others go.
_JPEG_KEPT = (0xE0, 0xEE)
_EXIF = b"Exif\0\0"
_JPEG_METADATA = (*range(0xE0, 0xF0), 0xFE)
# The layout of a TIFF's pixels, its orientation among it.
_TIFF_KEPT = {
  *(254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284),
  *(292, 293, 317, 320, 322, 323, 324, 325, 338, 339, 347, 529, 530, 531, 532),
}

_AVIF_EXIF = re.compile(rb"(infe.{8})Exif", re.DOTALL)


def pixels_only(stream: BinaryIO) -> bytes | None:
  """A PNG, JPEG, WebP, AVIF or TIFF file less its metadata.

  Args:
    stream: the file, from its beginning.

  Returns:
    A file of the same pixels and, but for an AVIF, the same orientation where
    it can be read; None for another format, or for want of all structure.
  """
  kinds = (
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"\xff\xd8\xff", _jpeg),
    (b"RIFF", _webp),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
  )
  head = stream.read(8)
  for start, kind in kinds:
    if head.startswith(start):
      try:
        return kind(head + stream.read())
      except (struct.error, IndexError, ValueError):
        return None
  if head.endswith(b"ftyp"):
    # The item loses its name, and with it all that is known of it.
    return _AVIF_EXIF.sub(rb"\1none", head + stream.read())
  return None


def _png(data: bytes) -> bytes:
  kept = io.BytesIO(data[:8])
  kept.seek(8)
  at = 8
  while at < len(data):
    (length,) = struct.unpack_from(">I", data, at)
    end = at + 12 + length
    name, body = data[at + 4 : at + 8], data[at + 8 : end - 4]
    whole = data[end - 4 : end] == struct.pack(">I", zlib.crc32(name + body))
    # A damaged chunk that counts is for the decoder to refuse.
    if name in _PNG_KEPT and (whole or name != b"eXIf"):
      kept.write(data[at:end])
    at = end
  return kept.getvalue()


def _jpeg(data: bytes) -> bytes:
  kept = io.BytesIO()
  at = 2
  kept.write(data[:at])
  while data[at + 1] != 0xDA:  # start of scan
    if data[at] != 0xFF:
      raise ValueError("no marker")
    (length,) = struct.unpack_from(">H", data, at + 2)
    end = at + 2 + length
    body = data[at + 4 : end]
    if data[at + 1] not in _JPEG_METADATA or data[at + 1] in _JPEG_KEPT:
      kept.write(data[at:end])
    elif data[at + 1] == 0xE1 and body.startswith(_EXIF):
      with contextlib.suppress(struct.error):
        exif = _EXIF + _tiff(body[len(_EXIF) :])
        kept.write(b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif)
    at = end
  kept.write(data[at:])
  return kept.getvalue()


def _webp(data: bytes) -> bytes:
  chunks = []
  at = 12
  while at + 8 <= len(data):
    (length,) = struct.unpack_from("<I", data, at + 4)
    end = at + 8 + length + length % 2
    if data[at : at + 4] in _WEBP_KEPT and end <= len(data):
      chunks.append(data[at:end])
    at = end
  body = bytearray(b"WEBP" + b"".join(chunks))
  if body[4:8] == b"VP8X":
    with_exif = any(chunk.startswith(b"EXIF") for chunk in chunks)
    body[12] = body[12] & ~0b101100 | with_exif << 3
  return b"RIFF" + struct.pack("<I", len(body)) + bytes(body)


def _tiff(data: bytes) -> bytes:
  """The file with another first directory, behind all the rest."""
  order = "<" if data[:2] == b"II" else ">"
  entries = [
    entry
    for entry in _entries(data, order)
    if struct.unpack_from(order + "H", entry)[0] in _TIFF_KEPT
  ]
  at = len(data) + len(data) % 2
  return b"".join(
    [
      data[:4],
      struct.pack(order + "I", at),
      data[8:].ljust(at - 8, b"\0"),
      struct.pack(order + "H", len(entries)),
      *entries,
      bytes(4),
    ]
  )


def _entries(data: bytes, order: str) -> Iterator[bytes]:
  (at,) = struct.unpack_from(order + "I", data, 4)
  (count,) = struct.unpack_from(order + "H", data, at)
  for start in range(at + 2, at + 2 + 12 * count, 12):
    yield data[start : start + 12]
