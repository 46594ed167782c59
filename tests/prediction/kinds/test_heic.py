"""HEIC, with the extra and without."""

import io
import sys

import PIL.Image
import pytest

from rotjax.image import pictures
from rotjax.prediction import kinds
from rotjax.prediction.kinds import picture
from tests.prediction import bars


def test_a_heic_is_read_and_written(tmp_path):
  pillow_heif = pytest.importorskip("pillow_heif")
  pillow_heif.register_heif_opener()
  exif = PIL.Image.Exif()
  exif[0x010F] = "Maker"
  bars.page(20, "RGB").save(tmp_path / "x.heic", quality=90, exif=exif)
  document = kinds.opened(str(tmp_path / "x.heic"))
  assert (document.pages, document.notes) == (1, ())
  assert bars.told(document.read(0)) == pytest.approx(20, abs=1)
  for angle in (20.0, 90.0):
    data, lost = document.upright([angle], picture.How("same"))
    assert lost == ()
    with PIL.Image.open(io.BytesIO(data)) as file:
      assert file.format == "HEIF"
      assert file.getexif()[0x010F] == "Maker"
      assert bars.told(file) == pytest.approx(20 - angle, abs=1)
  (tmp_path / "x.heic").write_bytes(b"x")
  with pytest.raises(pictures.Unusable, match="not a picture"):
    kinds.opened(str(tmp_path / "x.heic")).read(0)


def test_without_the_extra_a_line_names_it(tmp_path, monkeypatch):
  (tmp_path / "x.heic").write_bytes(b"x")
  monkeypatch.setitem(sys.modules, "pillow_heif", None)
  with pytest.raises(pictures.Unusable, match=r"pip install 'rotjax\[heic\]'"):
    kinds.opened(str(tmp_path / "x.heic"))
