"""What the pixels of a picture file mean, where Pillow does not say all."""

from typing import Any

import numpy as np
import PIL.ExifTags
import PIL.Image

_TURN = PIL.Image.Transpose
# What an EXIF orientation asks a viewer to do.
_ORIENTATIONS = {
  2: _TURN.FLIP_LEFT_RIGHT,
  3: _TURN.ROTATE_180,
  4: _TURN.FLIP_TOP_BOTTOM,
  5: _TURN.TRANSPOSE,
  6: _TURN.ROTATE_270,
  7: _TURN.TRANSVERSE,
  8: _TURN.ROTATE_90,
}
# Where Pillow takes an orientation from.
_EXIF = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")
# Tags of TIFF, and PhotometricInterpretation's "0 is white".
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_WHITE_IS_ZERO = 0


def shown(file: Any) -> PIL.Image.Image:
  """A Pillow image as a person sees it, whoever opened its file.

  Args:
    file: an image; a file's, not loaded yet, tells most.

  Returns:
    Its pixels in their own mode, the EXIF orientation applied and forgotten;
    of more than 8 bits: mode "I;16", 0 black and 65535 white.

  Raises:
    ValueError: no pixels, or without a stated range.
    Exception: whatever Pillow raises.
  """
  if 0 in file.size:
    raise ValueError("a picture without a pixel")
  form = file.format
  tags = getattr(file, "tag_v2", {}) if form == "TIFF" else {}
  # What the pixels are in the file; gone once they are loaded.
  tile = getattr(file, "tile", None)
  raw = tile[0][3] if tile else ""
  if tile:
    # Without a name no memory map, which would scramble a turned TIFF.
    name, file.filename = file.filename, ""
    try:
      file.load()
    finally:
      file.filename = name
  if set(tags.get(_SAMPLE_FORMAT, (1,))) == {2} and file.mode == "L":
    raise ValueError("pixels with a sign have no stated range: save it without")
  try:
    turn = _ORIENTATIONS.get(file.getexif().get(PIL.ExifTags.Base.Orientation))
  except Exception:  # metadata that cannot be read say nothing
    turn = None
  picture = file.copy() if turn is None else file.transpose(turn)
  for key in _EXIF:
    picture.info.pop(key, None)
  if form == "PNG" and "transparency" in picture.info:
    picture.info["transparency"] = _transparent(picture, raw)
  if picture.mode.startswith("I;16") or (picture.mode == "I" and form == "PPM"):
    bits = tags.get(_BITS, (16,))[0]
    inverted = tags.get(_PHOTOMETRIC, 1) == _WHITE_IS_ZERO
    return _full_range(picture, 2**bits - 1, inverted)
  return picture


def _transparent(picture: PIL.Image.Image, raw: Any) -> Any:
  """A PNG's transparent value, which is the file's, as its pixels are."""
  value = picture.info["transparency"]
  if raw in ("L;2", "L;4"):
    return value * {"L;2": 85, "L;4": 17}[raw]
  # The upper eight bits of sixteen are what is kept.
  if raw == "RGB;16B" or (picture.mode == "RGB" and max(value) > 255):
    return tuple(part >> 8 for part in value)
  return value


def _full_range(
  picture: PIL.Image.Image, top: int, inverted: bool
) -> PIL.Image.Image:
  """A deep picture as "I;16", 0 black and 65535 white, on white."""
  pixels = np.asarray(picture).astype(np.uint16)
  if "transparency" in picture.info:
    pixels[pixels == picture.info.pop("transparency")] = 65535
  if inverted:
    pixels = top - pixels
  if top != 65535:
    pixels = np.rint(pixels * (65535 / top)).astype(np.uint16)
  result = PIL.Image.fromarray(pixels)
  result.info = picture.info
  return result
