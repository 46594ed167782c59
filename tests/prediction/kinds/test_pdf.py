"""PDF: pages are turned, what they show is neither drawn nor packed anew."""

import io

import numpy as np
import pytest

from rotjax.image import pictures
from rotjax.prediction import kinds, upright
from rotjax.prediction.kinds import picture
from tests.prediction import bars

pypdf = pytest.importorskip("pypdf")
annotations = pytest.importorskip("pypdf.annotations")
pytest.importorskip("pypdfium2")


@pytest.fixture
def scans(tmp_path):
  """A PDF of three scans, the last of them shown turned by its /Rotate."""
  pages = [bars.page(0, "RGB", (300, 400), label=f"{n}") for n in range(3)]
  path = tmp_path / "x.pdf"
  pages[0].save(path, save_all=True, append_images=pages[1:], resolution=75)
  writer = pypdf.PdfWriter(clone_from=str(path))
  writer.pages[2].rotate(90)
  writer.add_outline_item(title="the second", page_number=1)
  writer.write(path)
  return path


def _images(data):
  pages = pypdf.PdfReader(io.BytesIO(data)).pages
  return [page.images[0].data for page in pages]


def test_quarter_turns_are_the_pages_own(scans):
  document = kinds.opened(str(scans))
  before = [np.asarray(document.read(page)) for page in range(3)]
  assert before[2].shape == (600, 800, 3)
  data, lost = document.upright([90.0, 0.0, 180.0], picture.How())
  assert lost == ()
  assert _images(data) == _images(scans.read_bytes())
  reader = pypdf.PdfReader(io.BytesIO(data))
  assert [page.get("/Rotate", 0) for page in reader.pages] == [90, 0, 270]
  assert reader.outline[0].title == "the second"
  scans.write_bytes(data)
  document = kinds.opened(str(scans))
  for page, quarters in enumerate((1, 0, 2)):
    after = np.asarray(document.read(page)).astype(int)
    assert np.abs(after - np.rot90(before[page], -quarters)).mean() < 1


@pytest.mark.parametrize("fit", ["expand", "crop", "same"])
def test_a_tilt_moves_the_content_and_packs_nothing_anew(scans, fit):
  document = kinds.opened(str(scans))
  angles = [7.0, -97.0, 4.0]
  before = [document.read(page) for page in range(3)]
  data, _ = document.upright(angles, picture.How(fit))
  assert _images(data) == _images(scans.read_bytes())
  scans.write_bytes(data)
  document = kinds.opened(str(scans))
  for page, angle in enumerate(angles):
    after = document.read(page)
    turn = bars.told(before[page]) - bars.told(after) - angle
    # PDFium's pixels lie half a pixel beside Pillow's: a degree at that bar.
    assert abs((turn + 180) % 360 - 180) < 1.5
    # Of a quarter turn more the page itself is turned.
    size = before[page].size[::-1] if page == 1 else before[page].size
    wanted = upright.turned_size(*size, (angle + 45) % 90 - 45, fit)
    assert np.abs(np.subtract(after.size, wanted)).max() <= 2


def test_a_page_without_content_is_turned_too(tmp_path):
  writer = pypdf.PdfWriter()
  writer.add_blank_page(100, 200)
  writer.write(tmp_path / "x.pdf")
  how = picture.How(fill="black")
  data, _ = kinds.opened(str(tmp_path / "x.pdf")).upright([9.0], how)
  (page,) = pypdf.PdfReader(io.BytesIO(data)).pages
  width, height = upright.turned_size(100, 200, 9.0, "expand")
  assert float(page.mediabox.width) == pytest.approx(width)
  assert float(page.cropbox.height) == pytest.approx(height)
  # Black is what lies outside, and no more.
  (tmp_path / "x.pdf").write_bytes(data)
  shown = np.asarray(kinds.opened(str(tmp_path / "x.pdf")).read(0))
  assert (shown[[0, 0, -2], [0, -2, 0]] == 0).all()
  share = (shown == 255).mean()
  assert share == pytest.approx(100 * 200 / (width * height), abs=0.02)


def test_a_huge_page_is_drawn_small(tmp_path):
  writer = pypdf.PdfWriter()
  writer.add_blank_page(14_400, 7_200)
  writer.write(tmp_path / "x.pdf")
  assert kinds.opened(str(tmp_path / "x.pdf")).read(0).size == (4096, 2048)


def test_what_cannot_be_read_or_written_says_why(tmp_path, scans):
  def why(data):
    path = tmp_path / "bad.pdf"
    path.write_bytes(data)
    with pytest.raises(pictures.Unusable) as caught:
      kinds.opened(str(path)).upright([90.0] * 3, picture.How())
    return str(caught.value)

  def written(**password):
    writer = pypdf.PdfWriter(clone_from=str(scans) if password else None)
    if password:
      writer.encrypt(**password)
    data = io.BytesIO()
    writer.write(data)
    return data.getvalue()

  assert why(scans.read_bytes()[:400]) == "not a PDF that can be read"
  assert why(b"") == "not a PDF that can be read"
  closed = {"user_password": "x", "algorithm": "RC4-128"}
  assert why(written(**closed)) == "encrypted: it needs a password"
  assert why(written()) == "a PDF without a page"
  open_to_all = {"user_password": "", "owner_password": "x"}
  assert "not written without" in why(
    written(**open_to_all, algorithm="RC4-128")
  )


def test_without_the_extra_a_line_names_it(scans, monkeypatch):
  import sys

  monkeypatch.setitem(sys.modules, "pypdfium2", None)
  with pytest.raises(pictures.Unusable, match=r"pip install 'rotjax\[pdf\]'"):
    kinds.opened(str(scans))


def test_links_that_stay_behind_are_told(scans):
  writer = pypdf.PdfWriter(clone_from=str(scans))
  link = annotations.Link(rect=(9, 9, 99, 99), target_page_index=1)
  writer.add_annotation(page_number=0, annotation=link)
  writer.write(scans)
  document = kinds.opened(str(scans))
  assert document.upright([90.0, 5.0, 0.0], picture.How())[1] == ()
  (words,) = document.upright([95.0, 0.0, 0.0], picture.How())[1]
  assert words == "the places of links, comments and form fields"


@pytest.mark.parametrize(
  "fill, wanted",
  [("auto", 230), ("edge", 230), ("black", 0), ("white", 255)],
)
def test_corners_have_the_papers_colour(tmp_path, fill, wanted):
  sheet = bars.page(0, "RGB", (300, 400), paper=230)
  sheet.paste((230, 230, 230), (0, 0, 300, 60))
  sheet.save(tmp_path / "x.pdf", resolution=75)
  document = kinds.opened(str(tmp_path / "x.pdf"))
  data, _ = document.upright([12.0], picture.How(fill=fill))
  (tmp_path / "x.pdf").write_bytes(data)
  after = np.asarray(kinds.opened(str(tmp_path / "x.pdf")).read(0)).astype(int)
  corners = after[[3, 3, -4, -4], [3, -4, 3, -4]]
  assert np.abs(corners - wanted).max() <= 3
