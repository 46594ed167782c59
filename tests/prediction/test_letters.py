"""Which way up a page is, by a network that knows its letters alone."""

import dataclasses

import numpy as np
import PIL.Image
import pytest

from rotjax.config import shipped
from rotjax.prediction import answers as answers_lib
from rotjax.prediction import letters, lines, pages, reader
from rotjax.prediction import predictor as predictor_lib

_SPEC = predictor_lib.Spec(
  size=64,
  channels=1,
  mask="disc",
  pixel_range="unit",
  crop="circle",
  source=(64, 64),
  period_deg=360.0,
  tta="none",
  trained_range_deg=(-180.0, 180.0),
  data="pages",
)


def _page(lines_count=12, length=400):
  """Lines that are black above and fade below, like no letters there are."""
  page = np.full((520, 520), 255, np.uint8)
  for top in 60 + 30 * np.arange(lines_count):
    page[top : top + 20, 60 : 60 + length] = np.arange(0, 240, 12)[:, None]
  return page


def _turned(page, angle_deg):
  return PIL.Image.fromarray(page).rotate(
    angle_deg, PIL.Image.Resampling.BICUBIC, expand=True, fillcolor=255
  )


def _peak(angle_deg, height=8.0):
  """A density about an angle, and a little of it opposite."""
  at = answers_lib.Answers(np.zeros(1), np.zeros((1, 720))).ring_deg
  off = np.deg2rad(at - angle_deg)
  return np.log(
    np.exp(height * np.cos(off)) + 0.01 * np.exp(-height * np.cos(off))
  )


def _by_strokes(squares):
  """What a network would say that knows the lines of `_page`: upright where it
  grows dark at once, and light slowly."""
  densities = []
  for square in squares[..., 0].astype(float):
    rise = np.diff(255 - square[8:-8, 24:40].mean(1))
    skew = ((rise - rise.mean()) ** 3).mean()
    densities.append(_peak(0.0 if skew > 0 else 180.0))
  return answers_lib.Answers(np.zeros(len(squares)), np.stack(densities))


@dataclasses.dataclass(frozen=True)
class _Predictor:
  answer: object
  spec: predictor_lib.Spec = _SPEC


def _answers(angles_deg):
  return answers_lib.Answers(
    np.array(angles_deg), np.stack([_peak(angle) for angle in angles_deg])
  )


def _only(says_deg):
  """A predictor that says the same of every square."""
  return _Predictor(
    lambda squares: answers_lib.Answers(
      np.zeros(len(squares)), np.stack([_peak(says_deg)] * len(squares))
    )
  )


def _off(a, b):
  return abs((a - b + 180) % 360 - 180)


@pytest.mark.parametrize("true_deg", [-171.0, -90.0, -3.4, 0.0, 24.0, 115.0])
def test_pages_come_out_the_right_way_up(true_deg):
  page = pages.small(_turned(_page(), true_deg))
  for wrong in (0, 180):
    rough = (true_deg + wrong + 1.2 + 180) % 360 - 180
    told, found = pages.refined(
      _answers([rough]), [page], _Predictor(_by_strokes)
    )
    assert not found[0].reason
    assert _off(told.angle_deg[0], true_deg) < 0.2
    # The density has its peak where the answer is.
    assert told.within(90.0)[0] > 0.5


def test_the_odds_of_page_and_parts_are_multiplied():
  page, answers = pages.small(_turned(_page(), 0.0)), _answers([0.0])
  count = len(letters.parts(page, 0.0))
  found = [lines.Found(0.0)]
  told = letters.read(answers, [page], found, _only(0.0))

  def odds(density):
    return density[0, 360] - density[0, 0]

  # Each part is surer than it may be.
  added = odds(told.log_density) - odds(answers.log_density)
  assert count > 3
  np.testing.assert_allclose(added, 0.5 * 3.0 * count, rtol=1e-3)
  step = 2 * np.pi / 720
  for density in (answers.log_density, told.log_density):
    total = np.exp(density).sum() * step
    before = np.exp(answers.log_density).sum() * step
    np.testing.assert_allclose(total, before, rtol=1e-9)
  assert told.angle_deg[0] == 0


def test_a_page_that_is_sure_is_not_turned_by_one_doubtful_part():
  # One short line on an otherwise empty page: one part alone.
  page = pages.small(_turned(_page(3, 100), 0.0))
  sure = answers_lib.Answers(np.zeros(1), _peak(0.0, 30.0)[None])
  sure.log_density[0, np.abs(sure.ring_deg) > 90] -= 20
  assert len(letters.parts(page, 0.0)) == 1
  told = letters.read(sure, [page], [lines.Found(0.0)], _only(180.0))
  assert told.angle_deg[0] == 0


def test_answers_without_lines_are_left_alone():
  page = pages.small(_turned(_page(), 0.0))
  answers = _answers([0.0, 10.0])
  found = [lines.Found(0.0, reason="no lines")] * 2
  told = letters.read(answers, [page, page], found, _only(180.0))
  assert told is answers


def test_without_a_network_for_letters_the_lines_alone_count():
  page = pages.small(_turned(_page(), 3.0))
  told, _ = pages.refined(_answers([-178.0]), [page], None)
  assert _off(told.angle_deg[0], -177.0) < 0.2


@pytest.mark.parametrize(
  ("low", "shipped_one", "refine", "asked"),
  [
    (-180.0, True, None, True),
    (-15.0, True, None, False),
    (-180.0, False, None, False),
    (-180.0, True, "none", False),
  ],
)
def test_who_is_asked(monkeypatch, tmp_path, low, shipped_one, refine, asked):
  spec = dataclasses.replace(_SPEC, trained_range_deg=(low, -low))
  loaded = []

  def load(path, tta=None):
    loaded.append(path)
    return _Predictor(_by_strokes, spec)

  monkeypatch.setattr(predictor_lib, "load", load)
  monkeypatch.setattr(shipped, "FOLDER", tmp_path)
  if shipped_one:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "digest").touch()
  made = reader.load(tmp_path / "mine", refine=refine)
  assert (made.reads is not None) == asked
  assert loaded == [tmp_path / "mine"] + [tmp_path / "letters"] * asked


@pytest.mark.parametrize("true_deg", [0.0, 33.0, -120.0])
def test_parts_are_level_and_lie_apart(true_deg):
  page = pages.small(_turned(_page(), true_deg))
  ink, pitch = lines.level(page, true_deg)
  assert abs(pitch - 30) < 1.5
  cut = letters.parts(page, true_deg)
  assert 2 <= len(cut) <= 8
  assert len({part.size for part in cut}) == 1
  assert abs(cut[0].width - 7 * pitch) <= 1
  assert sum(part.width * part.height for part in cut) <= ink.size
  # Level: within a line of the middle, rows are of one shade.
  rows = np.asarray(cut[0])[:, 8:-8].astype(float)
  assert rows.std(axis=0).mean() > 5 * rows.std(axis=1).mean()


def test_an_empty_page_has_no_parts():
  assert letters.parts(PIL.Image.new("L", (300, 200), 255), 0.0) == []


@pytest.mark.parametrize("size", [(30, 400), (400, 30), (9, 9)])
def test_strips_have_parts_within_them(size):
  strip = np.full(size[::-1], 255, np.uint8)
  strip[:, ::6] = 0
  strip[::6] = 0
  for part in letters.parts(PIL.Image.fromarray(strip), 0.0):
    assert part.width == part.height <= min(size)
