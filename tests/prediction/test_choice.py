"""Which model answers: a page's or a photo's, by how much is paper."""

import json
import pathlib

import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from rotjax import errors, predict
from rotjax.config import shipped
from rotjax.data import pages as pages_data
from rotjax.data.ingest import fonts
from rotjax.prediction import choice, letters, predictor, reader, ready

ANGLE_DEG = {"documents": 10.0, "photos": -20.0}


def _load(path, tta=None):
  """A predictor that always says its model's own angle."""
  spec = predictor.Spec(
    size=16,
    channels=3 if path.name == "photos" else 1,
    mask="disc",
    pixel_range="unit",
    crop="circle",
    source=(16, 16),
    period_deg=360.0,
    tta=tta or "none",
    trained_range_deg=(-180.0, 180.0),
  )
  ring = 2 * np.pi * ((np.arange(720) + 0.5) / 720 - 0.5)

  def fn(squares):
    theta = np.deg2rad(ANGLE_DEG[path.name])
    # Less surely, it is upside down.
    lobe = 200 * np.cos(ring - theta)
    log_density = jnp.asarray(np.logaddexp(lobe, -lobe - np.log(4)))
    n = len(squares)
    return jnp.full(n, theta), jnp.tile(log_density, (n, 1))

  return predictor.Predictor(spec, fn)


@pytest.fixture
def models(monkeypatch, tmp_path):
  """As if both models came with rotjax; their folders."""
  for name in ANGLE_DEG:
    (tmp_path / "models" / name).mkdir(parents=True)
    (tmp_path / "models" / name / "digest").touch()
  monkeypatch.setattr(shipped, "FOLDER", tmp_path / "models")
  monkeypatch.setattr(predictor, "load", _load)
  return [tmp_path / "models" / name for name in ("documents", "photos")]


def _part_paper(share, shade=240, size=(200, 150)):
  """Noise in all shades, and one shade where paper is."""
  width, height = size
  rng = np.random.default_rng(0)
  # Blocks that stay what they are when the picture is shrunk.
  blocks = rng.integers(0, 256, (height // 5, width // 5), np.uint8)
  pixels = np.kron(blocks, np.ones((5, 5), np.uint8))
  pixels[: round(share * height)] = shade
  return PIL.Image.fromarray(pixels)


@pytest.mark.parametrize("shade", [140, 200, 255])
@pytest.mark.parametrize("share", [0.1, 0.45, 0.7, 1.0])
def test_paper_is_the_share_of_light_shades(share, shade):
  found = choice.paper(_part_paper(share, shade))
  # Of the noise a few hundredths are within 8 of any shade.
  assert found == pytest.approx(share + (1 - share) * 34 / 256, abs=0.08)


def test_paper_and_what_lies_around_it_count():
  pixels = np.full((90, 90), 255, np.uint8)
  pixels[:40] = 215
  pixels[40:50] = 170
  found = choice.paper(PIL.Image.fromarray(pixels))
  assert found == pytest.approx(80 / 90, abs=0.02)


def test_what_is_dark_is_no_paper():
  assert choice.paper(_part_paper(0.9, 20)) < 0.1
  assert choice.paper(PIL.Image.new("1", (9, 9), 0)) == 0


@pytest.mark.parametrize(
  "mode", ["1", "L", "LA", "RGB", "RGBA", "CMYK", "I;16"]
)
def test_any_mode_has_paper(mode):
  white = {"LA": (255, 255), "RGBA": (0, 0, 0, 0), "CMYK": (0, 0, 0, 0)}
  colour = white.get(mode, 65535 if mode == "I;16" else "white")
  assert choice.paper(PIL.Image.new(mode, (30, 1), colour)) == 1


def test_rendered_pages_are_pages_however_they_are_turned(models):
  choose, faces = choice.of(models), fonts.find("")
  for seed in range(12):
    page = pages_data.draw(np.random.default_rng([3, seed]), faces, 144)
    turned = page.rotate(31 * seed, expand=True, fillcolor=255)
    assert [choose(p)[0].name for p in (page, turned)] == ["documents"] * 2


@pytest.mark.parametrize(
  ("share", "name", "sure"),
  [(0.65, "documents", True), (0.48, "photos", False), (0.2, "photos", True)],
)
def test_who_answers(models, share, name, sure):
  taken, unsure = choice.of(models)(_part_paper(share))
  assert taken.name == name and (not unsure) == sure
  assert sure or ("taken for a photo" in unsure and "--model" in unsure)


@pytest.mark.parametrize(
  ("nats", "refine", "name"),
  [
    (6.0, "lines", "documents"),
    (1.0, "lines", "photos"),
    (6.0, "none", "photos"),
  ],
)
def test_lines_that_can_be_read_make_a_page(
  models, monkeypatch, nats, refine, name
):
  """A page on a desk: a third of it is paper."""
  monkeypatch.setattr(letters, "log_odds", lambda *_: nats)
  page = PIL.Image.new("L", (400, 400), 250)
  for top in range(40, 360, 30):
    page.paste(60, (40, top, 360, top + 12))
  desk = PIL.Image.new("L", (600, 600), 70)
  desk.paste(page, (100, 100))
  desk = desk.rotate(10, PIL.Image.Resampling.BICUBIC)
  assert 0.2 < choice.paper(desk) < 0.5
  taken, unsure = choice.of(models, refine=refine)(desk)
  assert taken.name == name
  assert (f"taken for a page, --model {ready.PHOTOS}" in unsure) == (
    name == "documents"
  )


def test_a_model_is_loaded_when_it_is_called_for(models, monkeypatch):
  loaded = []
  monkeypatch.setattr(
    reader, "load", lambda model, *_: loaded.append(model.name) or loaded
  )
  choose = choice.of(models)
  assert not loaded
  for _ in range(2):
    choose(_part_paper(0.9))
  assert loaded == ["documents"]


def test_each_picture_has_its_model(models, tmp_path, capsys):
  scans = tmp_path / "scans"
  scans.mkdir()
  shares = {"a": 0.9, "b": 0.1, "c": 0.48, "d": 0.8}
  for name, share in shares.items():
    _part_paper(share).save(scans / f"{name}.png")
  status = predict.main(["--no_compile_cache", "--json", str(scans)])
  out, err = capsys.readouterr()
  rows = [json.loads(line) for line in out.splitlines()]
  assert status == 0
  # In the pictures' order, whoever answered first.
  assert [pathlib.Path(row["path"]).stem for row in rows] == list(shares)
  names = [row["model"] for row in rows]
  assert names == ["documents", "photos", "photos", "documents"]
  assert [row["model_sure"] for row in rows] == [True, True, False, True]
  for row in rows:
    assert row["angle_deg"] == pytest.approx(ANGLE_DEG[row["model"]])
  first, unsure = err.splitlines()
  assert first.startswith("rotjax: documents or photos: the model taken")
  assert "c.png: a page or a photo?" in unsure
  status = predict.main(["--no_compile_cache", str(scans)])
  table = capsys.readouterr().out
  assert status == 0 and table.count("as photos tells") == 2
  assert table.count("Trained on every turn.") == 1


def test_an_unsure_choice_is_reviewed(models, tmp_path, capsys):
  scans, out = tmp_path / "scans", tmp_path / "out"
  scans.mkdir()
  for share in (0.1, 0.48):
    _part_paper(share).save(scans / f"{share}.png")
  argv = ["--no_compile_cache", str(scans), "--upright", str(out)]
  assert predict.main([*argv, "--sure", ".5"]) == 0
  capsys.readouterr()
  assert [p.name for p in (out / "review").iterdir()] == ["0.48.png"]
  table = (out / "predictions.csv").read_text().splitlines()
  assert "model,model_sure" in table[0]
  # Another model may now have answered: an earlier call's are not kept.
  argv += ["--model", "documents"]
  assert predict.main([*argv, "--sure", ".5"]) in (0, 2)
  assert "documents" in (out / "predictions.csv").read_text()


def test_one_model_of_two_that_are_not_these_must_be_named(models):
  (models[0].parent / "digits").mkdir()
  (models[0].parent / "digits" / "digest").touch()
  assert [p.name for p in ready.choose(None)] == ["documents", "photos"]
  (models[1] / "digest").unlink()
  with pytest.raises(errors.UserError, match="--model digits or documents"):
    ready.choose(None)
