"""Pixels as their file means them; the files are written by hand."""

import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import PIL.ExifTags
import PIL.Image
import pytest

from rotjax.image import pictures

SHORT, LONG = 3, 4


def tiff(data, size, order="<", tags=()):
  """An uncompressed TIFF of one strip.

  Args:
    data: the strip.
    size: width and height.
    order: "<" or ">".
    tags: (number, type, value) beyond those of a strip; of one value.
  """
  width, height = size
  tags = {
    256: (LONG, width),
    257: (LONG, height),
    259: (SHORT, 1),
    273: (LONG, 8),
    277: (SHORT, 1),
    278: (LONG, height),
    279: (LONG, len(data)),
    **{number: (kind, value) for number, kind, value in tags},
  }
  entries = []
  for number, (kind, value) in sorted(tags.items()):
    code = {SHORT: "HHI", LONG: "HHI"}[kind]
    packed = struct.pack(order + "H" if kind == SHORT else order + "I", value)
    entries.append(struct.pack(order + code, number, kind, 1) + packed.ljust(4))
  data += b"\0" * (len(data) % 2)
  return (
    (b"II*\0" if order == "<" else b"MM\0*")
    + struct.pack(order + "I", 8 + len(data))
    + data
    + struct.pack(order + "H", len(entries))
    + b"".join(entries)
    + bytes(4)
  )


def _packed(values, bits):
  """Values of fewer than 16 bits, most significant first."""
  text = "".join(f"{value:0{bits}b}" for value in values)
  return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(
    -(-len(text) // 8), "big"
  )


def png(rows, width, bits, colour, *chunks):
  """A PNG of one byte string a row."""

  def chunk(name, data):
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum

  header = struct.pack(">IIBBBBB", width, len(rows), bits, colour, 0, 0, 0)
  return b"".join(
    [
      b"\x89PNG\r\n\x1a\n",
      chunk(b"IHDR", header),
      *(chunk(*each) for each in chunks),
      chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))),
      chunk(b"IEND", b""),
    ]
  )


def _both_ways(tmp_path, data, ending, channels=1):
  """The pixels of a file by its path, and the same from Pillow's image."""
  file = tmp_path / f"x.{ending}"
  file.write_bytes(data)
  by_path = np.asarray(pictures.flat(pictures.read(file), channels))
  for source in (file, io.BytesIO(data)):
    with PIL.Image.open(source) as image:
      given = pictures.flat(pictures.of(image), channels)
      assert image.filename in ("", str(file))
    np.testing.assert_array_equal(np.asarray(given), by_path)
  return by_path


# Those of every order and kind that Pillow opens at all.
@pytest.mark.parametrize(
  "bits,order,white_is_zero",
  [
    *((b, o, w) for b in (1, 2, 4, 8) for o in "<>" for w in (False, True)),
    (12, "<", False),
    (16, "<", False),
    (16, ">", False),
    (16, "<", True),
  ],
)
def test_grey_tiffs_show_what_their_tags_say(
  tmp_path, bits, order, white_is_zero
):
  top = 2**bits - 1
  values = [0, top, top // 2, top // 3, 0, top, 1, top - 1]
  if bits == 16:
    strip = struct.pack(f"{order}8H", *values)
  else:
    strip = _packed(values, bits)
  tags = [(258, SHORT, bits), (262, SHORT, int(not white_is_zero))]
  share = np.array(values) / top
  wanted = np.rint(255 * (1 - share if white_is_zero else share))
  shown = _both_ways(tmp_path, tiff(strip, (8, 1), order, tags), "tif")
  np.testing.assert_array_equal(shown[0], wanted)


@pytest.mark.parametrize(
  "bits,sample_format,code",
  [(8, 2, "b"), (16, 2, "h"), (32, 1, "I"), (32, 2, "i"), (32, 3, "f")],
)
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_numbers_without_a_stated_range_are_refused(
  tmp_path, bits, sample_format, code, white_is_zero
):
  # All of them within 16 bits, as pixels of 16 bits would be.
  tags = [
    (258, SHORT, bits),
    (262, SHORT, int(not white_is_zero)),
    (339, SHORT, sample_format),
  ]
  file = tmp_path / "x.tif"
  file.write_bytes(
    tiff(struct.pack(f"<4{code}", 0, 1, 2, 100), (4, 1), "<", tags)
  )
  words = "no stated range|not a picture that can be read"
  with pytest.raises(pictures.Unusable, match=words):
    pictures.flat(pictures.read(file), 1)
  if not white_is_zero:
    with (
      pytest.raises(pictures.Unusable, match="no stated range"),
      PIL.Image.open(file) as image,
    ):
      pictures.flat(pictures.of(image), 1)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_one_grey_of_a_png_is_transparent(tmp_path, bits):
  top = 2**bits - 1
  values = [0, top, top // 3, 0] if bits > 1 else [0, 1, 0, 0]
  row = struct.pack(">4H", *values) if bits == 16 else _packed(values, bits)
  for clear in set(values):
    data = png([row], 4, bits, 0, (b"tRNS", struct.pack(">H", clear)))
    wanted = [255 if v == clear else round(255 * v / top) for v in values]
    assert _both_ways(tmp_path, data, "png")[0].tolist() == wanted
    in_colour = _both_ways(tmp_path, data, "png", 3)[0]
    assert in_colour.tolist() == [[v] * 3 for v in wanted]


@pytest.mark.parametrize("bits", [8, 16])
def test_one_colour_of_a_png_is_transparent(tmp_path, bits):
  scale = 2 ** (bits - 8)
  colours = np.array([[1, 2, 3], [200, 100, 50], [3, 2, 1]]) * scale
  row = colours.astype({8: ">u1", 16: ">u2"}[bits]).tobytes()
  clear = struct.pack(">3H", *colours[1])
  data = png([row], 3, bits, 2, (b"tRNS", clear))
  shown = _both_ways(tmp_path, data, "png", 3)[0]
  assert shown.tolist() == [[1, 2, 3], [255, 255, 255], [3, 2, 1]]


def test_the_other_16_bits(tmp_path):
  values = [0, 300, 65535, 30000]
  wanted = [round(v / 257) for v in values]
  row = struct.pack(">4H", *values)
  alone = _both_ways(tmp_path, png([row], 4, 16, 0), "png")
  assert alone[0].tolist() == wanted
  pgm = _both_ways(tmp_path, b"P5 4 1 65535\n" + row, "pgm")
  assert pgm[0].tolist() == wanted
  # Of 12 bits: the file says which number is white.
  less = struct.pack(">4H", 0, 4095, 1365, 2730)
  pgm = _both_ways(tmp_path, b"P5 4 1 4095\n" + less, "pgm")
  assert pgm[0].tolist() == [0, 255, 85, 170]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "tif", "jpg", "webp"])
def test_a_pillow_image_is_turned_as_its_file_is(tmp_path, ending, orientation):
  pixels = np.random.default_rng(0).integers(0, 256, (9, 14), np.uint8)
  exif = PIL.Image.Exif()
  exif[PIL.ExifTags.Base.Orientation] = orientation
  data = io.BytesIO()
  form = {"jpg": "JPEG", "tif": "TIFF"}.get(ending, ending.upper())
  options = {"lossless": True} if ending == "webp" else {}
  PIL.Image.fromarray(pixels).save(data, form, exif=exif, **options)
  shown = _both_ways(tmp_path, data.getvalue(), ending)
  turned = {1: 0, 3: 2, 6: -1, 8: 1}
  if orientation in turned and ending != "jpg":
    np.testing.assert_array_equal(shown, np.rot90(pixels, turned[orientation]))
  # Once only: what was turned already stays as it is.
  with PIL.Image.open(tmp_path / f"x.{ending}") as image:
    once = pictures.of(image)
  again = np.asarray(pictures.flat(pictures.of(once), 1))
  np.testing.assert_array_equal(again, shown)
  converted = once.convert("RGB").resize(once.size)
  assert pictures.of(converted).size == once.size


def _colour_in(mode, rgb):
  """A picture of one colour and opaque, by each mode's own definition."""
  r, g, b = rgb
  grey = round(0.299 * r + 0.587 * g + 0.114 * b)
  values = {
    "1": grey,
    "L": grey,
    "LA": (grey, 255),
    "La": (grey, 255),
    "RGB": rgb,
    "RGBA": (*rgb, 255),
    "RGBa": (*rgb, 255),
    "RGBX": (*rgb, 0),
    "CMYK": (255 - r, 255 - g, 255 - b, 0),
    "I;16": grey * 257,
    "I;16L": grey * 257,
    "I;16B": grey * 257,
  }
  if mode in values:
    return PIL.Image.new(mode, (4, 3), values[mode])
  # No rounding between white, black and the primaries.
  return PIL.Image.new("RGB", (4, 3), rgb).convert(mode)


@pytest.mark.parametrize("rgb", [(0, 0, 0), (255, 255, 255), (255, 0, 0)])
@pytest.mark.parametrize(
  "mode",
  [
    *("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK"),
    *("YCbCr", "HSV", "I;16", "I;16L", "I;16B"),
  ],
)
def test_every_mode_of_pillow(mode, rgb):
  is_grey = mode[0] in "1LI"
  if mode == "1" and rgb == (255, 0, 0):
    rgb = (255, 255, 255)  # it has two colours
  grey = round(np.dot(rgb, [0.299, 0.587, 0.114]))
  picture = pictures.of(_colour_in(mode, rgb))
  for channels, wanted in ((1, [grey]), (3, [grey] * 3 if is_grey else rgb)):
    shown = np.asarray(pictures.flat(picture, channels)).reshape(-1, channels)
    np.testing.assert_allclose(shown, [wanted] * 12, atol=1)


@pytest.mark.parametrize(
  "lab,rgb",
  [
    ((255, 0, 0), (255, 255, 255)),
    ((0, 0, 0), (0, 0, 0)),
    # L 53.2, a 80.1, b 67.2 is sRGB's red.
    ((136, 80, 67), (255, 0, 0)),
  ],
)
def test_lab_is_a_colour_too(lab, rgb):
  picture = PIL.Image.frombytes("LAB", (4, 3), bytes(lab) * 12)
  shown = np.asarray(pictures.flat(picture, 3), np.float64)
  np.testing.assert_allclose(shown, np.broadcast_to(rgb, (3, 4, 3)), atol=12)
  grey = np.asarray(pictures.flat(picture, 1), np.float64)
  np.testing.assert_allclose(
    grey, np.full((3, 4), np.dot(rgb, [0.299, 0.587, 0.114])), atol=6
  )


@pytest.mark.parametrize("mode", ["LA", "La", "RGBA", "RGBa", "PA", "P"])
def test_what_is_half_transparent_is_half_white(mode):
  # Black at half its strength over white; premultiplied, black stays black.
  if mode == "P":
    picture = PIL.Image.new("P", (2, 2), 0)
    picture.putpalette([0, 0, 0, 9, 9, 9])
    picture.info["transparency"] = b"\x80\xff"
  elif mode == "PA":
    picture = PIL.Image.new("RGBA", (2, 2), (0, 0, 0, 128)).convert("PA")
    picture.putalpha(128)
  else:
    value = (0, 128) if mode[0] == "L" else (0, 0, 0, 128)
    picture = PIL.Image.new(mode, (2, 2), value)
  shown = np.asarray(pictures.flat(pictures.of(picture), 1))
  np.testing.assert_allclose(shown, 127, atol=1)


def test_arrays_in_any_order_of_bytes():
  values = np.array([[0, 300], [65535, 30000]])
  wanted = np.rint(values / 257)
  for kind in ("<u2", ">u2"):
    shown = pictures.flat(pictures.of(values.astype(kind)), 1)
    np.testing.assert_array_equal(np.asarray(shown), wanted)
  mask = np.array([[True, False]])
  shown = pictures.flat(pictures.of(mask), 1)
  np.testing.assert_array_equal(np.asarray(shown), [[255, 0]])
  strided = np.arange(24, dtype=np.uint8).reshape(4, 6)[::-1, ::2]
  np.testing.assert_array_equal(np.asarray(pictures.of(strided)), strided)
  one_row = pictures.of(np.zeros((1, 7, 1), np.uint8))
  assert one_row.size == (7, 1)


@pytest.mark.parametrize(
  "array",
  [
    np.zeros((4, 4), np.float32),
    np.zeros((4, 4), np.int64),
    np.zeros((4, 4), np.int8),
    np.zeros((4, 4, 2), np.uint8),
    np.zeros((1, 4, 4, 1), np.uint8),
    np.zeros((4, 4, 3), np.uint16),
    np.zeros((0, 4), np.uint8),
    np.zeros((4, 0, 3), np.uint8),
    np.zeros((4, 4), complex),
    np.array([[None]]),
    b"bytes",
    None,
  ],
)
def test_other_arrays_are_refused(array):
  with pytest.raises(pictures.Unusable, match="is not a picture"):
    pictures.of(array)


def test_what_cannot_be_an_array_or_is_closed_is_refused(tmp_path):
  with pytest.raises(pictures.Unusable):
    pictures.of([[1, 2], [3]])
  PIL.Image.new("L", (9, 9)).save(tmp_path / "x.png")
  image = PIL.Image.open(tmp_path / "x.png")
  image.close()
  with pytest.raises(pictures.Unusable):
    pictures.of(image)
  for size in ((0, 5), (5, 0), (0, 0)):
    with pytest.raises(pictures.Unusable, match="without a pixel"):
      pictures.of(PIL.Image.new("L", size))


def test_a_refusal_is_the_only_line(tmp_path):
  # So many samples that Pillow logs an error besides.
  tags = [(258, SHORT, 8), (262, SHORT, 1), (277, SHORT, 84)]
  (tmp_path / "x.tif").write_bytes(tiff(bytes(4), (4, 1), "<", tags))
  code = """
import sys
from rotjax.image import pictures
try:
  pictures.read(sys.argv[1])
except pictures.Unusable as error:
  print(error)
"""
  found = subprocess.run(
    [sys.executable, "-c", code, tmp_path / "x.tif"],
    capture_output=True,
    text=True,
    timeout=120,
  )
  assert found.stdout == "not a picture that can be read\n"
  assert found.stderr == ""
