"""Empty corners, and which turn is undone."""

import dataclasses
import math

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import PIL.Image
import pytest

from rotjax.image import pictures
from rotjax.prediction import answers as answers_lib
from rotjax.prediction import turns, upright
from tests.prediction import bars

_PAPER = (243, 236, 220)


def _sheet(mode):
  """Paper with dark noise inside, and a few dark pixels at its border."""
  rng = np.random.default_rng(0)
  pixels = np.empty((80, 60, 3), np.uint8)
  pixels[:] = _PAPER
  pixels[10:-10, 10:-10] = rng.integers(0, 90, (60, 40, 1))
  pixels[0, :9] = 0
  picture = PIL.Image.fromarray(pixels)
  if mode == "I;16":
    deep = np.asarray(picture.convert("L")).astype(np.uint16) * 257
    return PIL.Image.fromarray(deep)
  if mode == "P":
    return picture.quantize(32)
  return picture.convert(mode)


_MODES = ("1", "L", "P", "RGB", "CMYK", "I;16", "RGBA", "LA")


def _corners(picture):
  """`[4, ...]` what the corners show: as colours, or deep numbers."""
  shown = picture
  if picture.mode not in ("I;16", "RGBA"):
    shown = picture.convert("RGBA" if picture.mode == "LA" else "RGB")
  array = np.asarray(shown).astype(int)
  return array[[0, 0, -1, -1], [0, -1, 0, -1]]


@pytest.mark.parametrize("mode", _MODES)
def test_corners_have_the_colour_that_was_asked_for(mode):
  sheet = _sheet(mode)
  found = {
    fill: _corners(upright.turn_back(sheet, 30.0, fill=fill))
    for fill in ("auto", "black", "white")
  }
  if mode == "I;16":
    assert (found["black"] == 0).all() and (found["white"] == 65535).all()
    assert np.abs(found["auto"] - 237 * 257).max() < 300
    return
  # A palette has no black of its own here, but something near it.
  assert (found["black"][:, :3] < (60 if mode == "P" else 1)).all()
  assert (found["white"][:, :3] > (215 if mode == "P" else 254)).all()
  if mode in ("RGBA", "LA"):
    assert (found["auto"][:, 3] == 0).all()
    assert (found["black"][:, 3] == 255).all()
    assert (found["white"][:, 3] == 255).all()
    return
  wanted = {"1": 255, "L": 237}.get(mode, _PAPER)
  assert np.abs(found["auto"] - wanted).max() <= (8 if mode == "P" else 2)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("angle", [-130.0, 8.0, 45.0])
def test_an_edge_is_drawn_out(mode, angle):
  sheet = _sheet(mode)
  found = np.asarray(upright.turn_back(sheet, angle, "same", "edge"), float)
  # NumPy draws it out, Pillow's own rotation turns it.
  margin = 60
  pad = ((margin, margin), (margin, margin), (0, 0))[: np.asarray(sheet).ndim]
  wide = PIL.Image.fromarray(np.pad(np.asarray(sheet), pad, "edge"), sheet.mode)
  wanted = np.asarray(wide.rotate(-angle, pictures.BICUBIC), float)
  wanted = wanted[margin:-margin, margin:-margin]
  assert np.abs(found - wanted).max() <= 1


@pytest.mark.parametrize("fill", upright.FILLS)
def test_quarter_turns_have_no_corners(fill):
  sheet = _sheet("RGB")
  for quarters in range(4):
    found = np.asarray(upright.turn_back(sheet, 90.0 * quarters, fill=fill))
    np.testing.assert_array_equal(found, np.rot90(np.asarray(sheet), -quarters))


def test_what_is_drawn_out_has_no_more_pixels_than_are_read(monkeypatch):
  monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 12_000)
  assert upright.turn_back(_sheet("L"), 45.0, fill="black").size == (99, 99)
  with pytest.raises(pictures.Unusable, match="another --fill needs fewer"):
    upright.turn_back(_sheet("L"), 45.0, fill="edge")


@given(
  angle=st.floats(-180, 180, exclude_max=True),
  spread=st.floats(0, 45),
  at_least=st.floats(0, 45),
  snap=st.booleans(),
)
def test_a_turn_is_the_predicted_one_or_the_nearest_quarter(
  angle, spread, at_least, snap
):
  settled = turns.settled(angle, spread, at_least, snap)
  tilt = min(angle % 90, -angle % 90)
  if tilt < at_least or (snap and tilt <= spread):
    assert settled in (-180, -90, 0, 90)
    apart = abs((settled - angle + 180) % 360 - 180)
    assert apart == pytest.approx(tilt, abs=1e-9)
    assert turns.quarters(settled) == settled / 90 % 4
  else:
    assert settled == angle


def test_quarters_are_exact_ones():
  assert [turns.quarters(a) for a in (0.0, 90, 360, -90, 180)] == [
    0,
    1,
    0,
    3,
    2,
  ]
  assert turns.quarters(89.999) is None
  assert turns.quarters(math.nextafter(90, 91)) == 1


@pytest.mark.parametrize("period", [360.0, 180.0])
@pytest.mark.parametrize("sigma", [0.4, 2.0, 9.0])
def test_the_spread_is_a_standard_deviation(period, sigma):
  ring = period * ((np.arange(720) + 0.5) / 720 - 0.5)
  peak = -0.5 * ((ring - 13) / sigma) ** 2
  # A second peak far away is another question.
  other = -0.5 * ((ring + period / 2 - 13) / sigma) ** 2
  for density in (peak, np.logaddexp(peak, other)):
    answers = answers_lib.Answers(np.array([13.0]), density[None], period)
    assert answers.spread()[0] == pytest.approx(sigma, rel=0.1)


@pytest.mark.parametrize(
  "count, sizes", [(1, [1]), (2, [8]), (8, [8]), (9, [64]), (70, [64, 64])]
)
def test_few_pictures_are_padded_to_few(count, sizes):
  network = bars.network()
  seen = []

  def fn(squares):
    seen.append(len(squares))
    return network.fn(squares)

  squares = np.stack(
    [pictures.square(bars.page(n), bars.SPEC) for n in range(count)]
  )
  found = dataclasses.replace(network, fn=fn).answer(squares)
  assert seen == sizes
  assert len(found.angle_deg) == count
  assert np.abs(found.angle_deg - np.arange(count)).max() < 2
