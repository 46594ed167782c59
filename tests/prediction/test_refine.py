"""`--refine`: on where a network was trained on pages, told, and written."""

import json
import pathlib

import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from rotjax import predict
from rotjax.data.ingest import fonts, page_layout
from rotjax.prediction import answers, predictor, ready

TRUE_DEG, ROUGH_DEG = 12.34, 13.5


def _predictor(data):
  """One that says `ROUGH_DEG` of whatever it sees."""
  spec = predictor.Spec(
    size=16,
    channels=1,
    mask="disc",
    pixel_range="unit",
    crop="circle",
    source=(16, 16),
    period_deg=360.0,
    tta="none",
    trained_range_deg=(-180.0, 180.0),
    data=data,
  )
  ring = 360 * ((np.arange(answers.RING_SIZE) + 0.5) / answers.RING_SIZE - 0.5)

  def fn(squares):
    theta = jnp.full(len(squares), np.deg2rad(ROUGH_DEG))
    log_density = -((ring - ROUGH_DEG) ** 2) / 2
    return theta, jnp.tile(jnp.asarray(log_density), (len(squares), 1))

  return predictor.Predictor(spec, fn)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
  """A page that is turned, and one that is blank."""
  folder = tmp_path_factory.mktemp("scans")
  faces = tuple(f for f in fonts.find("") if f.script == "latin")
  page = page_layout.page(np.random.default_rng(4), faces, 500)
  page.rotate(
    TRUE_DEG, PIL.Image.Resampling.BICUBIC, expand=True, fillcolor=255
  ).save(folder / "page.png")
  PIL.Image.new("L", (300, 400), 255).save(folder / "blank.png")
  return folder


@pytest.fixture(name="run")
def _run(scans, monkeypatch, capsys):
  def run(data, *flags):
    monkeypatch.setattr(ready, "choose", lambda given: [pathlib.Path(given)])
    monkeypatch.setattr(predictor, "load", lambda *_: _predictor(data))
    status = predict.main(
      ["--model", "m.bin", "--no_compile_cache", str(scans), *flags]
    )
    return status, capsys.readouterr().out

  return run


def _rows(text):
  rows = map(json.loads, text.splitlines())
  return {row["path"].rpartition("/")[2]: row for row in rows}


@pytest.mark.parametrize(
  ("data", "flags", "refined"),
  [
    ("pages", (), True),
    ("folder", (), False),
    ("", (), False),
    ("pages", ("--refine", "none"), False),
    ("folder", ("--refine", "lines"), True),
  ],
)
def test_where_it_is_on(run, data, flags, refined):
  status, text = run(data, "--json", *flags)
  page = _rows(text)["page.png"]
  assert status == 0 and ("moved_deg" in page) == refined
  expected = TRUE_DEG if refined else ROUGH_DEG
  assert page["angle_deg"] == pytest.approx(expected, abs=0.05)


def test_it_says_by_how_much_and_why_not(run):
  _, text = run("pages", "--json")
  rows = _rows(text)
  page, blank = rows["page.png"], rows["blank.png"]
  moved = page["angle_deg"] - ROUGH_DEG
  assert page["moved_deg"] == pytest.approx(moved, abs=1e-3)
  assert page["not_moved"] is None and page["spread_deg"] < 0.1
  assert (blank["moved_deg"], blank["not_moved"]) == (0.0, "no ink")
  assert blank["angle_deg"] == pytest.approx(ROUGH_DEG, abs=1e-3)
  assert blank["blank"] and blank["spread_deg"] > 0.5
  _, table = run("pages")
  assert f"by its lines ({moved:+.2f}°)" in table
  assert "but blank" in table


def test_what_is_written_is_turned_by_the_lines(run, tmp_path):
  _, text = run("pages", "--json", "--upright", str(tmp_path / "out"))
  page = _rows(text)["page.png"]
  assert page["turned_back_deg"] == page["angle_deg"]
