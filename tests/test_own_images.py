"""A folder of one's own: trained on, then scored on really turned pictures."""

import json

import numpy as np
import PIL.Image
import pytest

from rotjax import errors
from rotjax.config import load, resolve, validate
from rotjax.run import train
from tests import npz

pytestmark = pytest.mark.usefixtures("quick_runs")

SMALL = {
  "data.side": 24,
  "data.test_share": 0.2,
  "data.validation_share": 0.2,
  "view.size": 14,
  "model.widths": (8, 8),
  "model.kernels": (3, 3),
}


def _picture(rng, turned_deg=0):
  """A bright bar at the top on dark noise, turned by a multiple of 90."""
  pixels = rng.integers(0, 60, (24, 24), np.uint8)
  pixels[4:8, 6:18] = 255
  return PIL.Image.fromarray(np.rot90(pixels, turned_deg // 90).copy())


@pytest.fixture(name="pictures", scope="module")
def _pictures(tmp_path_factory):
  root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
  for n in range(60):
    _picture(rng).save(root / f"{n}.png")
  turned = tmp_path_factory.mktemp("turned")
  rows = ["path,angle_deg"]
  for n in range(12):
    _picture(rng, 90 * n).save(turned / f"{n}.png")
    rows.append(f"{n}.png,{90 * n % 360}")
  (turned / "angles.csv").write_text("\n".join(rows) + "\n")
  return root, turned


def _config(variant, overrides):
  config = load.load(f"configs/folder.py:{variant}")
  config = resolve.apply(config, overrides)
  validate.check(config)
  return config


@pytest.mark.slow
def test_trained_on_a_folder_and_scored_on_turned_pictures(
  pictures, tmp_path, monkeypatch
):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  root, turned = pictures
  own = {**SMALL, "data.dir": str(root), "num_steps": 150, "batch_size": 32}
  own |= {"eval.every_steps": 75, "checkpoint.every_steps": 150}
  run = tmp_path / "run"
  assert train.train(_config("smoke", own), run) == 0
  learnt = json.loads((run / "summary.json").read_text())["test"]
  assert learnt["mae_deg"] < 30

  table = {"data.name": "csv", "data.dir": str(turned), "data.channels": 1}
  other = {**own, **table, "data.test_share": 1.0}
  config = _config("smoke,as_found", other)
  assert train.evaluate(config, run) == 0
  (folder,) = run.glob("eval-csv-*")
  found = npz.load(folder / "predictions.npz")
  truth = found["true_deg"][:, 0].astype(np.float64)
  # Each of the four turns comes three times; nothing was turned any further.
  assert found["true_deg"].shape == (12, 1)
  assert sorted(np.round(truth % 360)) == sorted([0, 90, 180, 270] * 3)
  test = json.loads((folder / "summary.json").read_text())["test"]
  # A wrong sign would err by 180 on half of them.
  assert test["mae_deg"] < 45
  assert test["chance_mae_deg"] == pytest.approx(90)
  assert test["accuracy"] > 0.6

  colour = {**own, **table, "data.channels": 3, "data.test_share": 1.0}
  with pytest.raises(errors.UserError, match="data.channels=1"):
    train.evaluate(_config("smoke,as_found", colour), run)
  # They are for scoring alone.
  with pytest.raises(errors.UserError, match="needs a train split"):
    train.train(config, tmp_path / "no")


@pytest.mark.slow
def test_training_on_a_table_of_turned_pictures(
  pictures, tmp_path, monkeypatch
):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  _, turned = pictures
  own = {
    **SMALL,
    "data.name": "csv",
    "data.dir": str(turned),
    "data.channels": 1,
    "data.test_share": 0.3,
    "data.validation_share": 0.3,
  }
  run = tmp_path / "run"
  for variant in ("smoke", "smoke,as_found"):
    assert train.train(_config(variant, own), run / variant) == 0
    summary = json.loads((run / variant / "summary.json").read_text())
    assert summary["protocol"]["data"].startswith("csv: the pictures of")
