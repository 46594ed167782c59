"""Quarter turns of a JPEG: other pixels are shown, the same are stored."""

import io

import numpy as np
import PIL.ExifTags
import PIL.Image
import pytest

from rotjax.image import pictures
from rotjax.prediction import jpeg_orientation, kinds
from rotjax.prediction.kinds import picture

_TAGS = PIL.ExifTags.Base
_NOISE = np.kron(
  np.random.default_rng(0).integers(0, 256, (5, 6, 3)), np.ones((8, 8, 1))
).astype(np.uint8)


def _jpeg(path, orientation, make="", form="JPEG"):
  exif = PIL.Image.Exif()
  if orientation:
    exif[_TAGS.Orientation] = orientation
  if make:
    exif[_TAGS.Make] = make
  more = {"exif": exif} if len(exif) else {}
  PIL.Image.fromarray(_NOISE).save(path, form, **more)
  return kinds.opened(str(path))


def _stored(data):
  """Pixels as they lie in the file, and its tags."""
  with PIL.Image.open(io.BytesIO(data)) as file:
    return np.asarray(file), dict(file.getexif())


@pytest.mark.parametrize("make", ["", "Maker"])
@pytest.mark.parametrize("orientation", [0, 1, 2, 3, 4, 5, 6, 7, 8])
def test_a_quarter_turn_of_a_jpeg_is_lossless(tmp_path, orientation, make):
  document = _jpeg(tmp_path / "x.jpg", orientation, make)
  shown = np.asarray(document.read(0))
  before, _ = _stored((tmp_path / "x.jpg").read_bytes())
  for quarters in (1, 2, 3):
    data, lost = document.upright([90.0 * quarters], picture.How())
    assert lost == ()
    after, tags = _stored(data)
    np.testing.assert_array_equal(after, before)
    assert tags.get(_TAGS.Make, "") == make
    again = np.asarray(pictures.decode(io.BytesIO(data), ["JPEG"]))
    np.testing.assert_array_equal(again, np.rot90(shown, -quarters))


def test_metadata_without_room_or_sense_are_written_anew(tmp_path):
  path = tmp_path / "x.jpg"
  _jpeg(path, 0, "M" * 65_495)
  document = kinds.opened(str(path))
  with pytest.raises(ValueError, match="without room"):
    jpeg_orientation.turned_back(path.read_bytes(), 1, 1)
  shown = np.asarray(document.read(0), float)
  data, _ = document.upright([90.0], picture.How())
  again = np.asarray(pictures.decode(io.BytesIO(data), ["JPEG"]), float)
  assert np.abs(again - np.rot90(shown, -1)).mean() < 8


def test_any_other_format_turns_its_pixels(tmp_path):
  PIL.Image.fromarray(_NOISE).save(tmp_path / "x.png")
  document = kinds.opened(str(tmp_path / "x.png"))
  data, _ = document.upright([-90.0], picture.How())
  after, tags = _stored(data)
  np.testing.assert_array_equal(after, np.rot90(_NOISE))
  assert _TAGS.Orientation not in tags


def test_its_own_size_needs_other_pixels_where_it_lies_on_its_side(tmp_path):
  document = _jpeg(tmp_path / "x.jpg", 6)
  for angle, stored in ((90.0, (48, 40)), (180.0, (40, 48))):
    data, _ = document.upright([angle], picture.How("same"))
    assert _stored(data)[0].shape[:2] == stored
    again = pictures.decode(io.BytesIO(data), ["JPEG"])
    assert again.size == document.read(0).size
