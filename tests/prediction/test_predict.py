"""Predicting for picture files: the evaluation's own answers, in words."""

import dataclasses
import io
import json
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import PIL.ExifTags
import PIL.Image
import pytest
import scipy.stats

from rotjax import angles as angles_lib
from rotjax import cli, errors, predict
from rotjax.config import base, resolve, validate
from rotjax.data import mnist_5k
from rotjax.data import split as split_lib
from rotjax.image import pictures
from rotjax.prediction import answers as answers_lib
from rotjax.prediction import predictor
from rotjax.run import train
from tests import npz

pytestmark = pytest.mark.usefixtures("quick_runs")

TINY = {
  "num_steps": 40,
  "batch_size": 32,
  "model.widths": (8, 8, 16),
  "model.hidden": 32,
  "optim.ema_decay": 0.9,
  "optim.learning_rate": 3e-3,
  "eval.every_steps": 40,
  "eval.warp": "own",
  "checkpoint.every_steps": 40,
  "log.every_steps": 20,
}
# Evaluated at quarter turns about the canvas's middle: NumPy makes the same.
QUARTERS = {
  "view.center": "canvas",
  "view.fineness": 0.0,
  "angles.distribution": "values",
  "angles.values_deg": (0.0, 90.0, 180.0, 270.0),
  "eval.num_angles": 4,
}


class Colours:
  """A dataset of the tests: 24 x 32 pixels in colour."""

  name, center, num_classes, overlaps = "colours", None, 1, ()
  protocol = "noise"

  def __init__(self, classes: tuple[int, ...] = ()):
    del classes

  def load(self, split):
    n = 40
    images = np.random.default_rng(len(split)).integers(
      0, 256, (n, 24, 32, 3), np.uint8
    )
    labels = np.zeros(n, np.int32)
    return split_lib.Split(images, labels, np.arange(n), split, None)


def _train(folder: pathlib.Path, **overrides) -> pathlib.Path:
  overrides = {k.replace("__", "."): v for k, v in overrides.items()}
  config = resolve.apply(base.base(), {**TINY, **overrides})
  validate.check(config)
  assert train.train(config, folder) == 0
  return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  return _train(tmp_path_factory.mktemp("predict") / "run", **QUARTERS)


@pytest.fixture
def no_dataset(monkeypatch):
  """Nothing here may need the training images."""

  def refuse(*args):
    raise AssertionError("the dataset was loaded")

  monkeypatch.setattr(mnist_5k.Mnist5k, "load", refuse)


def _views(count: int):
  """Test images, upright, `[count, 28, 28]`."""
  return mnist_5k.Mnist5k(classes=(3,)).load("test").images[:count, ..., 0]


def _turned(run, count):
  """The same at their evaluation angles, `[count, 4, 28, 28]`; predictions."""
  arrays = npz.load(run / "predictions.npz")
  quarters = np.rint(arrays["true_deg"][:count] / 90).astype(int)
  turned = [
    [np.rot90(image, k) for k in row]
    for image, row in zip(_views(count), quarters)
  ]
  return np.array(turned), arrays


def _degrees_apart(a, b, period=360.0):
  return np.abs((a - b + period / 2) % period - period / 2)


def test_a_picture_gets_the_evaluations_own_answer(run, tmp_path, request):
  turned, arrays = _turned(run, 6)
  request.getfixturevalue("no_dataset")
  files = []
  for n, image in enumerate(turned.reshape(-1, 28, 28)):
    files.append(tmp_path / f"{n}.png")
    PIL.Image.fromarray(image).save(files[-1])
  answers = predictor.load(run)(files)
  decoded = arrays["predicted_deg"][:6].ravel()
  assert _degrees_apart(answers.angle_deg, decoded).max() < 0.01
  # The recalibrated density, too: at the truth, between two of its points.
  theta = arrays["true_deg"][:6].ravel()
  wanted = arrays["recalibrated_log_density"][:6].ravel()
  for row, at, value in zip(answers.log_density, theta, wanted):
    found = np.interp(at, answers.ring_deg, row, period=360)
    assert found == pytest.approx(value, abs=1e-3)


@pytest.mark.slow
def test_a_blurred_view_blurs_here_too(tmp_path):
  folder = _train(tmp_path / "run", **QUARTERS, num_steps=2, view__blur=1.2)
  turned, arrays = _turned(folder, 4)
  found = predictor.load(folder)(turned.reshape(-1, 28, 28)).angle_deg
  decoded = arrays["predicted_deg"][:4].ravel()
  assert _degrees_apart(found, decoded).max() < 0.01


def test_averaging_quarter_turns_is_equivariant(run):
  turned, _ = _turned(run, 3)
  plain, averaged = predictor.load(run), predictor.load(run, tta="rot90")
  for image in turned[:, 0]:
    one, two, three = (
      p([image, np.rot90(image)]).angle_deg for p in (averaged, plain, averaged)
    )
    np.testing.assert_array_equal(one, three)
    assert _degrees_apart(one[1] - one[0], 90).max() < 1e-2
    # Which the network by itself is not.
    assert _degrees_apart(two[1] - two[0], 90).max() > 0.1


def test_batches_are_padded_and_order_is_kept(run):
  p = predictor.load(run)
  squares = np.random.default_rng(0).integers(
    0, 256, (predictor.BATCH + 5, 28, 28, 1), np.uint8
  )
  together = p.answer(squares)
  for n in (0, predictor.BATCH - 1, predictor.BATCH, predictor.BATCH + 4):
    alone = p.answer(squares[n : n + 1])
    assert alone.angle_deg[0] == pytest.approx(together.angle_deg[n], abs=1e-3)
  assert p.answer(squares[:0]).angle_deg.shape == (0,)
  assert p([]).within(5).shape == (0,)
  with pytest.raises(ValueError, match="not uint8"):
    p.answer(np.zeros((1, 20, 28, 1), np.uint8))
  with pytest.raises(ValueError, match="not uint8"):
    p.answer(np.zeros((1, 28, 28, 1), np.float32))


def test_the_api_takes_pictures_of_any_kind(run, tmp_path):
  p = predictor.load(str(run))
  image = _views(1)[0]
  PIL.Image.fromarray(image).save(tmp_path / "x.png")
  kinds = [
    tmp_path / "x.png",
    str(tmp_path / "x.png"),
    PIL.Image.fromarray(image).convert("RGB"),
    image,
    image[..., None],
    image.astype(np.uint16) * 257,
  ]
  assert np.ptp(p(kinds).angle_deg) < 1e-3
  assert np.ptp(p(np.stack([image] * 3)).angle_deg) == 0
  (tmp_path / "y.png").write_text("no")
  with pytest.raises(errors.UserError, match="y.png: not a picture"):
    p([image, tmp_path / "y.png"])
  with pytest.raises(errors.UserError, match="picture 1: an array"):
    p([image, np.zeros((3, 3))])


def test_one_picture_is_one_answer(run, tmp_path, monkeypatch):
  p = predictor.load(run)
  image = _views(1)[0]
  file = tmp_path / "x.png"
  PIL.Image.fromarray(image).save(file)
  (wanted,) = p([file]).angle_deg
  colour = np.repeat(image[..., None], 3, -1)
  monkeypatch.setenv("HOME", str(tmp_path))
  for one in (file, str(file), PIL.Image.open(file), image, colour, "~/x.png"):
    assert p(one).angle_deg == pytest.approx([wanted], abs=1e-3)
  assert len(p(np.zeros((30, 30, 3), np.uint8)).angle_deg) == 1
  assert len(p(np.zeros((5, 30, 30), np.uint8)).angle_deg) == 5
  assert len(p(np.zeros((5, 30, 30, 3), np.uint8)).angle_deg) == 5
  assert len(p(np.zeros((1, 30, 30), np.uint8)).angle_deg) == 1
  assert len(p(np.array([str(file)] * 2)).angle_deg) == 2
  assert len(p([]).angle_deg) == 0
  for odd, words in (
    (np.zeros((30, 30, 2), np.uint8), r"uint8 \[30, 30, 2\] is not a picture"),
    (np.zeros((30, 30)), r"float64 \[30, 30\] is not a picture"),
    (np.zeros(30, np.uint8), "picture 0: an array of uint8"),
    (3, "int is neither a picture nor a list of them"),
    (None, "NoneType is neither"),
    (b"x.png", "picture 0: .* is not a picture"),
    ("x.png", "x.png: No such file"),
    ("x\0.png", "null (byte|character)"),
  ):
    with pytest.raises(errors.UserError, match=words) as caught:
      p(odd)
    assert "\n" not in str(caught.value)


def test_a_pillow_image_is_turned_as_its_file_is(run, tmp_path):
  p = predictor.load(run)
  exif = PIL.Image.Exif()
  exif[PIL.ExifTags.Base.Orientation] = 6
  for name in ("x.jpg", "x.png", "x.tif"):
    file = tmp_path / name
    PIL.Image.fromarray(_views(1)[0]).save(file, exif=exif)
    with PIL.Image.open(file) as image:
      apart = np.diff(p([file, image]).angle_deg)
    assert apart == 0


def test_colour_and_a_view_smaller_than_the_source(tmp_path):
  folder = _train(
    tmp_path / "run",
    data__name="tests.prediction.test_predict.Colours",
    view__size=16,
    head__name="bins",
    head__num_bins=36,
    num_steps=2,
    **QUARTERS,
  )
  p = predictor.load(folder)
  assert (p.spec.channels, p.spec.source) == (3, (24, 32))
  images = Colours().load("test").images[:4]
  arrays = npz.load(folder / "predictions.npz")
  assert np.ptp(arrays["predicted_deg"]) > 0.01
  upright = np.rint(arrays["true_deg"] / 90) == 0
  decoded = arrays["predicted_deg"][upright][:4]
  found = p(images).angle_deg
  assert _degrees_apart(found, decoded).max() < 0.01
  # A picture twice as large holds the same, but for its antialiasing.
  flat = np.kron(images, np.ones((1, 2, 2, 1), np.uint8))
  square = pictures.square(PIL.Image.fromarray(flat[0]), p.spec)
  apart = square.astype(float) - images[0, 4:20, 8:24]
  assert np.abs(apart).mean() < 25  # of noise that differs by 85


def _command(monkeypatch, capsys, *argv):
  """Runs the command; returns its status, its output and its errors."""
  monkeypatch.setattr(sys, "argv", ["rotjax.predict", *map(str, argv)])
  with pytest.raises(SystemExit) as caught:
    cli.run(predict.main)
  captured = capsys.readouterr()
  for line in captured.err.strip().splitlines():
    assert line.startswith("rotjax: "), captured.err
  return caught.value.code, captured.out, captured.err.strip().splitlines()


@pytest.fixture
def photos(tmp_path):
  folder = tmp_path / "photos"
  (folder / "deep").mkdir(parents=True)
  for n, image in enumerate(_views(3)):
    name = ("a.png", "deep/b.jpg", "deep/c.png")[n]
    PIL.Image.fromarray(image).resize((60 + n, 50)).save(folder / name)
  return folder


def test_the_table_states_the_turn_in_words(
  monkeypatch, capsys, run, photos, no_dataset
):
  status, out, err = _command(monkeypatch, capsys, "--workdir", run, photos)
  assert (status, err) == (0, [])
  head, *rows = out.splitlines()
  assert "within 5°" in head and "within 15°" in head
  answers = predictor.load(run)(photos / n for n in ("a.png", "deep/b.jpg"))
  for row, name, angle in zip(rows, ("a.png", "deep/b.jpg"), answers.angle_deg):
    assert str(photos / name) in row and f"{angle:+.1f}°" in row
    way = "counter-clockwise" if angle > 0 else "clockwise"
    assert re.search(rf"turned {abs(angle):.1f}° {way}\b", row)
  assert rows[3:] == [
    "Trained on turns of 0°, 90°, 180°, 270° alone: of others an answer means"
    " nothing, however sure."
  ]


def test_json_lines(monkeypatch, capsys, run, photos):
  status, out, _ = _command(
    monkeypatch, capsys, "--workdir", run, "--json", photos
  )
  assert status == 0
  rows = [json.loads(line) for line in out.splitlines()]
  answers = predictor.load(run)([row["path"] for row in rows])
  for n, row in enumerate(rows):
    assert row["angle_deg"] == pytest.approx(answers.angle_deg[n], abs=1e-3)
    assert row["within_5_deg"] == pytest.approx(answers.within(5)[n], abs=1e-3)
    assert 0 < row["within_5_deg"] <= row["within_15_deg"] <= 1
  also, share = answers.second_mode()
  for row, angle, near in zip(rows, also, share):
    if np.isnan(angle):
      assert row["second_mode"] is None
    else:
      assert row["second_mode"]["angle_deg"] == pytest.approx(angle, abs=0.6)
      assert row["second_mode"]["within_15_deg"] == pytest.approx(
        near, abs=1e-3
      )


def test_bad_files_are_a_line_each_and_the_others_are_told(
  monkeypatch, capsys, run, photos, tmp_path
):
  (photos / "cut.png").write_bytes((photos / "a.png").read_bytes()[:150])
  (photos / "text.png").write_text("text")
  (photos / "notes.txt").write_text("not asked for")
  (tmp_path / "empty").mkdir()
  status, out, err = _command(
    monkeypatch,
    capsys,
    "--workdir",
    run,
    photos,
    tmp_path / "empty",
    tmp_path / "no\nsuch.png",
    "--json",
  )
  assert status == 2
  assert len(out.splitlines()) == 3
  assert len(err) == 4
  for line, words in zip(
    err, ("cut.png: ", "text.png: not a pict", "no picture", "no?such.png: No ")
  ):
    assert words in line


def test_what_is_not_looked_at_is_told(
  monkeypatch, capsys, run, photos, tmp_path
):
  frames = [PIL.Image.new("L", (9, 9), n) for n in (0, 90, 200)]
  more = {"save_all": True, "append_images": frames[1:]}
  frames[0].save(photos / "film.gif", **more)
  frames[0].save(photos / "film.png", **more)
  # A preview is no picture of its own.
  frames[0].convert("RGB").save(photos / "phone.jpg", "MPO", **more)
  (photos / "run" / "plots").mkdir(parents=True)
  for name in ("run/config.json", "run/summary.json", "run/plots/donut.png"):
    shutil.copy(photos / "a.png", photos / name)
  command = ("--workdir", run, "--json", photos)
  status, out, err = _command(monkeypatch, capsys, *command)
  assert status == 0
  assert len(out.splitlines()) == 6 and "donut" not in out
  assert sorted(line.removeprefix(f"rotjax: {photos}/") for line in err) == [
    "film.gif: only the first of its 3 frames is seen",
    "film.png: only the first of its 3 frames is seen",
    "run: the folder of a run, left out",
  ]
  # Pictures that were meant, and cannot be read.
  for name in ("a.jxl", "deep/b.JXL", "c.psd"):
    (photos / name).write_bytes(b"x")
  status, out, err = _command(monkeypatch, capsys, *command)
  assert (status, len(out.splitlines())) == (2, 6)
  assert err[-1] == (
    f"rotjax: {photos}: left out, of formats that are not read: 2 .jxl, 1 .psd"
  )


def test_pictures_turned_back_are_not_taken_again(
  monkeypatch, capsys, run, photos
):
  command = ("--workdir", run, "--json", photos, "--upright")
  status, out, _ = _command(monkeypatch, capsys, *command, photos / "out")
  assert (status, len(out.splitlines())) == (0, 3)
  status, out, err = _command(monkeypatch, capsys, *command, photos / "other")
  assert (status, len(out.splitlines())) == (0, 3)
  assert err == [
    f"rotjax: {photos / 'out'}: pictures turned back by rotjax, left out"
  ]
  # Named themselves, they are asked for.
  status, out, _ = _command(
    monkeypatch, capsys, "--workdir", run, "--json", photos / "out"
  )
  assert (status, len(out.splitlines())) == (0, 3)


def test_paths_come_from_stdin(monkeypatch, capsys, run, photos):
  lines = f"{photos / 'a.png'}\n\n{photos / 'deep'}\n".encode()
  stdin = io.TextIOWrapper(io.BytesIO(lines + b"no\xffthing.png\n"))
  monkeypatch.setattr(sys, "stdin", stdin)
  status, out, err = _command(
    monkeypatch, capsys, "--workdir", run, "--json", "-"
  )
  assert (status, len(out.splitlines())) == (2, 3)
  (line,) = err
  assert "no?thing.png: No such file" in line


def test_pictures_are_written_upright_and_drawn(
  monkeypatch, capsys, run, photos, tmp_path
):
  out_folder, sheet = tmp_path / "out", tmp_path / "sheet.png"
  argv = ["--workdir", run, photos, "--json", "--upright", out_folder]
  status, out, _ = _command(
    monkeypatch, capsys, *argv, "--fit", "same", "--contact-sheet", sheet
  )
  assert status == 0
  for row in map(json.loads, out.splitlines()):
    source = pathlib.Path(row["path"])
    written = out_folder / source.relative_to(photos)
    assert row["upright"] == str(written)
    with PIL.Image.open(source) as image:
      # Pillow's own angle is counter-clockwise, too.
      wanted = np.asarray(image.rotate(-row["angle_deg"], 3), float)
    with PIL.Image.open(written) as image:
      assert np.abs(np.asarray(image, float) - wanted).mean() < 2
  with PIL.Image.open(sheet) as drawn:
    assert drawn.size[0] > 100
  before = {p: p.read_bytes() for p in out_folder.rglob("*.*")}
  status, _, err = _command(monkeypatch, capsys, *argv)
  assert (status, len(err)) == (2, 3)
  assert all("exists already and is not overwritten" in line for line in err)
  assert before == {p: p.read_bytes() for p in out_folder.rglob("*.*")}
  # Into the inputs' own folder: refused as well.
  before = {p: p.read_bytes() for p in photos.rglob("*.*")}
  status, _, err = _command(monkeypatch, capsys, *argv[:-1], photos)
  assert (status, len(err)) == (2, 3)
  assert before == {p: p.read_bytes() for p in photos.rglob("*.*")}
  status, _, (line,) = _command(
    monkeypatch, capsys, *argv[:3], "--contact-sheet", sheet
  )
  assert status == 2 and "sheet.png exists already" in line


def test_results_are_never_inputs(
  monkeypatch, capsys, run, photos, tmp_path, no_dataset
):
  # The natural command, and again, with a new photo and another folder.
  monkeypatch.chdir(photos)
  argv = ["--workdir", run, "--json", ".", "--contact-sheet", "s"]
  status, out, err = _command(monkeypatch, capsys, *argv, "--upright", "up")
  assert (status, err, len(out.splitlines())) == (0, [], 3)
  before = sorted(p for p in photos.rglob("*.*"))
  assert {p.name for p in photos.glob("*.png")} == {"a.png", "s.png"}
  shutil.copy("a.png", "new.png")
  status, out, err = _command(monkeypatch, capsys, *argv[:4], "--upright", "up")
  assert [json.loads(line)["path"] for line in out.splitlines()] == [
    *("./a.png", "./new.png", "./deep/b.jpg", "./deep/c.png")
  ]
  assert status == 0
  assert "./s.png: left out: rotjax.predict wrote it" in err[1]
  assert err[2].endswith("/up: 1 turned, 3 done by an earlier call")
  assert sorted(p for p in photos.rglob("*.*")) == sorted(
    [*before, photos / "new.png", photos / "up" / "new.png"]
  )
  # Into another folder; of those in the first none is turned again.
  status, out, err = _command(
    monkeypatch, capsys, *argv[:4], "--upright", tmp_path / "two"
  )
  assert (status, len(out.splitlines())) == (0, 4)
  assert not (tmp_path / "two" / "up").exists()
  status, out, err = _command(
    monkeypatch, capsys, *argv[:3], "up", "--upright", tmp_path / "three"
  )
  assert (status, out) == (0, "") and "left out" in err[-1]
  # But told of, whoever asks.
  status, out, _ = _command(monkeypatch, capsys, *argv[:3], "up")
  assert (status, len(out.splitlines())) == (0, 4)


def test_two_pictures_of_one_name_are_told_apart(
  monkeypatch, capsys, run, photos, tmp_path
):
  shutil.copy(photos / "a.png", photos / "deep" / "a.png")
  both = (photos / "a.png", photos / "deep" / "a.png")
  status, out, (line,) = _command(
    monkeypatch,
    capsys,
    "--workdir",
    run,
    *both,
    "--json",
    "--upright",
    tmp_path / "out",
  )
  assert status == 2 and str(both[0]) in line and "has that name too" in line
  assert ["upright" in json.loads(row) for row in out.splitlines()] == [1, 0]


def test_what_cannot_be_written_ends_no_batch(
  monkeypatch, capsys, run, photos, tmp_path
):
  frames = [PIL.Image.new("L", (20, 30), n) for n in (9, 99)]
  frames[0].save(photos / "b.gif", save_all=True, append_images=frames[1:])
  PIL.Image.new("L", (1, 500_000), 9).save(photos / "c.png")
  exif = PIL.Image.Exif()
  exif[270] = "x" * 70_000
  PIL.Image.new("L", (9, 9)).save(photos / "d.png", exif=exif)
  monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 1_000_000)
  angles = np.full(6, 33.0)
  real = predictor.Predictor.answer

  def turned(self, squares):
    found = real(self, squares)
    return dataclasses.replace(
      found, angle_deg=angles[: len(squares)], blank=np.zeros(len(squares))
    )

  monkeypatch.setattr(predictor.Predictor, "answer", turned)
  out_folder = tmp_path / "out"
  argv = ["--workdir", run, photos, "--json", "--upright"]
  status, out, err = _command(monkeypatch, capsys, *argv, out_folder)
  assert status == 2 and len(out.splitlines()) == 6
  assert sorted(
    p.relative_to(out_folder).as_posix()
    for p in out_folder.rglob("*.*")
    if p.is_file() and p.name[0] != "."
  ) == ["a.png", "d.png", "deep/b.jpg", "deep/c.png"]
  told = [line.partition(": ")[2].partition(": ")[2] for line in err]
  assert [words for words in told if "is seen" not in words] == [
    "has 2 pages or frames, and only the first is read: not written",
    "turned, it would have 272321 x 419336 pixels, more than Pillow's limit of"
    " 1000000 for reading: another --fit gives fewer",
  ]
  # A folder that cannot be made: said before any work is done.
  status, out, err = _command(monkeypatch, capsys, *argv, "/dev/null/out")
  assert status == 2 and out == ""
  assert "cannot be made: /dev/null is not a folder" in err[-1]


def test_what_is_lost_of_a_picture_is_said(
  monkeypatch, capsys, run, photos, tmp_path
):
  exif = PIL.Image.Exif()
  exif[282] = 1.5
  data = io.BytesIO()
  PIL.Image.radial_gradient("L").save(data, "JPEG", exif=exif)
  # The resolution's type becomes text.
  found = data.getvalue().replace(b"\1\x1a\0\5", b"\1\x1a\0\2")
  (photos / "b.jpg").write_bytes(found)
  out_folder = tmp_path / "out"
  status, out, (line,) = _command(
    monkeypatch,
    capsys,
    *("--workdir", run, photos, "--json", "--upright", out_folder),
  )
  assert status == 0 and len(out.splitlines()) == 4
  assert line == (
    f"rotjax: {out_folder / 'b.jpg'}: written without EXIF tag 0x011a"
  )


def test_an_answer_that_is_no_number_is_a_line(
  monkeypatch, capsys, run, photos
):
  real = predictor.Predictor.answer

  def broken(self, squares):
    found = real(self, squares)
    angles = found.angle_deg.copy()
    angles[1] = np.nan
    return dataclasses.replace(found, angle_deg=angles)

  monkeypatch.setattr(predictor.Predictor, "answer", broken)
  status, out, (line,) = _command(
    monkeypatch, capsys, "--workdir", run, "--json", photos
  )
  assert status == 2 and "not a number" in line
  assert len(out.splitlines()) == 2 and "NaN" not in out


def test_every_answer_names_the_trained_turns_and_blank_pictures(
  monkeypatch, capsys, run, tmp_path
):
  inside = np.full((60, 60), 200, np.uint8)
  inside[:3, :3] = 0  # in a corner, outside of the disc
  noise = np.random.default_rng(0).integers(-3, 4, (60, 60))
  for name, pixels in (
    ("corner.png", inside),
    ("noise.png", np.uint8(250 + noise)),
    ("photo.png", np.kron(_views(1)[0], np.ones((3, 3), np.uint8))),
    ("white.png", np.full((50, 80), 255, np.uint8)),
  ):
    PIL.Image.fromarray(pixels).save(tmp_path / name)
  argv = ["--workdir", run, tmp_path]
  status, out, _ = _command(monkeypatch, capsys, *argv, "--json")
  rows = [json.loads(line) for line in out.splitlines()]
  assert status == 0
  assert [row["blank"] for row in rows] == [True, True, False, True]
  for row in rows:
    assert row["trained_range_deg"] == [0, 270]
    assert row["trained_values_deg"] == [0, 90, 180, 270]
  _, out, _ = _command(monkeypatch, capsys, *argv)
  lines = out.splitlines()
  assert ["but blank" in line for line in lines[1:5]] == [1, 1, 0, 1]
  assert lines[5].startswith("Blank: one colour")
  assert "Trained on turns of 0°, 90°, 180°, 270° alone" in lines[6]
  p = predictor.load(run)
  found = p(sorted(tmp_path.iterdir()))
  assert found.blank.tolist() == [True, True, False, True]
  assert (
    found.trained == p.spec.trained == ("turns of 0°, 90°, 180°, 270° alone")
  )


def test_blank_is_what_the_network_sees():
  ramp = np.zeros((3, 9, 9, 3), np.uint8)
  ramp[1, ..., 2] = np.arange(9)  # of 8 levels, in one colour
  ramp[2, ..., 2] = np.arange(9) + (np.arange(9) > 7)
  blank = answers_lib.is_blank
  assert blank(ramp, False).tolist() == [True, True, False]
  # The disc leaves the last column's ends out, but not its middle.
  assert blank(ramp, True).tolist() == [True, True, False]
  ramp[2, :, :, 2] = 0
  ramp[2, 0, 0] = 255
  assert blank(ramp, True).tolist() == [True, True, True]
  assert blank(ramp, False).tolist() == [True, True, False]
  # Below the threshold all is black.
  ramp[2] = 100
  ramp[2, 4] = 120
  assert blank(ramp[2:], True, 0.5).tolist() == [True]
  assert blank(ramp[2:], True, 0.42).tolist() == [False]
  assert blank(ramp[:0], True).shape == (0,)


@pytest.mark.parametrize(
  "angles,words",
  [
    ({"range_deg": (-10.0, 10.0)}, "turns of -10° to 10°"),
    ({}, "every turn"),
    ({"period_deg": 180.0}, "every turn"),
    (
      {"range_deg": (-90.0, 90.0), "distribution": "grid", "step_deg": 0.5},
      "turns of -90° to 90°",
    ),
    (
      {"distribution": "values", "values_deg": (5.0, -5.0)},
      "turns of -5°, 5° alone",
    ),
  ],
)
def test_trained_turns_in_words(angles, words):
  fields = predictor._trained_on(angles_lib.Angles(**angles), "folder")
  spec = predictor.Spec(
    28,
    1,
    "disc",
    "unit",
    "none",
    (28, 28),
    angles.get("period_deg", 360.0),
    "none",
    **fields,
  )
  assert spec.trained == words
  # Of pictures that were turned already, nobody knows.
  known = predictor._trained_on(angles_lib.Angles(**angles), "csv")
  assert known == (fields if words == "every turn" else {})


def _damage(folder, name, text):
  if text is None:
    path = folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
  else:
    (folder / name).write_text(text)


@pytest.mark.parametrize(
  "name,text,words",
  [
    ("config.json", None, "not a run folder"),
    ("config.json", "{", "config.json cannot be read"),
    ("config.json", "[]", "config.json cannot be read"),
    ("config.json", "{}", "not the config of a run of this version"),
    ("checkpoints", None, "holds no checkpoint"),
    ("summary.json", None, "is not finished"),
    ("summary.json", "{}", "--mode eval"),
    ("summary.json", '{"protocol": {"source": [28]}}', "--mode eval"),
    ("calibration.json", None, "calibration.json cannot be read"),
    ("calibration.json", "{}", "calibration.json cannot be read"),
    ("calibration.json", '{"kind": "odd", "value": 1}', "vonmises"),
  ],
)
def test_a_damaged_run_is_one_line(
  monkeypatch, capsys, run, tmp_path, name, text, words
):
  folder = tmp_path / "copy"
  shutil.copytree(run, folder)
  _damage(folder, name, text)
  status, out, (line,) = _command(
    monkeypatch, capsys, "--workdir", folder, "x.png"
  )
  assert (status, out) == (2, "")
  assert words in line


def test_a_damaged_checkpoint_is_one_line(monkeypatch, capsys, run, tmp_path):
  folder = tmp_path / "copy"
  shutil.copytree(run, folder)
  # The best one and the latest, which would stand in for it.
  for file in (folder / "checkpoints").rglob("*"):
    if file.is_file() and file.stat().st_size > 4000:
      file.write_bytes(b"\0" * file.stat().st_size)
  status, _, err = _command(monkeypatch, capsys, "--workdir", folder, "x.png")
  assert status == 2 and "is damaged" in err[-1]


def test_wrong_arguments_are_one_line(monkeypatch, capsys, run, tmp_path):
  (tmp_path / "seeds" / "seed-0").mkdir(parents=True)
  (tmp_path / "seeds" / "config.json").write_text("{}")
  (tmp_path / "file").write_text("x")
  for argv, words in (
    (["--workdir", tmp_path / "nothing", "x"], "no such run folder"),
    (["--workdir", tmp_path, "x"], "not a run folder"),
    (["--workdir", tmp_path / "seeds", "x"], "seed-0"),
    (["--workdir", run], "required: PATH"),
    (["--workdir", run, "--model", run, "x"], "not allowed with"),
    (["--workdir", run, "--fit", "odd", "x"], "expand"),
    (["--workdir", run, "--upright", tmp_path / "file", "x"], "not a folder"),
  ):
    status, out, (line,) = _command(monkeypatch, capsys, *argv)
    assert (status, out) == (2, "")
    assert words in line


def test_prediction_changes_nothing_in_the_run(run):
  def state():
    return {p: p.stat().st_mtime_ns for p in run.rglob("*")}

  before = state()
  predictor.load(run)(_views(1))
  assert state() == before


def test_help_shows_two_examples_and_imports_nothing_heavy():
  for module in ("predict", "export"):
    code = (
      "import sys; sys.argv = ['x', '--help']\n"
      f"from rotjax import cli, {module}\n"
      f"try: cli.run({module}.main)\n"
      "finally: assert not {'jax', 'PIL', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run(
      [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    examples = done.stdout.partition("examples:")[2]
    assert examples.count("python -m rotjax.") == 2


# Answers, without any network.


def _answers(density, angle_deg, period=360.0):
  ring = period * ((np.arange(720) + 0.5) / 720 - 0.5)
  turn = 2 * np.pi / period
  return answers_lib.Answers(
    np.array([angle_deg]), np.log(density(ring * turn) + 1e-300)[None], period
  )


@pytest.mark.parametrize("period", [360.0, 180.0])
@pytest.mark.parametrize("angle", [0.0, 3.1, 89.9])
@pytest.mark.parametrize("kappa", [0.0, 4.0, 80.0])
def test_confidence_is_the_densitys_own(period, angle, kappa):
  turn = 2 * np.pi / period
  law = scipy.stats.vonmises(kappa + 1e-9, loc=angle * turn)
  answers = _answers(lambda theta: 3.7 * law.pdf(theta), angle, period)
  for degrees in (0.1, 5, 15, 40):
    half = degrees * turn
    wanted = law.cdf(angle * turn + half) - law.cdf(angle * turn - half)
    assert answers.within(degrees)[0] == pytest.approx(wanted, abs=2e-4)
  assert answers.within(period / 2)[0] == pytest.approx(1)
  assert np.isnan(answers.second_mode()).all()


@pytest.mark.parametrize("at", [-170.0, 55.0, 100.0])
def test_a_second_mode_is_found(at):
  def density(theta):
    main = 0.7 * scipy.stats.vonmises(60, loc=0).pdf(theta)
    return main + 0.3 * scipy.stats.vonmises(60, loc=np.deg2rad(at)).pdf(theta)

  (angle,), (share,) = _answers(density, 1.0).second_mode()
  assert angle == pytest.approx(at, abs=2)
  near = scipy.stats.vonmises(60).cdf(np.deg2rad(15))
  assert share == pytest.approx(0.3 * (2 * near - 1), abs=0.02)


def test_what_is_no_second_mode():
  def mixture(share, at):
    return lambda theta: (
      (1 - share) * scipy.stats.vonmises(60).pdf(theta)
      + share * scipy.stats.vonmises(60, loc=np.deg2rad(at)).pdf(theta)
    )

  assert np.isnan(_answers(mixture(0.08, 180), 0.0).second_mode()).all()
  assert np.isnan(_answers(mixture(0.3, 20), 0.0).second_mode()).all()


def test_the_second_mode_of_a_step_is_its_middle():
  # A classifier of four classes, 60 to 40 for the next but one.
  steps = lambda t: np.select(  # noqa: E731
    [np.abs(t) < np.pi / 4, np.abs(t) > 3 * np.pi / 4], [0.6, 0.4], 0.0
  )
  (angle,), (share,) = _answers(steps, 0.0).second_mode()
  assert _degrees_apart(angle, 180.0) < 1.1
  assert share == pytest.approx(0.4 / 3, abs=2e-3)
  assert not np.isnan(_answers(steps, 180.0).second_mode()).any()


def test_angles_in_words():
  assert answers_lib.in_words(12.34) == "turned 12.3° counter-clockwise"
  assert answers_lib.in_words(-0.07) == "turned 0.1° clockwise"
  assert answers_lib.in_words(-0.04) == "upright"
