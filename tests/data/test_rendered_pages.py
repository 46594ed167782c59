"""`pages`: rendered text, the same for the same seed, upright, readable."""

import pathlib
import shutil

from matplotlib import ft2font
import numpy as np
import PIL.Image
import PIL.ImageFont
import pytest

from rotjax import data, errors
from rotjax.data import pages
from rotjax.data.ingest import fonts, page_layout, page_wear
from tests.data import conftest

_FEW = {"count": 6, "held_out": 2, "side": 64}


@pytest.fixture(scope="module")
def faces():
  return fonts.find("")


def _of(faces, script):
  return tuple(face for face in faces if face.script == script)


@pytest.fixture
def made(tmp_path):
  """A few pages, prepared in a folder of its own."""
  return pages.Pages(dir=str(tmp_path / "made"), **_FEW)


def test_splits_have_their_pages_and_share_none(made):
  splits = {name: made.load(name) for name in data.SPLITS}
  assert {n: s.images.shape for n, s in splits.items()} == {
    "train": (6, 64, 64, 1),
    "validation": (2, 64, 64, 1),
    "test": (2, 64, 64, 1),
  }
  found = [h for s in splits.values() for h in conftest.hashes(s.images)]
  assert len(set(found)) == 10
  assert all(s.angle_deg is None for s in splits.values())


def test_the_same_seed_the_same_pages_wherever_they_are_prepared(
  made, tmp_path
):
  first = conftest.hashes(made.load("train").images)
  conftest.forget()
  other = pages.Pages(dir=str(tmp_path / "other"), **_FEW)
  assert conftest.hashes(other.load("train").images) == first
  assert other.content() == made.content()
  reseeded = pages.Pages(dir=str(tmp_path / "other"), **_FEW, seed=1)
  assert not set(conftest.hashes(reseeded.load("train").images)) & set(first)


def test_more_pages_leave_the_first_as_they_are(made, tmp_path):
  more = pages.Pages(dir=made.dir, count=8, held_out=2, side=64)
  first = set(conftest.hashes(made.load("train").images))
  assert first < set(conftest.hashes(more.load("train").images))


def test_prepared_once(made, monkeypatch):
  folder = made.prepare()
  monkeypatch.setattr(pages, "draw", None)  # would fail if it were called
  assert made.prepare() == folder


def test_every_script_of_matplotlibs_fonts(faces):
  scripts = {face.script for face in faces}
  assert {"latin", "greek", "cyrillic", "hebrew", "arabic"} <= scripts
  for face in faces:
    glyphs = ft2font.FT2Font(face.path).get_charmap()
    forms = 4 if fonts.SCRIPTS[face.script].joined else 1
    for letter in face.letters:
      assert all(ord(letter) + i in glyphs for i in range(forms))
  # It draws every letter as a box.
  assert not any("LastResort" in face.path for face in faces)


def test_arabic_words_have_joined_forms(faces):
  face = _of(faces, "arabic")[0]
  words = [face.word(np.random.default_rng(i)) for i in range(20)]
  word = max(words, key=len)
  # Drawn from the left: the final form comes first, the initial one last.
  forms = [
    next(k for k in range(4) if chr(ord(c) - k) in face.letters) for c in word
  ]
  assert forms == [1, *[3] * (len(word) - 2), 2]


@pytest.mark.parametrize("script", ["latin", "hebrew", "barred"])
def test_lines_are_level_and_begin_at_the_right_end(faces, script):
  """Of many pages: ragged lines end at the other side than they begin at."""
  inks = []
  for seed in range(16):
    rng = np.random.default_rng(seed)
    page = page_layout.page(rng, _of(faces, script), 300)
    inks.append(np.asarray(page) < 128)
  ink = np.array(inks)
  # Gaps between lines: rows vary more than columns.
  rows, columns = (ink.mean(axis) for axis in (2, 1))
  assert np.abs(np.diff(rows)).mean() > 1.5 * np.abs(np.diff(columns)).mean()
  left = ink[:, :, :150].mean()
  right = ink[:, :, 150:].mean()
  assert (left < right) == fonts.SCRIPTS[script].leftwards


def test_wear_tells_no_direction_of_its_own():
  """JPEG blocks, steps and noise of an even sheet are the same all around."""
  sheet = PIL.Image.new("L", (192, 192), 255)
  y, x = np.indices((64, 64)) - 32
  spectrum = 0.0
  for seed in range(150):
    worn = page_wear.worn(np.random.default_rng(seed), sheet, 3).reduce(3)
    grey = np.asarray(worn).astype(float)
    window = np.hypot(y, x) < 30
    window = window * np.cos(np.hypot(y, x) / 30 * np.pi / 2)
    grey = (grey - (grey * window).sum() / window.sum()) * window
    power = np.abs(np.fft.fftshift(np.fft.fft2(grey))) ** 2
    # A page with much noise counts no more than one with little.
    spectrum = spectrum + power / max(power.sum(), 1e-9)
  far = np.hypot(y, x)
  ring = (far > 8) & (far < 28)
  turn = np.arctan2(y, x)[ring]
  for order in (2, 4):
    share = (spectrum[ring] * np.exp(1j * order * turn)).sum()
    assert abs(share) / spectrum[ring].sum() < 0.05


def test_pages_show_text(faces):
  """None is blank; few are so black that nothing can be read."""
  for seed in range(20):
    page = np.asarray(pages.draw(np.random.default_rng(seed), faces, 64))
    assert int(page.max()) - int(page.min()) > 20
    assert np.mean(page < 0.6 * np.median(page)) < 0.5


def test_a_folder_of_ones_own_fonts(faces, tmp_path):
  source = pathlib.Path(fonts.default_folder(), "DejaVuSerif.ttf")
  (tmp_path / "mine" / "serif").mkdir(parents=True)
  shutil.copy(source, tmp_path / "mine" / "serif" / "a.TTF")
  (tmp_path / "mine" / "broken.ttf").write_bytes(b"no font at all")
  found = fonts.find(str(tmp_path / "mine"))
  assert {pathlib.Path(face.path).name for face in found} == {"a.TTF"}
  own = pages.Pages(dir=str(tmp_path), fonts=str(tmp_path / "mine"), **_FEW)
  assert "the fonts of mine" in own.protocol
  other = pages.Pages(dir=str(tmp_path), **_FEW)
  assert own.prepare() != other.prepare()


def test_wrong_fonts_are_one_line(tmp_path):
  empty = tmp_path / "empty"
  empty.mkdir()
  symbols = tmp_path / "symbols"
  symbols.mkdir()
  shutil.copy(fonts.default_folder() / "STIXSizOneSymReg.ttf", symbols)
  for given, words in (
    (tmp_path / "none", "does not exist: name a folder of fonts"),
    (empty, "holds no font: files that end in .otf, .ttc, .ttf"),
    (symbols, "none of its 1 fonts can draw the letters of latin, "),
  ):
    with pytest.raises(errors.UserError, match="^data.fonts = ") as error:
      pages.Pages(fonts=str(given)).prepare()
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
  "field, value", [("count", 0), ("held_out", 0), ("side", 8), ("seed", -1)]
)
def test_wrong_options_are_named(field, value):
  with pytest.raises(errors.UserError, match=f"data.{field} = {value}"):
    pages.Pages(**{field: value})
