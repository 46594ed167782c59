"""TIFFs of many pages: each comes back as it was, or none does."""

import io
import struct

import numpy as np
import PIL.Image
import PIL.TiffImagePlugin
import pytest

from rotjax.image import pictures
from rotjax.prediction import kinds, upright
from rotjax.prediction.kinds import picture
from tests.prediction import bars

# Mode, compression, how much a value may change.
_PAGES = (
  ("1", "group4", 0),
  ("RGB", "jpeg", 40),
  ("L", "tiff_lzw", 0),
  ("1", "raw", 0),
  ("RGB", "tiff_adobe_deflate", 0),
)


def _write(path):
  """A page of each kind, with a resolution of its own."""
  data = io.BytesIO()
  images = []
  with PIL.TiffImagePlugin.AppendingTiffWriter(data, new=True) as writer:
    for n, (mode, compression, _) in enumerate(_PAGES):
      images.append(bars.page(0, mode, (100 + n, 150), label=f"{n}"))
      images[-1].save(
        writer,
        "TIFF",
        compression=compression,
        dpi=(200 + n, 200 + n),
      )
      writer.newFrame()
  path.write_bytes(data.getvalue())
  return images


def _differences(a, b):
  assert (a.mode, a.size) == (b.mode, b.size)
  return np.abs(np.asarray(a).astype(int) - np.asarray(b).astype(int)).max()


@pytest.mark.parametrize(
  "angles", [(3.0, 90.0, 0.0, -8.0, 180.0), (-90.0,) * 5]
)
def test_every_page_keeps_its_kind(tmp_path, angles):
  images = _write(tmp_path / "x.tif")
  document = kinds.opened(str(tmp_path / "x.tif"))
  assert document.pages == 5
  data, lost = document.upright(angles, picture.How())
  assert lost == ()
  with PIL.Image.open(io.BytesIO(data)) as file:
    assert file.n_frames == 5
    for n, ((_, compression, margin), angle) in enumerate(zip(_PAGES, angles)):
      file.seek(n)
      assert file.info["compression"] == compression
      assert file.info["dpi"] == (200 + n, 200 + n)
      wanted = images[n]
      if angle:
        wanted = upright.turn_back(wanted, angle)
      assert _differences(file, wanted) <= margin, n


def test_what_an_appended_page_cannot_hold_is_said(tmp_path):
  exif = PIL.Image.Exif()
  exif.get_ifd(0x8769)[0x829A] = 0.5
  exif[0x8769] = 0
  exif[0x010E] = "words"
  pages = [bars.page(0, label=f"{n}") for n in range(2)]
  pages[0].save(
    tmp_path / "x.tif", exif=exif, save_all=True, append_images=pages[1:]
  )
  document = kinds.opened(str(tmp_path / "x.tif"))
  data, lost = document.upright([0.0, 90.0], picture.How())
  assert lost == ("EXIF Exif",)
  with PIL.Image.open(io.BytesIO(data)) as file:
    assert file.tag_v2[0x010E] == "words"
    assert 0x8769 not in file.tag_v2


def test_smaller_versions_are_no_pages(tmp_path):
  info = PIL.TiffImagePlugin.ImageFileDirectory_v2()
  info[254] = 1
  data = io.BytesIO()
  with PIL.TiffImagePlugin.AppendingTiffWriter(data, new=True) as writer:
    for n, more in enumerate(({}, {"tiffinfo": info}, {})):
      bars.page(0, "L", (90, 120), label=f"{n}").save(writer, "TIFF", **more)
      writer.newFrame()
  (tmp_path / "x.tif").write_bytes(data.getvalue())
  document = kinds.opened(str(tmp_path / "x.tif"))
  assert document.pages == 2
  second = bars.page(0, "L", (90, 120), label="2")
  assert _differences(document.read(1), second) == 0


def _read_all(path):
  document = kinds.opened(str(path))
  told = []
  for page in range(document.pages):
    try:
      told.append(document.read(page).size)
    except pictures.Unusable as error:
      told.append(str(error))
  return told


@pytest.mark.parametrize("compression", ["group4", "raw"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.95])
def test_a_file_that_was_cut_tells_what_is_lost(
  tmp_path, compression, share, capfd
):
  pages = [bars.page(0, "1", label=f"{n}") for n in range(5)]
  path = tmp_path / "x.tif"
  more = {"compression": compression, "save_all": True}
  pages[0].save(path, append_images=pages[1:], **more)
  data = path.read_bytes()
  path.write_bytes(data[: int(share * len(data))])
  told = _read_all(path)
  # Never taken for a shorter document.
  assert isinstance(told[-1], str)
  assert told[0] == pages[0].size
  assert capfd.readouterr().err == ""


def test_a_damaged_page_costs_itself_alone(tmp_path, capfd):
  pages = [bars.page(0, "L", label=f"{n}") for n in range(5)]
  path = tmp_path / "x.tif"
  more = {"compression": "tiff_lzw", "save_all": True}
  pages[0].save(path, append_images=pages[1:], **more)
  data = bytearray(path.read_bytes())
  with PIL.Image.open(path) as file:
    file.seek(2)
    at, size = file.tag_v2[273][0], file.tag_v2[279][0]
  data[at : at + size] = b"\xff" * size
  path.write_bytes(data)
  told = _read_all(path)
  assert [isinstance(page, str) for page in told] == [0, 0, 1, 0, 0]
  # What the library prints of it is no line of ours.
  assert capfd.readouterr().err == ""


def test_a_page_of_too_many_pixels_is_refused(tmp_path, monkeypatch):
  pages = [PIL.Image.new("1", (90, 90 + 900 * n)) for n in range(2)]
  pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
  monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 50_000)
  told = _read_all(tmp_path / "x.tif")
  assert told == [(90, 90), "more than 50000 pixels, Pillow's limit"]


def test_another_format_under_that_name_is_read(tmp_path):
  bars.page().save(tmp_path / "x.tif", "PNG")
  document = kinds.opened(str(tmp_path / "x.tif"))
  assert document.pages == 1 and document.read(0).size == (160, 200)
  (tmp_path / "y.tif").write_bytes(b"II*\0" + struct.pack("<I", 8))
  assert "not a picture" in _read_all(tmp_path / "y.tif")[0]
  (tmp_path / "z.tif").write_bytes(b"")
  with pytest.raises(pictures.Unusable):
    kinds.opened(str(tmp_path / "z.tif")).read(0)
