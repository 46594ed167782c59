"""The tilt of a page from its lines, against turns that SciPy made."""

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest
import scipy.ndimage

from rotjax.data.ingest import fonts, page_layout
from rotjax.prediction import answers as answers_lib
from rotjax.prediction import lines

_SIDE = 640


def _turned(page, angle_deg):
  """A page turned by splines, all of it kept, white around it."""
  ink = 255 - np.asarray(page).astype(np.float32)
  ink = scipy.ndimage.rotate(ink, angle_deg, reshape=True, order=3)
  return PIL.Image.fromarray(np.uint8(np.clip(255 - ink, 0, 255)))


def _page(seed, side=_SIDE, script=None):
  faces = fonts.find("")
  if script:
    faces = tuple(face for face in faces if face.script == script)
  return page_layout.page(np.random.default_rng([7, seed]), faces, side)


def _off(angle_deg, true_deg):
  return abs((angle_deg - true_deg + 180) % 360 - 180)


@pytest.fixture(scope="module")
def seen():
  """Pages in random scripts, turned anyhow, and rough answers to them."""
  rng = np.random.default_rng(0)
  return [
    (_turned(_page(seed), true), true, true + rng.uniform(-3, 3))
    for seed, true in enumerate(rng.uniform(-180, 180, 8).tolist())
  ]


def test_pages_to_a_twentieth_of_a_degree(seen):
  found = [lines.refine(page, rough, 4.0) for page, _, rough in seen]
  assert not [f.reason for f in found if f.reason]
  off = [_off(f.angle_deg, true) for f, (_, true, _) in zip(found, seen)]
  assert np.mean(off) <= 0.05 and np.median(off) <= 0.02
  for f, (_, _, rough) in zip(found, seen):
    assert _off(f.angle_deg, rough + f.moved_deg) < 1e-9


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_change_nothing_but_the_quarter(seen, quarters):
  page, _, rough = seen[0]
  at_first = lines.refine(page, rough, 4.0)
  turned = PIL.Image.fromarray(np.rot90(np.asarray(page), quarters))
  later = lines.refine(turned, rough + 90 * quarters, 4.0)
  assert _off(later.angle_deg, at_first.angle_deg + 90 * quarters) < 0.02


def test_it_moves_no_further_than_it_may(seen):
  for page, true, _ in seen[:4]:
    for offset in (-6.0, 6.0):
      found = lines.refine(page, true + offset, 2.0)
      assert abs(found.moved_deg) <= 2.5
      # Side lobes apart, the lines are out of reach.
      if not found.reason:
        assert _off(found.angle_deg, true) < 6.0


def test_figures_beside_text_do_not_mislead():
  rng = np.random.default_rng(3)
  page = _page(1, 800, "latin")
  draw = PIL.ImageDraw.Draw(page)
  draw.rectangle((100, 250, 700, 520), fill=255, outline=0)
  for _ in range(12):
    x0, y0, x1, y1 = rng.uniform((110, 260, 110, 260), (690, 510, 690, 510))
    draw.line((x0, y0, x1, y1), fill=0, width=5)
  draw.polygon([(150, 500), (400, 280), (650, 490)], fill=60)
  found = lines.refine(_turned(page, 8.4), 7.0, 4.0)
  assert found.reason == "" and _off(found.angle_deg, 8.4) <= 0.05


def test_tables_do_not_mislead():
  page = PIL.Image.new("L", (800, 800), 255)
  draw = PIL.ImageDraw.Draw(page)
  for i in range(9):
    draw.line((80, 100 + 70 * i, 720, 100 + 70 * i), fill=0, width=2)
    draw.line((80 + 80 * i, 100, 80 + 80 * i, 660), fill=0, width=2)
  face = next(f for f in fonts.find("") if f.script == "latin")
  for row in range(8):
    for column in range(8):
      at = (90 + 80 * column, 120 + 70 * row)
      draw.text(at, f"{row * 8 + column}.50", fill=0, font=face.at(20))
  found = lines.refine(_turned(page, -33.3), -32.0, 4.0)
  assert found.reason == "" and _off(found.angle_deg, -33.3) <= 0.05


def test_a_scanners_black_border_does_not_mislead():
  page = np.asarray(_turned(_page(2, 800, "latin"), 3.7)).copy()
  page[:40], page[:, :40] = 0, 0
  found = lines.refine(PIL.Image.fromarray(page), 2.0, 4.0)
  assert found.reason == "" and _off(found.angle_deg, 3.7) <= 0.05


def _blank():
  return np.full((500, 400), 230)


def _noise():
  return np.random.default_rng(0).uniform(150, 250, (500, 400))


def _blobs():
  noise = np.random.default_rng(0).standard_normal((500, 400))
  smooth = scipy.ndimage.gaussian_filter(noise, 4)
  return 128 + 120 * np.clip(smooth / smooth.std() / 2, -1, 1)


def _discs():
  rng = np.random.default_rng(1)
  canvas = PIL.Image.new("L", (400, 500), 255)
  draw = PIL.ImageDraw.Draw(canvas)
  for x, y, r in rng.uniform((0, 0, 3), (400, 500, 12), (60, 3)):
    draw.ellipse((x - r, y - r, x + r, y + r), fill=0)
  return np.asarray(canvas)


@pytest.mark.parametrize("make", [_blank, _noise, _blobs, _discs])
@pytest.mark.parametrize("angle_deg", [0.0, 12.3, -170.0])
def test_pictures_without_lines_are_left_as_they_are(make, angle_deg):
  picture = PIL.Image.fromarray(make().astype(np.uint8))
  found = lines.refine(picture, angle_deg, 15.0)
  assert (found.angle_deg, found.moved_deg) == (angle_deg, 0.0)
  assert found.reason in ("no ink", "no lines")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_mode_and_size(seen, mode):
  page, true, rough = seen[1]
  if mode == "I;16":
    deep = np.asarray(page).astype(np.uint16) * 257
    page = PIL.Image.fromarray(deep)
  else:
    page = page.convert(mode)
  large = page.resize((2 * page.width, 2 * page.height), 0)
  for picture in (page, large):
    assert _off(lines.refine(picture, rough, 4.0).angle_deg, true) <= 0.1


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (9, 9), (3, 900)])
def test_tiny_pictures_and_strips(size):
  ink = np.random.default_rng(0).integers(0, 2, size[::-1]) * 255
  found = lines.refine(PIL.Image.fromarray(ink.astype(np.uint8)), 5.0, 15.0)
  assert np.isfinite(found.angle_deg)
  assert abs(found.moved_deg) <= 15.5


def _answers(density_deg):
  """Answers with normal densities of some standard deviations, about 20."""
  ring = 360 * ((np.arange(720) + 0.5) / 720 - 0.5)
  log_density = np.stack([-((ring - 20) ** 2) / 2 / s**2 for s in density_deg])
  return answers_lib.Answers(np.full(len(density_deg), 20.0), log_density)


def test_the_reach_is_the_range_of_99_percent():
  answers = _answers([1.0, 3.0, 0.01, 40.0])
  offset = (answers.ring_deg - 20 + 180) % 360 - 180
  reach = [lines.reach_deg(offset, mass) for mass in answers.mass]
  # 2.576 standard deviations; never less than 1 or more than 20 degrees.
  np.testing.assert_allclose(reach, [2.576, 7.73, 1.0, 20.0], atol=0.5)


def test_a_mode_upside_down_is_no_spread():
  answers = _answers([1.0])
  offset = (answers.ring_deg - 20 + 180) % 360 - 180
  other = np.roll(answers.mass[0], 360)
  both = (answers.mass[0] + other) / 2
  assert lines.reach_deg(offset, both) == lines.reach_deg(
    offset, answers.mass[0]
  )


def test_refined_answers_keep_their_densities(seen):
  pages = [lines.small(page) for page, _, _ in seen[:3]]
  assert max(max(page.size) for page in pages) <= 1024
  rough = np.array([rough for _, _, rough in seen[:3]])
  rough = (rough + 180) % 360 - 180
  log_density = (
    -(((_answers([1]).ring_deg - rough[:, None] + 180) % 360 - 180) ** 2) / 8
  )
  before = answers_lib.Answers(rough, log_density)
  after, found = lines.refined(before, pages)
  for angle, f, (_, true, _) in zip(after.angle_deg, found, seen):
    assert _off(angle, true) <= 0.05 and f.reason == ""
  assert after.log_density is before.log_density


def test_where_the_first_answer_has_no_lines_the_second_is_looked_at(seen):
  page, true, _ = seen[0]
  ring = answers_lib.Answers(np.zeros(1), np.zeros((1, 720))).ring_deg

  def told(first, second):
    density = [
      0.6 * np.exp(50 * (np.cos(np.deg2rad(ring - first)) - 1))
      + 0.4 * np.exp(50 * (np.cos(np.deg2rad(ring - second)) - 1))
    ]
    return answers_lib.Answers(
      np.array([(first + 180) % 360 - 180]), np.log(np.stack(density) + 1e-12)
    )

  answers, (found,) = lines.refined(told(true + 91, true + 1), [page])
  assert not found.reason and _off(answers.angle_deg[0], true) < 0.2
  assert _off(found.moved_deg, -91) < 2
  # Of two that have none, the first stays.
  _, (found,) = lines.refined(told(true + 91, true - 91), [page])
  assert found.reason == lines.NO_LINES and found.moved_deg == 0
