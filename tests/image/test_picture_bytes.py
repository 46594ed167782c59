"""Metadata that nobody can read cost no picture, and damage only itself."""

import io
import struct
import types
import zlib

import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageCms
import PIL.PngImagePlugin
import PIL.TiffTags
import pytest

from rotjax.data.ingest import folder_files
from rotjax.image import picture_bytes, pictures

TAGS = PIL.ExifTags.Base
PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def _exif(orientation=None):
  exif = PIL.Image.Exif()
  exif[TAGS.Make] = "Acme"
  exif[TAGS.XResolution], exif[TAGS.ResolutionUnit] = 72.0, 2
  if orientation:
    exif[TAGS.Orientation] = orientation
  exif.get_ifd(PIL.ExifTags.IFD.Exif)[TAGS.DateTimeOriginal] = "2020:01:01"
  exif[PIL.ExifTags.IFD.Exif] = 0
  return exif


def _file(form, orientation=None):
  """A file of PIXELS with all the metadata that its format takes."""
  profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB"))
  info = PIL.PngImagePlugin.PngInfo()
  info.add_text("Title", "a picture")
  info.add_text("Long", "a picture " * 9, zip=True)
  info.add_itxt("XML:com.adobe.xmp", "<x/>")
  options = {
    "PNG": {"pnginfo": info},
    "JPEG": {"quality": 95, "comment": b"hello", "xmp": b"<x/>"},
    "WEBP": {"lossless": True, "xmp": b"<x/>"},
    "TIFF": {"description": "a picture", "software": "by hand"},
    "AVIF": {"xmp": b"<x/>"},
  }[form]
  data = io.BytesIO()
  PIL.Image.fromarray(PIXELS).save(
    data,
    form,
    exif=_exif(orientation),
    icc_profile=profile.tobytes(),
    dpi=(300, 300),
    **options,
  )
  return data.getvalue()


def _decode(data):
  with pictures.strict():
    picture = pictures.decode(io.BytesIO(data), pictures.formats())
  return np.asarray(pictures.flat(picture, 3))


def _png_metadata(data):
  """Start and end of the chunks' contents and checksums."""
  at = 8
  while at < len(data):
    (length,) = struct.unpack_from(">I", data, at)
    if data[at + 4 : at + 8] not in (b"IHDR", b"IDAT", b"IEND"):
      yield at + 8, at + 12 + length
    at += 12 + length


def _jpeg_metadata(data):
  at = 2
  while data[at + 1] != 0xDA:
    (length,) = struct.unpack_from(">H", data, at + 2)
    if data[at + 1] in (*range(0xE1, 0xEE), 0xFE):
      yield at + 4, at + 2 + length
    at += 2 + length


def _webp_metadata(data):
  at = 12
  while at < len(data):
    (length,) = struct.unpack_from("<I", data, at + 4)
    if data[at : at + 4] in (b"EXIF", b"XMP ", b"ICCP"):
      yield at + 8, at + 8 + length
    at += 8 + length + length % 2


@pytest.mark.parametrize(
  "form,regions",
  [
    ("PNG", _png_metadata),
    ("JPEG", _jpeg_metadata),
    ("WEBP", _webp_metadata),
  ],
)
def test_pixels_count_whatever_the_metadata_hold(form, regions):
  data = _file(form)
  wanted = np.sort(_decode(data).ravel())
  places = [range(*region) for region in regions(data)]
  assert len(places) >= 3
  rng = np.random.default_rng(0)
  for place in places * 60:
    damaged = bytearray(data)
    for at in rng.choice(place, min(len(place), rng.integers(1, 8))):
      damaged[at] = rng.integers(256)
    # Chance may have written an orientation.
    found = np.sort(_decode(bytes(damaged)).ravel())
    np.testing.assert_array_equal(found, wanted)


# The tags of a TIFF that say nothing about where its pixels are.
_ODD = (
  *(269, 270, 271, 272, 274, 282, 283, 285, 296, 297, 305, 306, 315, 316, 318),
  *(319, 333, 700, 33432, 33723, 34377, 34665, 34675, 34853, 40965, 50341),
)


@pytest.mark.parametrize("kind", range(14))
def test_a_tiff_with_a_tag_of_another_type(kind):
  rng = np.random.default_rng(kind)
  strip = PIXELS[..., 0].tobytes()
  for tag in _ODD:
    for count, value in ((0, 0), (1, 6), (3, 8), (2**31, 2**31), (99, 1)):
      tags = {
        **{254: (4, 1, 0), 256: (3, 1, 30), 257: (3, 1, 20), 258: (3, 1, 8)},
        **{259: (3, 1, 1), 262: (3, 1, 1), 273: (4, 1, 8), 277: (3, 1, 1)},
        **{278: (3, 1, 20), 279: (4, 1, len(strip))},
        tag: (kind, count, value + int(rng.integers(3))),
      }
      data = b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip
      data += struct.pack("<H", len(tags))
      for number, entry in sorted(tags.items()):
        data += struct.pack("<HHII", number, *entry)
      found = _decode(data + bytes(4))
      assert np.array_equal(
        np.sort(found[..., 0].ravel()), np.sort(PIXELS[..., 0].ravel())
      ), (tag, count, value)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_no_byte_makes_more_than_one_line(form):
  data = _file(form, orientation=6)
  rng = np.random.default_rng(1)
  spec = types.SimpleNamespace(size=8, channels=1, crop="none", source=(8, 8))
  refused = 0
  for n in range(400):
    damaged = bytearray(data)
    # Most of what can be broken lies at the start.
    top = len(data) if n % 2 else min(len(data), 400)
    for at in rng.integers(0, top, rng.integers(1, 6)):
      damaged[at] = rng.integers(256)
    if n % 5 == 0:
      del damaged[rng.integers(len(damaged)) :]
    stream = io.BytesIO(damaged)
    with pictures.strict():
      assert pictures.count_frames(stream, pictures.formats()) >= 1
      stream.seek(0)
      try:
        picture = pictures.decode(stream, pictures.formats())
        pictures.square(picture, spec)
      except pictures.Unusable as error:
        refused += 1
        assert len(str(error).splitlines()) == 1
  assert 0 < refused < 400


@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_less_its_metadata_a_picture_is_the_same(form, orientation):
  data = _file(form, orientation)
  less = picture_bytes.pixels_only(io.BytesIO(data))
  np.testing.assert_array_equal(_decode(less), _decode(data))
  assert _decode(less).shape == (
    (20, 30, 3) if orientation == 3 else (30, 20, 3)
  )
  with PIL.Image.open(io.BytesIO(less)) as image:
    image.load()
    assert "icc_profile" not in image.info
    assert not {"comment", "xmp", "Title", "dpi"} & (
      set(image.info) - ({"dpi"} if form in ("TIFF", "JPEG") else set())
    )
    assert TAGS.Make not in image.getexif() or form in ("PNG", "WEBP")


def test_an_avif_less_its_exif():
  data = _file("AVIF")
  less = picture_bytes.pixels_only(io.BytesIO(data))
  np.testing.assert_array_equal(_decode(less), _decode(data))
  with PIL.Image.open(io.BytesIO(less)) as image:
    assert "exif" not in image.info


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
def test_a_png_with_a_long_text_is_read_and_turned(kind, tmp_path, monkeypatch):
  # Pillow's limit of all texts together, 64 MiB, would take seconds.
  monkeypatch.setattr(PIL.PngImagePlugin, "MAX_TEXT_MEMORY", 2**20)
  text = b"x" * 3_000_000
  body = {
    b"tEXt": b"long\0" + text,
    b"zTXt": b"long\0\0" + zlib.compress(text),
    b"iTXt": b"long\0\1\0\0\0" + zlib.compress(text),
  }[kind]
  data = _file("PNG", orientation=6)
  chunk = struct.pack(">I", len(body)) + kind + body
  chunk += struct.pack(">I", zlib.crc32(kind + body))
  long = data[:33] + chunk + data[33:]
  np.testing.assert_array_equal(_decode(long), np.rot90(PIXELS, -1))
  (tmp_path / "x.png").write_bytes(long)
  with pictures.strict():
    square = folder_files.read(tmp_path, folder_files.File("x.png"), 8, 3)
  assert square.reason == "" and square.png


@pytest.mark.parametrize(
  "kind,count,value",
  [
    (2, 4, b"six\0"),
    (3, 1, b"\0\0"),
    (3, 1, b"\t\0"),
    (7, 1, b"\6"),
    (5, 1, b"\0"),
  ],
)
def test_an_orientation_that_is_none(kind, count, value):
  entry = struct.pack("<HHI4s", TAGS.Orientation, kind, count, value)
  exif = b"II*\0\x08\0\0\0\x01\0" + entry + bytes(4)
  data = io.BytesIO()
  PIL.Image.fromarray(PIXELS).save(data, "PNG", exif=exif)
  np.testing.assert_array_equal(_decode(data.getvalue()), PIXELS)


def test_an_empty_file_is_called_empty():
  with pytest.raises(pictures.Unusable, match="an empty file"):
    _decode(b"")
