"""Model files: the same answers, without flax, and nothing damaged is run."""

import json
import os
import pathlib
import re
import subprocess
import sys

import jax
import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageOps
import pytest

from rotjax import angles as angles_lib
from rotjax import cli, errors, export, models, predict
from rotjax.config import base, load, named, resolve
from rotjax.data import mnist_5k
from rotjax.evaluation import calibration, density
from rotjax.image import pictures
from rotjax.image import view as view_lib
from rotjax.models import strided
from rotjax.prediction import model_file, predictor
from rotjax.run import train
from tests import npz

pytestmark = pytest.mark.usefixtures("quick_runs")

# What a machine that only predicts need not have.
_BLOCKED = ("flax", "orbax", "tensorflow_datasets", "optax", "tensorboardX")
_WITHOUT = f"""
import sys
class Blocked:
  def find_spec(self, name, path=None, target=None):
    if name.partition(".")[0] in {_BLOCKED}:
      raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Blocked())
from rotjax import cli, predict
cli.run(predict.main)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """Lines have no up and down: a period of 180; no density of its own."""
  folder = tmp_path_factory.mktemp("export") / "run"
  overrides = {
    "num_steps": 30,
    "batch_size": 32,
    "model.widths": (8, 8, 16),
    "model.hidden": 32,
    "model.norm": "batch",
    "head.name": "vector",
    "view.center": "canvas",
    "view.fineness": 0.0,
    "view.pixel_range": "raw",
    "angles.period_deg": 180.0,
    "angles.distribution": "values",
    "angles.values_deg": (0.0, 90.0),
    "eval.num_angles": 2,
    "eval.tta": "rot90",
    "eval.every_steps": 30,
    "eval.warp": "own",
    "checkpoint.every_steps": 30,
  }
  config = resolve.apply(base.base(), overrides)
  assert train.train(config, folder) == 0
  return folder


def _command(monkeypatch, capsys, command, *argv):
  """Runs a command; returns its status, its output and its errors."""
  monkeypatch.setattr(sys, "argv", ["rotjax", *map(str, argv)])
  with pytest.raises(SystemExit) as caught:
    cli.run(command.main)
  captured = capsys.readouterr()
  return caught.value.code, captured.out, captured.err.strip().splitlines()


@pytest.fixture(scope="module")
def model(run):
  path = run.parent / "model.bin"
  assert export.main(["--workdir", str(run), "--out", str(path)]) == 0
  return path


@pytest.fixture(scope="module")
def photos(run):
  """Pictures of the evaluation, and one of another size, in colour."""
  arrays = npz.load(run / "predictions.npz")
  images = mnist_5k.Mnist5k(classes=(3,)).load("test").images[:5, ..., 0]
  folder = run.parent / "photos"
  folder.mkdir()
  theta = arrays["true_deg"]
  for n, image in enumerate(images):
    for k, angle in enumerate(theta[n]):
      turned = np.rot90(image, round(angle / 90))
      PIL.Image.fromarray(turned).save(folder / f"{n}-{k}.png")
  noise = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
  PIL.Image.fromarray(noise).save(folder / "noise.jpg")
  return folder


def _rows(shown):
  return [json.loads(line) for line in shown.splitlines()]


def test_a_fresh_process_without_flax_gives_the_same_answers(
  run, model, photos, monkeypatch, capsys
):
  here = pathlib.Path(__file__).parents[2]
  environment = {**os.environ, "PYTHONPATH": str(here)}
  tail = ["--json", "--no_compile_cache", str(photos)]

  def fresh(code, *argv):
    return subprocess.run(
      [sys.executable, *code, *argv, *tail],
      capture_output=True,
      text=True,
      timeout=240,
      env=environment,
    )

  blocked = fresh(["-c", _WITHOUT], "--workdir", str(run))
  assert "is blocked" in blocked.stderr  # so that the blocker is one
  done = fresh(["-c", _WITHOUT], "--model", str(model))
  assert done.returncode == 0, done.stderr
  from_file = _rows(done.stdout)
  argv = ["--workdir", run, *tail]
  status, shown, _ = _command(monkeypatch, capsys, predict, *argv)
  assert status == 0
  from_run = _rows(shown)
  assert len(from_file) == len(from_run) == 11
  for a, b in zip(from_file, from_run):
    assert a["path"] == b["path"]
    for key in ("angle_deg", "within_5_deg", "within_15_deg"):
      assert a[key] == pytest.approx(b[key], abs=2e-3)
  # And those of the evaluation, on the circle of 180 degrees.
  decoded = npz.load(run / "predictions.npz")["predicted_deg"][:5].ravel()
  found = np.array([row["angle_deg"] for row in from_file[:10]])
  assert np.abs((found - decoded + 90) % 180 - 90).max() < 0.02


def test_the_exported_function_stands_alone(run, model):
  # By jax alone, as any other program would use it.
  from jax import export as jax_export

  line, payload = model.read_bytes().split(b"\n", 1)
  header = json.loads(line)
  exported = jax_export.deserialize(bytearray(payload))
  assert set(exported.platforms) == {"cpu", "cuda", "tpu"}
  p = predictor.load(run)
  for batch in (1, 10):
    squares = np.random.default_rng(batch).integers(
      0, 256, (batch, 28, 28, 1), np.uint8
    )
    theta, log_density = jax.jit(exported.call)(squares)
    answers = p.answer(squares)
    assert theta.shape == (batch,) and log_density.shape == (batch, 720)
    np.testing.assert_allclose(np.rad2deg(theta), answers.angle_deg, atol=2e-3)
    np.testing.assert_allclose(log_density, answers.log_density, atol=1e-3)
  # Nats per radian of real turn: it integrates to one over the period.
  total = np.exp(np.float64(log_density)).mean(-1) * np.deg2rad(180)
  np.testing.assert_allclose(total, 1, atol=1e-3)
  assert header["spec"]["period_deg"] == 180
  assert header["spec"]["tta"] == "rot90"
  assert "counter-clockwise" in header["sign"]
  assert header["trained"].startswith("turns of 0°, 90° alone")


def test_the_answer_is_where_its_density_says(model):
  squares = np.random.default_rng(0).integers(0, 256, (9, 28, 28, 1), np.uint8)
  answers = predictor.load(model).answer(squares)
  top = answers.ring_deg[answers.log_density.argmax(-1)]
  apart = (top - answers.angle_deg + 90) % 180 - 90
  assert np.abs(apart).max() < 0.2


def test_averaging_is_chosen_at_export(
  monkeypatch, capsys, run, model, tmp_path
):
  status, _, (line,) = _command(
    monkeypatch, capsys, predict, "--model", model, "--tta", "none", "x.png"
  )
  assert status == 2 and "--tta none" in line
  path = tmp_path / "plain.bin"
  export.main(["--workdir", str(run), "--out", str(path), "--tta", "none"])
  squares = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1), np.uint8)
  plain = predictor.load(path, tta="none").answer(squares).angle_deg
  wanted = predictor.load(run, tta="none").answer(squares).angle_deg
  np.testing.assert_allclose(plain, wanted, atol=2e-3)
  averaged = predictor.load(model, tta="rot90").answer(squares).angle_deg
  assert np.abs(averaged - plain).max() > 0.01


def _flip(data, at):
  return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _header(data, **changes):
  """The file with header fields replaced, and the header's digest renewed."""
  line, payload = data.split(b"\n", 1)
  header = {**json.loads(line), **changes}
  header["header_sha256"] = model_file._header_digest(header)
  return json.dumps(header).encode() + b"\n" + payload


_DAMAGES = {
  "empty": (lambda d: b"", "is not a model file"),
  "another kind": (lambda d: b"\x89PNG\r\n" + d, "is not a model file"),
  "other JSON": (lambda d: b'{"a": 1}\n', "is not a model file"),
  "a list": (lambda d: b"[1]\n", "is not a model file"),
  "half a header": (lambda d: d[:200], "is not a model file"),
  "no payload": (lambda d: d.split(b"\n", 1)[0] + b"\n", "bytes are missing"),
  "cut": (lambda d: d[:-1000], "1000 bytes are missing"),
  "longer": (lambda d: d + b"x", "not as written"),
  "a flipped bit": (lambda d: _flip(d, len(d) - 5000), "not as written"),
  "another size": (
    lambda d: d.replace(b'"size": 28', b'"size": 29'),
    "its header is not as written",
  ),
  "a later version": (lambda d: _header(d, version=3), "version 3"),
  "a later jax": (lambda d: _header(d, jax="9.3.1"), "update jax"),
  "no program": (
    lambda d: _header(
      d.split(b"\n", 1)[0] + b"\nxyz",
      payload_bytes=3,
      payload_sha256=model_file._digest(b"xyz"),
    ),
    "cannot be loaded by jax",
  ),
}


@pytest.mark.parametrize("name", _DAMAGES)
def test_a_damaged_or_foreign_file_is_one_line(
  monkeypatch, capsys, model, tmp_path, name
):
  damage, words = _DAMAGES[name]
  path = tmp_path / "model.bin"
  path.write_bytes(damage(model.read_bytes()))
  status, out, err = _command(
    monkeypatch, capsys, predict, "--model", path, "x.png"
  )
  assert (status, out, len(err)) == (2, "", 1)
  assert err[0].startswith("rotjax: ") and words in err[0]


def test_flatbuffers_is_asked_for(monkeypatch, model):
  monkeypatch.setitem(sys.modules, "flatbuffers", None)
  with pytest.raises(errors.UserError, match=r"rotjax\[export\]"):
    predictor.load(model)


def test_an_output_is_replaced_only_when_asked(
  monkeypatch, capsys, run, model, tmp_path
):
  path = tmp_path / "model.bin"
  path.write_text("mine")
  argv = ["--workdir", run, "--out", path]
  status, _, (line,) = _command(monkeypatch, capsys, export, *argv)
  assert status == 2 and "exists already" in line
  assert path.read_text() == "mine"
  status, out, _ = _command(monkeypatch, capsys, export, *argv, "--overwrite")
  assert status == 0 and "bytes" in out
  assert predictor.load(path).spec == predictor.load(model).spec
  missing = tmp_path / "nothing" / "model.bin"
  status, _, err = _command(
    monkeypatch, capsys, export, "--workdir", run, "--out", missing
  )
  assert status == 2 and "cannot be written" in err[-1]
  status, _, err = _command(
    monkeypatch, capsys, export, "--workdir", tmp_path, "--out", missing
  )
  assert status == 2 and "not a run folder" in err[-1]
  assert [p.name for p in tmp_path.iterdir()] == ["model.bin"]


def test_a_file_of_the_first_version_still_loads(model, tmp_path):
  data = model.read_bytes()
  spec = json.loads(data.split(b"\n", 1)[0])["spec"]
  old = {k: v for k, v in spec.items() if not k.startswith("trained")}
  (tmp_path / "old.bin").write_bytes(_header(data, version=1, spec=old))
  p, new = predictor.load(tmp_path / "old.bin"), predictor.load(model)
  assert p.spec.trained == "turns that are not recorded"
  assert new.spec.trained == "turns of 0°, 90° alone"
  assert new.spec.trained_values_deg == (0.0, 90.0)
  squares = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 1), np.uint8)
  np.testing.assert_array_equal(
    p.answer(squares).angle_deg, new.answer(squares).angle_deg
  )


def _by_the_words(file, header):
  """A square, by the header's words and Pillow alone."""
  size, steps = header["spec"]["size"], header["square"]
  with PIL.Image.open(file) as picture:
    picture = PIL.ImageOps.exif_transpose(picture)
  if "16 bits (0 black): times 255/65535, rounded" in steps[1]:
    if picture.mode == "I;16":
      values = np.round(np.asarray(picture).astype(float) * 255 / 65535)
      picture = PIL.Image.fromarray(values.astype(np.uint8))
  if picture.has_transparency_data:
    white = PIL.Image.new("RGBA", picture.size, "white")
    picture = PIL.Image.alpha_composite(white, picture.convert("RGBA"))
  (mode,) = re.search(r"convert\('(\w+)'\)", steps[3]).groups()
  picture = picture.convert(mode)
  (q,) = re.search(r"of side q = (.*) in the picture's", steps[4]).groups()
  width, height = picture.size
  q = eval(q, {"width": width, "height": height, "min": min, "max": max})
  box, pixels = [], []
  for n in picture.size:
    if q <= n:
      box.append(((n - q) / 2, (n + q) / 2))
      pixels.append(size)
    else:
      box.append((0, n))
      m = min(round(size * (1 - n / q) / 2), (size - 1) // 2)
      pixels.append(size - 2 * m)
  (left, right), (top, bottom) = box
  shown = picture.resize(
    tuple(pixels), PIL.Image.BICUBIC, box=(left, top, right, bottom)
  )
  canvas = PIL.Image.new(mode, (size, size))
  corner = [(size - n) // 2 for n in pixels]
  canvas.paste(shown, tuple(corner))
  return np.asarray(canvas).reshape(size, size, -1)


def _photo(folder, width, height, kind):
  """A picture with something in it, of a mode."""
  y, x = np.mgrid[:height, :width]
  noise = np.random.default_rng(width).integers(0, 99, (height, width, 4))
  ramp = np.stack([x * 150 // width, y * 150 // height, x % 150, y % 150], -1)
  pixels = np.uint8(noise + ramp)
  file = folder / f"{width}-{height}-{kind}.png"
  options = {}
  if kind == "16 bits":
    picture = PIL.Image.fromarray(pixels[..., 0].astype(np.uint16) * 251)
  else:
    picture = PIL.Image.fromarray(pixels).convert(kind.partition("+")[0])
  if kind == "RGB+EXIF":
    options["exif"] = PIL.Image.Exif()
    options["exif"][PIL.ExifTags.Base.Orientation] = 6
  picture.save(file, **options)
  return file


_SIZES = ((28, 28), (29, 31), (300, 200), (199, 301), (13, 9), (8, 50), (1, 90))


def test_the_headers_words_are_what_predict_does(model, tmp_path):
  line, payload = model.read_bytes().split(b"\n", 1)
  header = json.loads(line)
  from jax import export as jax_export

  fn = jax.jit(jax_export.deserialize(bytearray(payload)).call)
  files = [
    _photo(tmp_path, *size, kind)
    for size in _SIZES
    for kind in ("L", "RGB", "RGBA", "P", "1", "LA", "16 bits", "RGB+EXIF")
  ]
  squares = np.stack([_by_the_words(file, header) for file in files])
  found = predictor.load(model)(files)
  theta, _ = fn(squares)
  apart = np.rad2deg(np.float64(theta)) - found.angle_deg
  # Of one colour, all turns are as likely: rounding decides.
  assert found.blank.sum() <= 1
  assert np.abs((apart + 90) % 180 - 90)[~found.blank].max() < 0.01


@pytest.mark.parametrize("crop", ["none", "circle", "inscribed", "expand"])
@pytest.mark.parametrize("size,source", [(28, (40, 34)), (33, (20, 28))])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_squares_words_give_its_very_pixels(
  tmp_path, crop, size, source, channels
):
  spec = predictor.Spec(
    size, channels, "disc", "unit", crop, source, 360.0, "none"
  )
  header = {"spec": {"size": size}, "square": pictures.square_in_words(spec)}
  for width, height in _SIZES:
    for kind in ("L", "RGBA", "16 bits", "RGB+EXIF"):
      file = _photo(tmp_path, width, height, kind)
      np.testing.assert_array_equal(
        _by_the_words(file, header), pictures.square(pictures.read(file), spec)
      )


def test_the_page_has_the_words_of_its_own_config():
  config = load.load("configs/folder.py")
  view = named.build("view", config.view)
  side = round(config.data.side * view.zoom)
  spec = predictor.Spec(
    view.size,
    config.data.channels,
    view.mask,
    view.pixel_range,
    view.crop,
    (side, side),
    360.0,
    "none",
  )
  page = pathlib.Path("docs/own-images.md").read_text()
  words = " ".join(page.split())
  for step in pictures.square_in_words(spec):
    assert " ".join(step.split()) in words


# A table, a Fourier series, components: each through its own operations.
@pytest.mark.parametrize("head", ["bins", "bits", "fourier", "mixture"])
def test_heads_of_every_kind_are_exported(tmp_path, head):
  built = named.build("head", named.defaults("head", head))
  backbone = strided.Strided(widths=(4,), kernels=(3,), hidden=8)
  model = models.build(backbone, built.num_outputs, (12, 12, 3))
  variables = model.init(jax.random.key(0))
  fn = predictor._answer_fn(
    view_lib.View(size=12),
    angles_lib.Angles(),
    built,
    lambda x: model.apply(*variables, x)[0],
    # Of bits 1,024 points, of which 720 cells are made.
    calibration.Calibration("temper", 1.7, density.grid_size(built)),
    "none",
  )
  spec = {"size": 12, "channels": 3}
  model_file.save(tmp_path / "m", fn, spec)
  back, loaded = model_file.load(tmp_path / "m")
  assert back == spec
  squares = np.random.default_rng(0).integers(0, 256, (5, 12, 12, 3), np.uint8)
  for a, b in zip(loaded(squares), jax.jit(fn)(squares)):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
