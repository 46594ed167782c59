"""Ready models: their run's own answers, and nothing damaged is used."""

import hashlib
import json
import shutil
import sys

import numpy as np
import PIL.Image
import pytest
import safetensors.numpy

from rotjax import cli, errors, export, predict
from rotjax.config import base, resolve, shipped
from rotjax.data import mnist_5k
from rotjax.prediction import predictor
from rotjax.run import finished, ready, summary, train
from rotjax.training import step as step_lib
from tests import npz

pytestmark = pytest.mark.usefixtures("quick_runs")

TINY = {
  "num_steps": 60,
  "batch_size": 32,
  "model.widths": (8, 8, 16),
  "model.hidden": 32,
  "model.norm": "batch",
  "optim.learning_rate": 3e-3,
  "optim.ema_decay": 0.9,
  "eval.every_steps": 60,
  "eval.warp": "own",
  "checkpoint.every_steps": 60,
  # Evaluated at quarter turns about the canvas's middle: NumPy makes the same.
  "view.center": "canvas",
  "view.fineness": 0.0,
  "angles.distribution": "values",
  "angles.values_deg": (0.0, 90.0, 180.0, 270.0),
  "eval.num_angles": 4,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  folder = tmp_path_factory.mktemp("ready") / "run"
  # A place of whoever trained it, which concerns nobody else.
  config = resolve.apply(base.base(), TINY)
  assert train.train(config, folder) == 0
  return folder


@pytest.fixture(scope="module")
def model(run):
  out, notes = run.parent / "digits", run.parent / "notes.md"
  notes.write_text("Tells how far a 3\nwas turned.\n\nFails at all else.\n")
  argv = ["--workdir", run, "--format", "ready", "--out", out, "--notes", notes]
  assert export.main([*map(str, argv)]) == 0
  return out


@pytest.fixture
def with_models(monkeypatch, model, tmp_path):
  """As if some models came with rotjax."""

  def ship(*names):
    for name in names:
      shutil.copytree(model, tmp_path / "shipped" / name)
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "shipped")

  return ship


def _command(monkeypatch, capsys, command, *argv):
  """Runs a command; returns its status, its output and its errors."""
  monkeypatch.setattr(sys, "argv", ["rotjax", *map(str, argv)])
  with pytest.raises(SystemExit) as caught:
    cli.run(command.main)
  captured = capsys.readouterr()
  return caught.value.code, captured.out, captured.err.strip().splitlines()


def _picture(folder):
  file = folder / "one.png"
  noise = np.random.default_rng(0).integers(0, 256, (40, 30), np.uint8)
  PIL.Image.fromarray(noise).save(file)
  return file


def test_it_gives_the_evaluations_own_answers(run, model):
  arrays = npz.load(run / "predictions.npz")
  images = mnist_5k.Mnist5k(classes=(3,)).load("test").images[:50]
  quarters = np.rint(arrays["true_deg"][:50] / 90).astype(int)
  turned = np.concatenate(
    [[np.rot90(image, k) for k in row] for image, row in zip(images, quarters)]
  )
  p = predictor.load(model)
  answers = p.answer(turned)
  off = answers.angle_deg - arrays["predicted_deg"][:50].ravel()
  off = np.abs((off + 180) % 360 - 180)
  # 11 bits of each weight: a fraction of what the network is wrong by.
  assert np.median(off) < 0.1 and np.quantile(off, 0.95) < 1
  whole = predictor.load(run)
  assert p.spec == whole.spec
  np.testing.assert_allclose(
    answers.log_density, whole.answer(turned).log_density, atol=0.05
  )


def test_its_weights_are_the_runs_to_eleven_bits(run, model):
  opened, made = finished.open_run(run), finished.open_run(model)
  best = opened.best(opened.experiment())
  small = made.best(made.experiment())
  for name, leaf in ready._named({"params": best.eval_params}):
    (rounded,) = (
      x for n, x in ready._named({"params": small.params}) if n == name
    )
    assert rounded.dtype == np.float32
    np.testing.assert_allclose(rounded, leaf, rtol=2**-11, atol=2**-25)
  for (_, a), (_, b) in zip(
    ready._named(best.eval_model_state), ready._named(small.model_state)
  ):
    np.testing.assert_array_equal(a, b)
  stored = safetensors.numpy.load_file(model / "weights.safetensors")
  kinds = {name.split(".")[0]: x.dtype for name, x in stored.items()}
  assert kinds == {"params": np.float16, "state": np.float32}


def test_what_16_bits_cannot_hold_keeps_its_32(tmp_path):
  params = {"large": np.float32([7e4, 1]), "small": np.float32([0.1])}
  state = step_lib.TrainState(np.int32(0), params, {}, ())
  ready.save_weights(tmp_path / "w", state)
  stored = safetensors.numpy.load_file(tmp_path / "w")
  np.testing.assert_array_equal(stored["params.large"], params["large"])
  assert stored["params.small"].dtype == np.float16


def test_its_card_says_what_the_run_scored(run, model):
  card = (model / "card.md").read_text()
  assert summary.table(summary.read(run)) in card
  assert card.startswith("# digits\n\nTells how far a 3\nwas turned.\n")
  assert "turns of 0°, 90°, 180°, 270° alone" in card
  assert "None" not in card and "{" not in card


def test_its_digest_is_what_sha256sum_reads(model):
  lines = (model / "digest").read_text().splitlines()
  stated = dict(reversed(line.split("  ")) for line in lines)
  assert {*stated, "digest"} == {path.name for path in model.iterdir()}
  for name, sha in stated.items():
    assert hashlib.sha256((model / name).read_bytes()).hexdigest() == sha


def test_places_stay_at_home(run, tmp_path):
  there = tmp_path / "run"
  shutil.copytree(run, there)
  config = json.loads((there / "config.json").read_text())
  config["init_from"] = "/home/someone/runs/secret"
  (there / "config.json").write_text(json.dumps(config))
  out = tmp_path / "made"
  argv = ["--workdir", there, "--format", "ready", "--out", out]
  assert export.main([*map(str, argv)]) == 0
  everything = b"".join(path.read_bytes() for path in out.iterdir())
  assert (
    b"secret" not in everything and str(tmp_path).encode() not in everything
  )
  card = (out / "card.md").read_text()
  assert "--config config.json --config.init_from=YOURS" in card
  assert "Nothing was said about the licences" in card
  assert predictor.load(out).spec == predictor.load(run).spec


def _anew(folder):
  """As a forger would, who renews the digest."""
  ready.write_digest(folder)


def _cut(name):
  def damage(folder):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])

  return damage


def _other_weights(change):
  def damage(folder):
    path = folder / "weights.safetensors"
    arrays = change(safetensors.numpy.load_file(path))
    path.write_bytes(safetensors.numpy.save(arrays))
    _anew(folder)

  return damage


def _cut_and_anew(folder):
  _cut("weights.safetensors")(folder)
  _anew(folder)


_DAMAGES = {
  **{f"cut {n}": (_cut(n), f"{n} is not as it was") for n in ready.FILES},
  **{
    f"no {name}": (
      lambda folder, name=name: (folder / name).unlink(),
      f"{name} is missing",
    )
    for name in (*ready.FILES, "digest")
  },
  "empty digest": (
    lambda folder: (folder / "digest").write_text(""),
    "does not list the files",
  ),
  "a digest of no text": (
    lambda folder: (folder / "digest").write_bytes(b"\xff\xfe"),
    "is damaged",
  ),
  "a notice of someone else": (
    lambda folder: (folder / "NOTICE").write_text("all yours"),
    "does not list the files",
  ),
  "half the weights": (_cut_and_anew, "cannot be read"),
  "another shape": (
    _other_weights(
      lambda x: {k: v[..., None] for k, v in x.items()},
    ),
    "is not of the network",
  ),
  "a weight less": (
    _other_weights(lambda x: dict(list(x.items())[1:])),
    "missing there",
  ),
  "a weight more": (
    _other_weights(lambda x: {**x, "params.odd": np.zeros(1)}),
    "params.odd",
  ),
}


@pytest.mark.parametrize("name", _DAMAGES)
def test_a_damaged_one_is_one_line(monkeypatch, capsys, model, tmp_path, name):
  damage, words = _DAMAGES[name]
  folder = tmp_path / "model"
  shutil.copytree(model, folder)
  damage(folder)
  status, out, err = _command(
    monkeypatch, capsys, predict, "--model", folder, _picture(tmp_path)
  )
  assert (status, out, len(err)) == (2, "", 1)
  assert words in err[0]


def test_shipped_ones_are_found_by_name(
  monkeypatch, capsys, with_models, tmp_path, model
):
  picture = _picture(tmp_path)
  wanted = predictor.load(model)([picture]).angle_deg
  with_models("digits", "photos")
  monkeypatch.chdir(tmp_path)
  (tmp_path / "photos").mkdir()  # one's own, and no model
  assert predictor.load("photos")([picture]).angle_deg == wanted
  with pytest.raises(errors.UserError, match="not a run folder"):
    predictor.load("./photos")
  status, out, _ = _command(monkeypatch, capsys, predict, "--model", "list")
  assert status == 0
  assert out.splitlines() == [
    "digits: Tells how far a 3 was turned. (0.0 MB)",
    "photos: Tells how far a 3 was turned. (0.0 MB)",
  ]
  status, out, _ = _command(
    monkeypatch, capsys, predict, "--model", "photos", "--json", picture
  )
  assert status == 0
  assert json.loads(out)["angle_deg"] == pytest.approx(wanted[0], abs=1e-3)
  status, _, (line,) = _command(
    monkeypatch, capsys, predict, "--model", "potos", picture
  )
  assert status == 2 and "digits, photos" in line


def test_the_only_one_is_taken_and_named(
  monkeypatch, capsys, with_models, tmp_path
):
  picture = _picture(tmp_path)
  with_models()
  status, _, (line,) = _command(monkeypatch, capsys, predict, picture)
  assert status == 2 and "none comes with" in line and "--workdir" in line
  assert predict.main(["--model", "list"]) == 0
  assert "No model" in capsys.readouterr().out
  with_models("digits")
  status, out, (line,) = _command(monkeypatch, capsys, predict, picture)
  assert status == 0 and line.startswith("rotjax: digits: the model taken")
  assert "one.png" in out
  with_models("photos")
  status, out, (line,) = _command(monkeypatch, capsys, predict, picture)
  assert status == 2 and "--model digits or photos" in line


def test_training_starts_from_one(with_models, model, tmp_path):
  with_models("digits")
  config = resolve.apply(
    base.base(),
    # A step so small that the weights stay what they were.
    {**TINY, "init_from": "ready:digits", "num_steps": 1}
    | {"optim.learning_rate": 1e-9, "optim.ema_decay": 0.0},
  )
  assert resolve.absolute(config).init_from == "ready:digits"
  assert train.train(config, tmp_path / "run") == 0
  begun, made = finished.open_run(tmp_path / "run"), finished.open_run(model)
  for (name, a), (_, b) in zip(
    ready._named(begun.best(begun.experiment()).params),
    ready._named(made.best(made.experiment()).params),
  ):
    np.testing.assert_allclose(a, b, atol=1e-6, err_msg=name)
  for given, words in (
    ("ready:digit", "did you mean 'digits'"),
    ("ready:", "valid: digits"),
  ):
    with pytest.raises(errors.UserError, match=words):
      shipped.place(given, "init_from")


def test_an_output_is_replaced_only_when_asked(
  monkeypatch, capsys, run, model, tmp_path
):
  def make(out, *argv):
    return _command(
      monkeypatch,
      capsys,
      export,
      *("--workdir", run, "--format", "ready", "--out", out, *argv),
    )

  out = tmp_path / "made"
  shutil.copytree(model, out)
  (out / "NOTICE").write_text("old")
  status, _, (line,) = make(out)
  assert status == 2 and "exists already" in line
  notice = tmp_path / "terms"
  notice.write_text("For research alone.")
  status, printed, _ = make(out, "--overwrite", "--notice", notice)
  assert status == 0 and "bytes" in printed
  assert (out / "NOTICE").read_text() == "For research alone."
  assert finished.open_run(out).source == (28, 28, 1)
  (out / "mine.txt").write_text("mine")
  status, _, (line,) = make(out, "--overwrite")
  assert status == 2 and "not a ready model alone" in line
  assert (out / "mine.txt").exists()
  for argv, words in (
    (["--tta", "rot90"], "--tta rot90"),
    (["--notes", tmp_path / "no.md"], "cannot be read"),
    (["--notice", _empty(tmp_path)], "is empty"),
  ):
    status, _, (line,) = make(tmp_path / "new", *argv)
    assert status == 2 and words in line
  status, _, (line,) = _command(
    monkeypatch,
    capsys,
    export,
    *("--workdir", run, "--out", tmp_path / "m.bin", "--notes", notice),
  )
  assert status == 2 and "--format ready alone" in line
  assert {p.name for p in tmp_path.iterdir()} == {"made", "terms", "empty"}


def _empty(folder):
  (folder / "empty").write_text("\n")
  return folder / "empty"
