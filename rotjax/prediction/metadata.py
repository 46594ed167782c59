"""Metadata of a picture file, as far as Pillow can write them again."""

from collections.abc import Iterator
import re
from typing import Any

import PIL.ExifTags
import PIL.Image
import PIL.PngImagePlugin

_TAGS = PIL.ExifTags.Base
_IFDS = (PIL.ExifTags.IFD.Exif, PIL.ExifTags.IFD.GPSInfo)
# In a TIFF the other tags say how this file's pixels were laid out.
_WORDS = (
  _TAGS.ImageDescription,
  _TAGS.Make,
  _TAGS.Model,
  _TAGS.Software,
  _TAGS.DateTime,
  _TAGS.Artist,
  _TAGS.Copyright,
)
# Places in the old file, which Pillow finds anew or cannot.
_PLACES = (
  *_IFDS,
  PIL.ExifTags.IFD.Interop,
  _TAGS.Orientation,
  _TAGS.JpegIFOffset,
  _TAGS.JpegIFByteCount,
  # And its size.
  _TAGS.ImageWidth,
  _TAGS.ImageLength,
  _TAGS.ExifImageWidth,
  _TAGS.ExifImageHeight,
)
# What ImageMagick writes into PNG, and Pillow reads.
_EXIF_AS_TEXT = ("raw profile type exif", "raw profile type app1")
_XMP = ("JPEG", "WEBP", "AVIF", "PNG")
_COMMENT = ("JPEG", "GIF", "JPEG2000")
# The turn that a viewer must no longer apply, as an attribute or an element.
_XMP_TURN = re.compile(
  rb'\s*tiff:Orientation\s*=\s*(?:"[^"]*"|\'[^\']*\')'
  rb"|<tiff:Orientation>[^<]*</tiff:Orientation>"
)


def read(
  file: PIL.Image.Image, form: str
) -> tuple[dict[str, dict[str, Any]], list[str]]:
  """Metadata of an open file, as options of Pillow's `save`.

  Args:
    file: in its own plugin's class.
    form: the format to write.

  Returns:
    Options by the name of their kind, and names of what cannot be kept.
  """
  kept: dict[str, dict[str, Any]] = {}
  lost: list[str] = []
  for name, read_one in (("EXIF", _exif), ("XMP", _xmp), ("text", _text)):
    try:
      options, gone = read_one(file, form)
    except Exception:  # damaged metadata raise whatever they lead to
      options, gone = {}, [name]
    if options:
      kept[name] = options
    lost += gone
  for name, key in (("colour profile", "icc_profile"), ("resolution", "dpi")):
    if file.info.get(key):
      kept[name] = {key: file.info[key]}
  return kept, lost


def check(written: PIL.Image.Image) -> None:
  """Refuses a file that a viewer would turn again.

  Raises:
    ValueError: it would; or whatever odd metadata lead to.
  """
  if written.getexif().get(_TAGS.Orientation, 1) != 1:
    raise ValueError("the orientation stays")


def _exif(file, form):
  kept, lost = PIL.Image.Exif(), []
  for ifd, tag, value in _entries(file.getexif()):
    if tag in _PLACES or (form == "TIFF" and not ifd and tag not in _WORDS):
      continue
    # By itself first: one odd value must not cost the others.
    trial = PIL.Image.Exif()
    try:
      _put(trial, ifd, tag, value)
      trial.tobytes()
    except Exception:
      lost.append(f"EXIF tag 0x{tag:04x}")
    else:
      _put(kept, ifd, tag, value)
  if not len(kept):
    return {}, lost
  kept.tobytes()
  return {"exif": kept}, lost


def _entries(exif) -> Iterator[tuple[int | None, int, Any]]:
  """Every tag of the main directory, then those of the others."""
  for tag in list(exif):
    if tag not in _IFDS:
      yield None, tag, exif[tag]
  for ifd in _IFDS:
    if ifd in exif:
      for tag, value in dict(exif.get_ifd(ifd)).items():
        yield ifd, tag, value


def _put(exif, ifd, tag, value) -> None:
  if ifd is None:
    exif[tag] = value
  else:
    exif.get_ifd(ifd)[tag] = value
    exif[ifd] = 0  # Pillow puts the place where it writes them


def _xmp(file, form):
  xmp = file.info.get("xmp")
  if not xmp or form == "PNG":  # there it is one of the texts
    return {}, []
  if form not in _XMP:
    return {}, ["XMP"]
  data = xmp.encode() if isinstance(xmp, str) else bytes(xmp)
  return {"xmp": _XMP_TURN.sub(b"", data)}, []


def _text(file, form):
  if form in _COMMENT and file.info.get("comment"):
    return {"comment": file.info["comment"]}, []
  if form != "PNG":
    return {}, []
  info = PIL.PngImagePlugin.PngInfo()
  lost = []
  texts = dict(file.text)
  for key, value in texts.items():
    if key.lower() in _EXIF_AS_TEXT:  # it is kept as EXIF
      continue
    try:
      if key == "XML:com.adobe.xmp":
        data = _XMP_TURN.sub(b"", value.encode("utf-8", "strict"))
        info.add_itxt(key, data.decode())
      else:
        info.add_text(key, value)
    except Exception:
      lost.append(f"text {key!a}")
  return ({"pnginfo": info} if info.chunks else {}), lost
