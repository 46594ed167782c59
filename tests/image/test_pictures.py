"""Picture files: read by one rule, placed as the view does, turned back."""

import os
import types

import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageCms
import pytest

from rotjax.image import picture_files, pictures
from rotjax.prediction import contact_sheet, rewrite, upright

TAGS = PIL.ExifTags.Base


def _noise(*shape, dtype=np.uint8):
  top = np.iinfo(dtype).max + 1
  return np.random.default_rng(0).integers(0, top, shape, dtype=dtype)


def _spec(size=28, channels=1, crop="none", source=(28, 28)):
  return types.SimpleNamespace(
    size=size, channels=channels, crop=crop, source=source
  )


# What a viewer shows of stored pixels, for each EXIF orientation.
_SHOWN = {
  1: lambda x: x,
  2: lambda x: x[:, ::-1],
  3: lambda x: x[::-1, ::-1],
  4: lambda x: x[::-1],
  5: lambda x: x.T,
  6: lambda x: np.rot90(x, -1),
  7: lambda x: x[::-1, ::-1].T,
  8: lambda x: np.rot90(x, 1),
}


@pytest.mark.parametrize("orientation", _SHOWN)
@pytest.mark.parametrize("ending", ["png", "tiff", "webp"])
def test_a_picture_is_read_as_a_viewer_shows_it(tmp_path, orientation, ending):
  stored = _noise(9, 14)
  exif = PIL.Image.Exif()
  exif[TAGS.Orientation] = orientation
  file = tmp_path / f"x.{ending}"
  lossless = {"lossless": True} if ending == "webp" else {}
  PIL.Image.fromarray(stored).save(file, exif=exif, **lossless)
  shown = np.asarray(pictures.flat(pictures.read(file), 1))
  np.testing.assert_array_equal(shown, _SHOWN[orientation](stored))


def test_transparency_shows_white(tmp_path):
  pixels = _noise(6, 5, 4)
  PIL.Image.fromarray(pixels).save(tmp_path / "x.png")
  shown = np.asarray(pictures.flat(pictures.read(tmp_path / "x.png"), 3))
  alpha = pixels[..., 3:] / 255
  over_white = alpha * pixels[..., :3] + (1 - alpha) * 255
  np.testing.assert_allclose(shown, over_white, atol=1.01)


def test_a_transparent_palette_entry_shows_white(tmp_path):
  picture = PIL.Image.new("P", (4, 4), 0)
  picture.putpalette([10, 20, 30, 200, 100, 50])
  picture.putpixel((1, 2), 1)
  picture.save(tmp_path / "x.gif", transparency=0)
  shown = np.asarray(pictures.flat(pictures.read(tmp_path / "x.gif"), 3))
  assert shown[2, 1].tolist() == [200, 100, 50]
  assert shown[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("ending", ["png", "tiff", "pgm"])
def test_16_bits_are_scaled_by_their_full_range(tmp_path, ending):
  pixels = _noise(7, 8, dtype=np.uint16)
  pixels[0, :2] = 0, 65535
  PIL.Image.fromarray(pixels).save(tmp_path / f"x.{ending}")
  picture = pictures.read(tmp_path / f"x.{ending}")
  wanted = np.rint(pixels / 65535 * 255)
  np.testing.assert_array_equal(np.asarray(pictures.flat(picture, 1)), wanted)
  in_colour = np.asarray(pictures.flat(picture, 3))
  np.testing.assert_array_equal(in_colour, np.stack([wanted] * 3, -1))


def test_pixels_without_a_stated_range_are_refused():
  for picture in (
    PIL.Image.new("F", (3, 3), 0.5),
    PIL.Image.fromarray(np.full((3, 3), 70000, np.int32)),
  ):
    with pytest.raises(pictures.Unusable, match="no stated range"):
      pictures.square(picture, _spec())


def test_the_first_frame_counts(tmp_path):
  frames = [PIL.Image.new("L", (8, 8), v) for v in (40, 90, 200)]
  frames[0].save(
    tmp_path / "x.gif", save_all=True, append_images=frames[1:], loop=0
  )
  shown = np.asarray(pictures.flat(pictures.read(tmp_path / "x.gif"), 1))
  np.testing.assert_allclose(shown, 40, atol=1)


def test_grey_and_colour_become_each_other():
  colour = PIL.Image.fromarray(_noise(5, 6, 3))
  r, g, b = np.moveaxis(np.asarray(colour, np.float64), -1, 0)
  grey = np.asarray(pictures.flat(colour, 1))
  np.testing.assert_allclose(grey, 0.299 * r + 0.587 * g + 0.114 * b, atol=1)
  for mode in ("1", "CMYK", "YCbCr", "LA", "P"):
    assert pictures.flat(colour.convert("L").convert(mode), 3).mode == "RGB"


@pytest.mark.parametrize("share", [0, 0.02, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "tiff", "bmp"])
def test_damaged_files_are_unusable(tmp_path, share, ending):
  whole, cut = tmp_path / f"whole.{ending}", tmp_path / f"cut.{ending}"
  PIL.Image.fromarray(_noise(40, 40, 3)).save(whole)
  data = whole.read_bytes()
  cut.write_bytes(data[: int(share * len(data))])
  with pytest.raises(pictures.Unusable) as caught:
    pictures.flat(pictures.read(cut), 1)
  assert len(str(caught.value).splitlines()) == 1


def test_what_is_no_picture_is_unusable(tmp_path):
  (tmp_path / "x.png").write_text("not a picture")
  os.mkfifo(tmp_path / "pipe")
  for name, words in (
    ("x.png", "not a picture"),
    ("nothing", "No such file"),
    ("pipe", "not a file"),  # opening it would wait for ever
    (".", "not a file"),
  ):
    with pytest.raises(pictures.Unusable, match=words):
      pictures.read(tmp_path / name)


@pytest.mark.parametrize("side", [12, 50])  # Pillow warns of one, refuses one
def test_a_decompression_bomb_is_unusable(tmp_path, monkeypatch, side):
  PIL.Image.new("L", (side, side)).save(tmp_path / "x.png")
  monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100)
  with pytest.raises(pictures.Unusable, match="more than 100 pixels"):
    pictures.read(tmp_path / "x.png")


def test_a_picture_of_the_sources_size_is_taken_as_it_is():
  pixels = _noise(28, 28)
  shown = pictures.square(PIL.Image.fromarray(pixels), _spec())
  np.testing.assert_array_equal(shown[..., 0], pixels)
  # A smaller view shows the middle of the source, pixel by pixel.
  shown = pictures.square(PIL.Image.fromarray(pixels), _spec(size=20))
  np.testing.assert_array_equal(shown[..., 0], pixels[4:24, 4:24])
  # A larger one, black around it.
  shown = pictures.square(PIL.Image.fromarray(pixels), _spec(size=32))
  np.testing.assert_array_equal(shown[2:30, 2:30, 0], pixels)
  assert shown[:2].max() == shown[:, 30:].max() == 0


# Width and height of the picture, view size, crop, source; the square's side.
@pytest.mark.parametrize(
  "wide,high,size,crop,source,side",
  [
    (140, 140, 28, "none", (28, 28), 140),
    (300, 200, 28, "none", (28, 28), 200),
    (201, 320, 27, "none", (27, 27), 201),
    (200, 300, 16, "circle", (32, 32), 100),
    (200, 150, 24, "none", (24, 48), 150),
    (300, 150, 48, "none", (24, 48), 300),
    (300, 200, 28, "inscribed", (40, 40), 200),
    (300, 200, 28, "expand", (40, 40), 300),
    (201, 300, 25, "expand", (40, 40), 300),
  ],
)
def test_a_blob_lands_where_the_view_would_show_it(
  wide, high, size, crop, source, side
):
  x = np.arange(wide) + 0.5
  y = np.arange(high)[:, None] + 0.5
  at_x, at_y = wide / 2 + 0.2 * side, high / 2 - 0.13 * side
  width = side / 18
  blob = np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * width**2))
  picture = PIL.Image.fromarray(np.uint8(np.rint(250 * blob)))
  shown = pictures.square(picture, _spec(size, 1, crop, source))[..., 0]
  assert shown.shape == (size, size)
  weight = shown / shown.sum()
  place = np.arange(size) + 0.5
  # Fractions of the square, from its middle.
  found_x = (weight.sum(0) * place).sum() / size - 0.5
  found_y = (weight.sum(1) * place).sum() / size - 0.5
  assert found_x == pytest.approx(0.2, abs=0.15 / size)
  assert found_y == pytest.approx(-0.13, abs=0.15 / size)
  # As large as it should be, so that the scale is right as well.
  spread = np.sqrt((weight.sum(0) * (place / size - 0.5 - found_x) ** 2).sum())
  assert spread == pytest.approx(1 / 18, rel=0.2)


def test_shrinking_averages():
  # Without antialiasing stripes of one pixel would stay black or white.
  stripes = np.zeros((280, 280), np.uint8)
  stripes[:, ::2] = 255
  shown = pictures.square(PIL.Image.fromarray(stripes), _spec())
  np.testing.assert_allclose(shown[2:-2, 2:-2], 127.5, atol=2)


def test_a_long_strip_takes_no_memory():
  strip = PIL.Image.new("L", (200_000, 1), 255)
  for crop in ("none", "expand", "inscribed"):
    assert pictures.square(strip, _spec(crop=crop)).shape == (28, 28, 1)


def test_a_strip_that_takes_too_much_memory_is_unusable():
  strip = PIL.Image.new("L", (89_000_000, 1))
  with pytest.raises(pictures.Unusable, match="more memory than there is"):
    pictures.square(strip, _spec(crop="expand"))


def test_arrays_are_pictures():
  for array in (
    _noise(5, 6),
    _noise(5, 6, 1),
    _noise(5, 6, 3),
    _noise(5, 6, 4),
    _noise(5, 6, dtype=np.uint16),
  ):
    assert pictures.of(array).size == (6, 5)
  for array in (np.zeros((5, 6)), _noise(5, 6, 2), _noise(5), 3):
    with pytest.raises(pictures.Unusable, match="is not a picture"):
      pictures.of(array)


def test_files_are_found_in_order_and_once(tmp_path):
  for name in ("b/z.png", "b/y.JPG", "a.tif", "c.txt", ".h.png", ".d/x.png"):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
  (tmp_path / "empty").mkdir()
  found = list(
    picture_files.find([str(tmp_path), str(tmp_path / "a.tif"), "odd"])
  )
  assert [f.name.as_posix() for f in found] == [
    "a.tif",
    "b/y.JPG",
    "b/z.png",
    "odd",
  ]
  ((path, reason, wanted),) = picture_files.find([str(tmp_path / "empty")])
  assert path.endswith("empty") and "no picture" in reason and wanted


@pytest.mark.parametrize("quarter", range(4))
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
def test_quarter_turns_are_turned_back_exactly(quarter, mode):
  shape = {"L": (8, 11), "RGB": (8, 11, 3), "RGBA": (8, 11, 4)}
  dtype = np.uint16 if mode == "I;16" else np.uint8
  pixels = _noise(*shape.get(mode, (8, 11)), dtype=dtype)
  if mode == "RGBA":
    pixels[..., 3] = 255
  # Applied: counter-clockwise.
  turned = PIL.Image.fromarray(np.rot90(pixels, quarter).copy())
  for fit in ("expand", "crop"):
    back = upright.turn_back(turned, 90.0 * quarter, fit)
    assert back.mode == mode
    np.testing.assert_array_equal(np.asarray(back), pixels)


@pytest.mark.parametrize("fit", upright.FITS)
@pytest.mark.parametrize("angle", [-150.0, -20.0, 35.0, 100.0])
@pytest.mark.parametrize("deep", [False, True])
def test_what_was_above_is_above_again(fit, angle, deep):
  # A blob 20 pixels from the middle, where a counter-clockwise turn takes
  # what was above it: left of it, for 90 degrees.
  turn = np.deg2rad(angle)
  side = 101
  y, x = np.mgrid[:side, :side] - 50.0
  square = (x + 20 * np.sin(turn)) ** 2 + (y + 20 * np.cos(turn)) ** 2
  blob = np.exp(-square / 18)
  pixels = np.uint16(60000 * blob) if deep else np.uint8(250 * blob)
  back = upright.turn_back(PIL.Image.fromarray(pixels), angle, fit)
  weight = np.asarray(back, np.float64)
  weight /= weight.sum()
  rows, columns = (np.arange(n) - (n - 1) / 2 for n in weight.shape)
  assert (weight.sum(1) * rows).sum() == pytest.approx(-20, abs=0.7)
  assert (weight.sum(0) * columns).sum() == pytest.approx(0, abs=0.7)
  if fit == "same":
    assert back.size == (side, side)


@pytest.mark.parametrize("size", [(120, 80), (60, 200), (90, 90)])
@pytest.mark.parametrize("angle", [-170.0, -72.0, -45.0, 3.0, 30.0, 91.0])
def test_crop_is_the_largest_rectangle_without_empty_corners(size, angle):
  white = PIL.Image.new("L", size, 255)
  cropped = upright.turn_back(white, angle, "crop")
  # The outermost pixels may be blended with what lies beyond the edge.
  inner = np.asarray(cropped)[2:-2, 2:-2]
  assert inner.min() == 255
  # By trying: half sides whose corners stay inside the turned picture.
  c, s = np.abs(np.cos(np.deg2rad(angle))), np.abs(np.sin(np.deg2rad(angle)))
  a, b = np.meshgrid(np.arange(1, 150, 0.5), np.arange(1, 150, 0.5))
  fits = (a * c + b * s <= size[0] / 2) & (a * s + b * c <= size[1] / 2)
  best = 4 * (a * b * fits).max()
  area = cropped.width * cropped.height
  assert 0.95 * best - 2 * sum(size) < area < 1.05 * best


def test_empty_corners_are_transparent_where_they_can_be():
  see_through = PIL.Image.new("LA", (30, 20), (200, 255))
  corner = upright.turn_back(see_through, 45.0).getpixel((0, 0))
  assert corner[-1] == 0
  for mode, black in (("L", 0), ("RGB", (0, 0, 0)), ("CMYK", (0, 0, 0, 255))):
    picture = PIL.Image.new(mode, (30, 20), "white")
    turned = upright.turn_back(picture, 45.0, fill="black")
    assert turned.getpixel((0, 0)) == black


def _with_metadata(file):
  exif = PIL.Image.Exif()
  exif[TAGS.Make] = "Acme"
  exif[TAGS.Orientation] = 6
  exif.get_ifd(PIL.ExifTags.IFD.Exif)[TAGS.DateTimeOriginal] = "2020:01:01"
  exif[PIL.ExifTags.IFD.Exif] = 0
  exif.get_ifd(PIL.ExifTags.IFD.GPSInfo)[PIL.ExifTags.GPS.GPSLatitudeRef] = "N"
  exif[PIL.ExifTags.IFD.GPSInfo] = 0
  profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB"))
  PIL.Image.fromarray(_noise(20, 30, 3)).save(
    file, exif=exif, icc_profile=profile.tobytes(), dpi=(300, 300)
  )
  return profile.tobytes()


@pytest.mark.parametrize("ending", ["jpg", "png", "tiff", "webp"])
def test_format_and_metadata_are_kept_less_the_orientation(tmp_path, ending):
  file, out = tmp_path / f"x.{ending}", tmp_path / "out" / f"x.{ending}"
  profile = _with_metadata(file)
  before = file.read_bytes()
  turned = upright.turn_back(pictures.read(file), 10.0, "same")
  rewrite.save(turned, file, out)
  assert file.read_bytes() == before
  with PIL.Image.open(out) as written, PIL.Image.open(file) as original:
    assert written.format == original.format
    assert written.size == (20, 30)  # as shown: 20 wide
    exif = written.getexif()
    assert exif[TAGS.Make] == "Acme"
    assert TAGS.Orientation not in exif or exif[TAGS.Orientation] == 1
    dates = exif.get_ifd(PIL.ExifTags.IFD.Exif)
    assert dates[TAGS.DateTimeOriginal] == "2020:01:01"
    assert exif.get_ifd(PIL.ExifTags.IFD.GPSInfo)[1] == "N"
    assert written.info["icc_profile"] == profile
    if ending != "webp":
      assert written.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize(
  "ending", ["png", "jpg", "gif", "tiff", "bmp", "ppm", "tga", "jp2"]
)
def test_every_picture_that_can_be_read_can_be_written(tmp_path, ending, mode):
  file, out = tmp_path / f"x.{ending}", tmp_path / f"out.{ending}"
  if mode == "I;16":
    picture = PIL.Image.fromarray(_noise(12, 16, dtype=np.uint16))
  else:
    picture = PIL.Image.fromarray(_noise(12, 16, 3)).convert(mode)
  try:
    picture.save(file)
  except (OSError, ValueError):
    pytest.skip("no such file exists")
  shown = pictures.read(file)
  assert pictures.square(shown, _spec(8)).shape == (8, 8, 1)
  rewrite.save(upright.turn_back(shown, 20.0), file, out)
  with PIL.Image.open(out) as written, PIL.Image.open(file) as original:
    assert written.format == original.format
    assert pictures.is_deep(written) == pictures.is_deep(shown)


def test_nothing_is_overwritten(tmp_path):
  file = tmp_path / "x.png"
  PIL.Image.new("L", (5, 5), 9).save(file)
  before = file.read_bytes()
  with pytest.raises(pictures.Unusable, match="exists already"):
    rewrite.save(PIL.Image.new("L", (5, 5)), file, file)
  (tmp_path / "link.png").symlink_to(file)
  with pytest.raises(pictures.Unusable, match="exists already"):
    rewrite.save(PIL.Image.new("L", (5, 5)), file, tmp_path / "link.png")
  assert file.read_bytes() == before


def test_a_failed_write_leaves_nothing(tmp_path):
  file = tmp_path / "x.jpg"
  PIL.Image.new("L", (5, 5), 9).save(file)
  # JPEG holds no transparency.
  with pytest.raises(pictures.Unusable, match="cannot be written"):
    rewrite.save(PIL.Image.new("RGBA", (5, 5)), file, tmp_path / "out.jpg")
  assert [p.name for p in tmp_path.iterdir()] == ["x.jpg"]


def test_a_contact_sheet_shows_both(tmp_path):
  red = PIL.Image.new("RGB", (40, 30), (255, 0, 0))
  pairs = [
    contact_sheet.pair(red, 20.0, "same", f"$k_{k}\n{'long ' * 40}")
    for k in (1, 2)
  ]
  contact_sheet.write(pairs, tmp_path / "sheet.png")
  with PIL.Image.open(tmp_path / "sheet.png") as sheet:
    pixels = np.asarray(sheet.convert("RGB"))
  is_red = (pixels == (255, 0, 0)).all(-1)
  columns = np.diff(np.r_[0, is_red.any(0), 0].astype(int))
  assert (columns == 1).sum() == 4
  with pytest.raises(pictures.Unusable, match="cannot be written"):
    contact_sheet.write(pairs, tmp_path / "nothing" / "sheet.png")
  with pytest.raises(pictures.Unusable, match="exists already"):
    contact_sheet.write(pairs, tmp_path / "sheet.png")
