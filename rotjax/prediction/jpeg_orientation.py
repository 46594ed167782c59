"""A JPEG turned by quarters without touching a pixel: by its EXIF orientation.

Viewers, and Pillow's `exif_transpose`, show the stored pixels as the tag says
(CIPA DC-008, 4.6.4: 1 as stored, 6 turned a quarter clockwise, ...).
"""

import io
import struct

import PIL.ExifTags
import PIL.Image

_TAG = PIL.ExifTags.Base.Orientation
_EXIF = b"Exif\0\0"
_APP0, _APP1, _SCAN = 0xE0, 0xE1, 0xDA
_MAX_SEGMENT = 65533
# Each is the one before it, shown turned a quarter further clockwise.
_CLOCKWISE = ((1, 6, 3, 8), (2, 7, 4, 5))


def turned(orientation: int, clockwise: int) -> int:
  """An orientation, shown turned further by so many quarters clockwise."""
  for cycle in _CLOCKWISE:
    if orientation in cycle:
      return cycle[(cycle.index(orientation) + clockwise) % 4]
  return turned(1, clockwise)  # what is none is shown as stored


def turned_back(data: bytes, before: int, quarters: int) -> bytes:
  """A JPEG file that is shown turned back by quarter turns.

  Args:
    data: the file.
    before: its orientation, as a viewer finds it.
    quarters: counter-clockwise, that it has been turned by.

  Raises:
    ValueError, IndexError, struct.error: its structure is damaged, or its
      metadata have no room.
  """
  wanted = turned(before, quarters)
  new = _with(data, wanted)
  with PIL.Image.open(io.BytesIO(new), formats=("JPEG", "MPO")) as file:
    if file.getexif().get(_TAG) != wanted:
      raise ValueError("the orientation is not found again")
  return new


def _with(data: bytes, orientation: int) -> bytes:
  at = insert = 2
  while data[at + 1] != _SCAN:
    if data[at] != 0xFF:
      raise ValueError("no marker")
    (length,) = struct.unpack_from(">H", data, at + 2)
    body, end = data[at + 4 : at + 2 + length], at + 2 + length
    if data[at + 1] == _APP1 and body.startswith(_EXIF):
      return data[:at] + _segment(_patched(body, orientation)) + data[end:]
    if data[at + 1] == _APP0 and at == 2:
      insert = end  # JFIF wants to be first
    at = end
  exif = PIL.Image.Exif()
  exif[_TAG] = orientation
  new = _segment(exif.tobytes())
  return data[:insert] + new + data[insert:]


def _segment(body: bytes) -> bytes:
  if len(body) > _MAX_SEGMENT:
    raise ValueError("metadata without room for the orientation")
  return bytes((0xFF, _APP1)) + struct.pack(">H", len(body) + 2) + body


def _patched(body: bytes, orientation: int) -> bytes:
  """An EXIF block with the orientation in place, or written anew with it."""
  start = len(_EXIF)
  order = "<" if body[start : start + 2] == b"II" else ">"
  (offset,) = struct.unpack_from(order + "I", body, start + 4)
  (count,) = struct.unpack_from(order + "H", body, start + offset)
  first = start + offset + 2
  for at in range(first, first + 12 * count, 12):
    tag, kind = struct.unpack_from(order + "HH", body, at)
    if (tag, kind) == (_TAG, 3):
      value = struct.pack(order + "H", orientation)
      return body[: at + 8] + value + body[at + 10 :]
  exif = PIL.Image.Exif()
  exif.load(body)
  exif[_TAG] = orientation
  return exif.tobytes()
