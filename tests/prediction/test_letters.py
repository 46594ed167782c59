"""Which way up a page is: odd statistics of its letters, and what they do."""

import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np
import PIL.Image
import pytest
import scipy.signal

from rotjax.data.ingest import fonts, page_layout
from rotjax.prediction import answers as answers_lib
from rotjax.prediction import letters, lines, pages


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


def _answers(*angles_deg):
  return answers_lib.Answers(
    np.array(angles_deg), np.stack([_peak(angle) for angle in angles_deg])
  )


def _off(a, b):
  return abs((a - b + 180) % 360 - 180)


def _square(seed, side=128):
  rng = np.random.default_rng(seed)
  return np.uint8(rng.integers(0, 256, (side, side)))


def _odds(*squares):
  ink = letters.inked(np.stack(squares))
  return np.asarray(letters.network().log_odds(ink))


@hypothesis.given(st.integers(0, 10**6))
@hypothesis.settings(max_examples=5)
def test_a_half_turn_negates_the_log_odds(seed):
  square = _square(seed)
  there, back = _odds(square, np.rot90(square, 2))
  np.testing.assert_allclose(back, -there, atol=1e-4)
  assert abs(there) > 1e-3


def test_they_do_not_depend_on_the_shades_of_ink_and_paper():
  square = _square(1)
  dim = np.uint8(np.rint(60 + square * 0.5))
  np.testing.assert_allclose(*letters.inked(np.stack([square, dim])), atol=0.02)


def test_the_network_is_what_it_says():
  """By SciPy's correlations, in float64."""
  network = letters.network()
  ink = np.float64(letters.inked(_square(3, 24)[None])[0])

  def found(picture):
    x = picture[..., None]
    for kernel, bias, stride in zip(network.kernels, network.biases, (2, 1, 2)):
      side = -(-len(x) // stride)
      room = (side - 1) * stride + len(kernel) - len(x)
      before = (max(room, 0) // 2, max(room, 0) - max(room, 0) // 2)
      x = np.pad(x, (before, before, (0, 0)))
      planes = [
        sum(
          scipy.signal.correlate(x[..., c], np.float64(k[..., c]), "valid")
          for c in range(x.shape[-1])
        )
        for k in np.moveaxis(np.asarray(kernel), -1, 0)
      ]
      x = np.stack(planes, -1)[::stride, ::stride] + np.asarray(bias)
      x = np.maximum(x, 0)
    return x.mean((0, 1))

  units = (found(ink) - found(np.rot90(ink, 2))) / network.scale
  weight, bias, out = map(
    np.float64, (network.weight, network.bias, network.out)
  )
  expected = np.tanh(units @ weight + bias) @ out
  expected -= np.tanh(-units @ weight + bias) @ out
  (got,) = network.log_odds(np.float32(ink)[None])
  np.testing.assert_allclose(got, expected, atol=1e-3, rtol=1e-3)


def test_a_network_is_stored_in_16_bits(tmp_path):
  network = letters.network()
  letters.save(network, tmp_path / "n.npz")
  again = letters.load(tmp_path / "n.npz")
  for a, b in zip(
    jax.tree.leaves(network), jax.tree.leaves(again), strict=True
  ):
    np.testing.assert_array_equal(a, b)


def test_the_network_that_comes_with_rotjax_reads():
  # Pages of which none was trained on; of the scripts that are told well.
  right = []
  for seed in range(24):
    script = ("latin", "hebrew", "arabic", "barred")[seed % 4]
    faces = tuple(f for f in fonts.find("") if f.script == script)
    rng = np.random.default_rng([19, seed])
    page = lines.small(page_layout.page(rng, faces, 640))
    odds = letters.log_odds(page, 0.0)
    # The same page upside down: the same odds the other way round.
    down = page.rotate(180)
    assert letters.log_odds(down, 180.0) == pytest.approx(odds, abs=2)
    right.append(odds > 0)
  assert np.mean(right) >= 0.8


@pytest.fixture
def said(monkeypatch):
  """Sets what the letters say of an upright page."""

  def say(nats, true_deg=0.0):
    def log_odds(page, angle_deg):
      return nats if _off(angle_deg, true_deg) < 90 else -nats

    monkeypatch.setattr(letters, "log_odds", log_odds)

  return say


@pytest.mark.parametrize("true_deg", [-171.0, -90.0, -3.4, 0.0, 24.0, 115.0])
def test_pages_come_out_the_right_way_up(said, true_deg):
  said(12.0, true_deg)
  page = pages.small(_turned(_page(), true_deg))
  for wrong in (0, 180):
    rough = (true_deg + wrong + 1.2 + 180) % 360 - 180
    told, found = pages.refined(_answers(rough), [page], True)
    assert not found[0].reason
    assert _off(told.angle_deg[0], true_deg) < 0.2
    # The density has its peak where the answer is.
    assert told.within(90.0)[0] > 0.9


@pytest.mark.parametrize("nats", [8.0, 1.0])
def test_lines_across_the_answer_count_where_letters_are_read(said, nats):
  said(nats, 20.0)
  upright, rng = _page(), np.random.default_rng(0)
  # Words, whose ends are under each other nowhere.
  for top in range(50, 420, 30):
    for left in rng.integers(60, 460, 12):
      upright[top : top + 30, left : left + 9] = 255
  page = pages.small(_turned(upright, 20.0))
  told, (found,) = pages.refined(_answers(111.0), [page], True)
  if nats < 3:
    assert found.reason == lines.NO_LINES and told.angle_deg[0] == 111
    return
  assert not found.reason and _off(told.angle_deg[0], 20.0) < 0.1
  # From 111 degrees on, and a half turn by the letters.
  assert _off(found.moved_deg, 90.0) < 1.2
  assert told.within(90.0)[0] > 0.99


@pytest.mark.parametrize("nats", [-6.0, -2.0, 1.0, 3.0])
def test_the_density_has_the_odds_of_the_letters(said, nats):
  said(nats)
  page, answers = pages.small(_turned(_page(), 0.0)), _answers(0.0)
  told = letters.read(answers, [page], [lines.Found(0.0)])
  assert _off(told.angle_deg[0], 180.0 if nats < 0 else 0.0) < 1e-9
  about = np.abs(told.ring_deg) < 90
  mass = told.mass[0]
  odds = np.log(mass[about].sum() / mass[~about].sum())
  np.testing.assert_allclose(odds, nats, atol=0.02)
  # Within each half it is as it was.
  for half in (about, ~about):
    change = (told.log_density - answers.log_density)[0, half]
    assert np.ptp(change) < 1e-9
  totals = [np.exp(x.log_density).sum() for x in (answers, told)]
  np.testing.assert_allclose(*totals, rtol=0.01)


def test_answers_without_lines_are_left_alone(said):
  said(-50.0)
  page = pages.small(_turned(_page(), 0.0))
  answers = _answers(0.0, 10.0)
  found = [lines.Found(angle, reason="no lines") for angle in (0.0, 10.0)]
  told = letters.read(answers, [page, page], found)
  np.testing.assert_array_equal(told.angle_deg, answers.angle_deg)
  np.testing.assert_allclose(told.log_density, answers.log_density)


def test_who_does_not_know_the_full_circle_is_not_turned_over(said):
  said(-50.0)
  page = pages.small(_turned(_page(), 3.0))
  told, _ = pages.refined(_answers(2.0), [page], False)
  assert _off(told.angle_deg[0], 3.0) < 0.2


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


@pytest.mark.parametrize("angle_deg", [0.0, 12.5, -77.0, 171.0])
def test_a_part_is_cut_from_the_page_turned_back(angle_deg):
  page = _turned(_page(), angle_deg)
  back = page.rotate(
    -angle_deg, PIL.Image.Resampling.BICUBIC, expand=True, fillcolor=255
  )
  corner = (150, 210)
  cut = letters._cut(page, angle_deg, back.size[::-1], corner, 130)
  expected = back.crop((210, 150, 340, 280))
  off = np.abs(np.subtract(cut, expected, dtype=float))
  # A rounding, or PIL's own way with quarter turns.
  assert off.mean() < 1 and np.asarray(expected).std() > 30


def test_an_empty_page_tells_nothing():
  empty = PIL.Image.new("L", (300, 200), 255)
  assert letters.parts(empty, 0.0) == []
  assert letters.log_odds(empty, 0.0) == 0


@pytest.mark.parametrize("size", [(30, 400), (400, 30), (9, 9)])
def test_strips_have_parts_within_them(size):
  strip = np.full(size[::-1], 255, np.uint8)
  strip[:, ::6] = 0
  strip[::6] = 0
  for part in letters.parts(PIL.Image.fromarray(strip), 0.0):
    assert part.width == part.height <= min(size)
