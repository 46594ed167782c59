"""The models that come with rotjax: whole, small, and of use at once."""

import pathlib

import matplotlib
import numpy as np
import PIL.Image
import pytest

from rotjax import predict
from rotjax.config import shipped
from rotjax.data.ingest import fonts, page_layout
from rotjax.prediction import choice, letters, predictor
from rotjax.run import ready, summary

NAMES = ("documents", "photos")


def _off(a, b):
  return abs((a - b + 180) % 360 - 180)


def test_they_are_there_and_small():
  assert shipped.names() == sorted(NAMES)
  files = [p for p in shipped.FOLDER.rglob("*") if p.is_file()]
  size = sum(p.stat().st_size for p in [*files, letters.WEIGHTS])
  assert size <= 12e6


@pytest.mark.parametrize("name", NAMES)
def test_each_is_as_it_was_written_and_states_its_results(name):
  folder = shipped.FOLDER / name
  ready.check(folder)
  card = (folder / ready.CARD).read_text("utf-8")
  assert summary.table(summary.read(folder)) in card
  assert "licence" in card or "Apache" in card
  assert "Where it fails" in card
  # No place of whoever trained it.
  text = (folder / "config.json").read_text() + card
  assert '"/' not in text and "=/" not in text
  assert (folder / ready.NOTICE).exists() == (name == "photos")


@pytest.fixture(scope="module")
def photo():
  """The photograph in matplotlib's wheel, a portrait."""
  with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
    return PIL.Image.open(file).convert("RGB")


@pytest.fixture(scope="module")
def choose():
  return choice.of([shipped.FOLDER / name for name in NAMES])


@pytest.mark.parametrize("true_deg", [0.0, 37.0, -90.0, 171.0])
def test_a_photo_is_told(photo, choose, true_deg):
  turned = photo.rotate(true_deg, PIL.Image.Resampling.BICUBIC)
  # Its middle, without the corners that were turned in.
  width, height = turned.size
  side = min(turned.size)
  box = (
    *((width - side) // 2, (height - side) // 2),
    *((width + side) // 2, (height + side) // 2),
  )
  reader, unsure = choose(turned)
  assert (reader.name, unsure) == ("photos", "")
  answers, _ = reader.answer([reader.see(turned.crop(box))])
  assert _off(answers.angle_deg[0], true_deg) < 15


@pytest.mark.parametrize("script", ["latin", "hebrew", "arabic"])
def test_a_page_is_set_upright(choose, script):
  faces = tuple(f for f in fonts.find("") if f.script == script)
  off = []
  for seed, true_deg in enumerate((-160.0, -42.5, 3.25, 101.0)):
    rng = np.random.default_rng([23, seed])
    page = page_layout.page(rng, faces, 700)
    turned = page.rotate(
      true_deg, PIL.Image.Resampling.BICUBIC, expand=True, fillcolor=255
    )
    reader, _ = choose(turned)
    assert reader.name == "documents" and reader.refine
    answers, _ = reader.answer([reader.see(turned)])
    off.append(_off(answers.angle_deg[0], true_deg))
  off = np.array(off)
  # To a tenth of a degree, and at most one of four upside down.
  assert np.sum(np.minimum(off, 180 - off) < 0.15) >= 3
  assert np.sum(off < 1) >= 3


def test_predict_works_right_after_the_install(photo, tmp_path, capsys):
  photo.save(tmp_path / "photo.jpg", quality=95)
  assert predict.main(["--no_compile_cache", str(tmp_path)]) == 0
  out, err = capsys.readouterr()
  assert "photo.jpg" in out and "Trained on every turn." in out
  assert err.startswith("rotjax: documents or photos: the model taken")
  assert predict.main(["--model", "list"]) == 0
  listed = capsys.readouterr().out.splitlines()
  assert [line.partition(":")[0] for line in listed] == list(NAMES)
  loaded = predictor.load("photos")
  assert loaded.spec == predictor.load(pathlib.Path("photos")).spec
