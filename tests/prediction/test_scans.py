"""Scans and photo libraries as they come: sorted, resumed, replaced."""

import csv
import io
import json
import os
import pathlib
import signal
import stat
import subprocess
import sys

import numpy as np
import PIL.ExifTags
import PIL.Image
import pytest

from rotjax import cli, predict
from rotjax.prediction import in_place, journal, outputs, predictor, ready
from tests.prediction import bars

UNSURE = {"ink": 180, "paper": 255}


@pytest.fixture
def call(monkeypatch, capsys):
  """Runs the command with the network of `bars`."""

  def run(*argv):
    journal._of.cache_clear()  # as a new process
    words = ["rotjax.predict", "--model", "bars", "--no_compile_cache"]
    monkeypatch.setattr(sys, "argv", [*words, *map(str, argv)])
    monkeypatch.setattr(ready, "choose", lambda given: [pathlib.Path(given)])
    monkeypatch.setattr(predictor, "load", lambda *args: bars.network())
    with pytest.raises(SystemExit) as caught:
      cli.run(predict.main)
    told = capsys.readouterr()
    return caught.value.code, told.out, told.err.strip().splitlines()

  return run


@pytest.fixture
def scans(tmp_path):
  """Turned by 20, 90, 1 degrees; one that nobody can tell; a fax of three."""
  folder = tmp_path / "scans"
  (folder / "deep").mkdir(parents=True)
  bars.page(20).save(folder / "a.png")
  bars.page(90).save(folder / "b.jpg", quality=95)
  bars.page(1).save(folder / "c.png")
  bars.page(40, **UNSURE).save(folder / "deep" / "d.png")
  pages = [bars.page(turn, "1") for turn in (180, 0, -90)]
  pages[1].paste(1, (0, 0, *pages[1].size))  # an empty page
  pages[0].save(
    folder / "e.tif",
    save_all=True,
    append_images=pages[1:],
    compression="group4",
  )
  return folder


def _files(folder):
  return {
    p.relative_to(folder).as_posix(): p.read_bytes()
    for p in folder.rglob("*")
    if p.is_file() and p.name[0] != "."
  }


def _rows(folder):
  with open(folder / "predictions.csv", newline="") as file:
    return {(r["path"], r["page"]): r for r in csv.DictReader(file)}


SORT = ("--sure", ".9", "--snap", "--upright")


def test_scans_are_sorted_into_upright_and_review(call, scans, tmp_path):
  before, out = _files(scans), tmp_path / "out"
  status, text, err = call(scans, *SORT, out)
  assert status == 0
  assert err == [f"rotjax: {out}: 3 turned, 1 left as they are, 1 to review"]
  written = _files(out)
  assert sorted(written) == [
    "predictions.csv",
    *("review/deep/d.png", "upright/a.png", "upright/b.jpg"),
    *("upright/c.png", "upright/e.tif"),
  ]
  # The unsure one and the one within the spread are copies.
  assert written["review/deep/d.png"] == before["deep/d.png"]
  assert written["upright/c.png"] == before["c.png"]
  for name in ("a.png", "b.jpg"):
    with PIL.Image.open(out / "upright" / name) as file:
      shown = PIL.ImageOps.exif_transpose(file)
      assert abs(bars.told(shown)) < 1
      # Its border's colour, which is paper.
      assert np.asarray(shown.convert("L"))[0, 0] > 250
  # A snapped JPEG is the same JPEG.
  with PIL.Image.open(out / "upright" / "b.jpg") as file:
    assert file.getexif()[PIL.ExifTags.Base.Orientation] == 6
  with PIL.Image.open(out / "upright" / "e.tif") as file:
    assert file.n_frames == 3
    for page, blank in enumerate((False, True, False)):
      file.seek(page)
      assert file.info["compression"] == "group4"
      assert blank or abs(bars.told(file)) < 1
  assert f"{scans}/e.tif[3]" in text
  rows = _rows(out)
  assert len(rows) == 7
  page = rows[f"{scans}/e.tif", "3"]
  assert (page["outcome"], page["turned_back_deg"]) == ("turned", "-90.0")
  assert rows[f"{scans}/e.tif", "2"]["blank"] == "True"
  assert rows[f"{scans}/deep/d.png", ""]["outcome"] == "review"
  assert float(rows[f"{scans}/a.png", ""]["spread_deg"]) < 2
  assert _files(scans) == before


def test_the_same_command_goes_on_and_another_is_refused(call, scans, tmp_path):
  out = tmp_path / "out"
  _, first, _ = call(scans, *SORT, out, "--json")
  table = _rows(out)
  (out / "upright" / "a.png").unlink()
  (out / "predictions.csv").unlink()
  before = _files(out)
  bars.page(20).save(scans / "new.png")
  changed = scans / "c.png"
  bars.page(50).save(changed)
  status, again, err = call(scans, *SORT, out, "--json")
  assert status == 2 and len(err) == 2
  assert "upright/c.png: exists already and is not overwritten" in err[0]
  assert err[1].endswith("2 turned, 3 done by an earlier call, 1 failed")
  # What is told is all, as if it had been one call.
  told = {
    (row["path"], row["page"]): row
    for row in map(json.loads, again.split("\n")[:-1])
  }
  for row in map(json.loads, first.splitlines()):
    if row["path"] != str(changed):
      assert told[row["path"], row["page"]] == row
  assert len(_rows(out)) == len(table) + 1
  after = _files(out)
  assert {name: after[name] for name in before} == before
  # Of other settings nothing is taken, and nothing lost.
  status, _, err = call(scans, *SORT, out, "--fit", "crop")
  assert status == 2 and "6 failed" in err[-1]
  assert {n: d for n, d in _files(out).items() if n in before} == before


def test_a_damaged_page_costs_no_other_file(call, scans, tmp_path):
  data = (scans / "e.tif").read_bytes()
  (scans / "e.tif").write_bytes(data[: len(data) // 2])
  (scans / "f.png").write_bytes(b"no picture")
  status, text, err = call(scans, *SORT, tmp_path / "out", "--json")
  assert status == 2
  assert [line.partition(str(scans))[2] for line in err[:2]] == [
    "/e.tif[2]: the file is cut off or damaged here: this page and those behind"
    " it cannot be read",
    "/f.png: not a picture that can be read",
  ]
  assert "e.tif: not written, for page 2 cannot be read" in err[2]
  assert len(text.splitlines()) == 5  # its first page is told
  assert not (tmp_path / "out" / "upright" / "e.tif").exists()
  assert _rows(tmp_path / "out")[f"{scans}/e.tif", "1"]["outcome"] == "failed"


def test_small_tilts_stay_and_quarters_are_exact(call, scans, tmp_path):
  _, text, _ = call(
    scans, "--json", "--at_least", "30", "--upright", tmp_path / "out"
  )
  turned = {
    (pathlib.Path(row["path"]).name, row["page"]): row["turned_back_deg"]
    for row in map(json.loads, text.splitlines())
  }
  assert turned.pop(("d.png", None)) == pytest.approx(40, abs=1)
  assert turned == {
    ("a.png", None): 0,
    ("b.jpg", None): 90,
    ("c.png", None): 0,
    ("e.tif", 1): -180,
    ("e.tif", 2): 0,
    ("e.tif", 3): -90,
  }
  assert (tmp_path / "out" / "a.png").read_bytes() == (
    scans / "a.png"
  ).read_bytes()


def test_files_are_replaced_once_their_copies_are_safe(call, scans, tmp_path):
  before, backup = _files(scans), tmp_path / "backup"
  os.chmod(scans / "a.png", 0o640)
  place = (scans, "--in_place", "--backup", backup, "--snap", "--sure", ".9")
  status, _, _ = call(*place)
  assert status == 0
  # Of those that were replaced, and of no other.
  turned = ("a.png", "b.jpg", "e.tif")
  copies = _files(backup)
  del copies["predictions.csv"]
  assert copies == {name: before[name] for name in turned}
  after = _files(scans)
  changed = [n for n in sorted(before) if after[n] != before[n]]
  assert changed == list(turned)
  assert stat.S_IMODE((scans / "a.png").stat().st_mode) == 0o640
  # Again: nothing is turned twice, whatever is asked for.
  status, _, err = call(*place[:4], "--fit", "crop", "--at_least", "45")
  assert status == 0 and err[-1].endswith(
    f"{backup}: 2 left as they are, 3 done by an earlier call"
  )
  assert _files(scans) == after
  assert copies.items() <= _files(backup).items()
  # Nor is a copy, which lies below the folder that is named.
  status, text, err = call(tmp_path, "--json", "--upright", tmp_path / "out")
  assert status == 0 and str(backup) not in text
  assert "left out: rotjax.predict wrote it (3 such in all)" in err[0]
  # What was told then need not be what is asked for now.
  status, text, _ = call(*place[:4], "--within", ".5")
  assert status == 0 and len(text.splitlines()) > 7


def test_another_backup_is_never_overwritten(call, scans, tmp_path):
  backup = tmp_path / "backup"
  backup.mkdir()
  (backup / "a.png").write_bytes(b"of another picture")
  (scans / "link.png").symlink_to(scans / "a.png")
  before = _files(scans)
  place = ("--in_place", "--backup", backup)
  status, _, err = call(scans / "a.png", scans / "link.png", *place)
  assert status == 2 and len(err) == 2
  assert "a.png: the backup has another a.png: not replaced" in err[0]
  assert "link.png: a symbolic link, which is not replaced" in err[1]
  assert _files(scans) == before
  # The folder itself as its own backup.
  status, _, err = call(scans / "a.png", *place[:2], scans)
  assert status == 2 and "lies in the backup itself" in err[0]
  assert _files(scans) == before
  os.chmod(scans, 0o555)
  try:
    status, _, err = call(scans / "b.jpg", *place)
  finally:
    os.chmod(scans, 0o755)
  assert status == 2 and "its folder cannot be written to" in err[0]
  assert _files(scans) == before


@pytest.mark.parametrize("fault", ["copy", "replace"])
def test_a_replacement_that_fails_loses_nothing(tmp_path, monkeypatch, fault):
  (tmp_path / "x.png").write_bytes(b"old")
  backup = in_place.Backup(tmp_path / "backup")
  name = pathlib.PurePath("x.png")

  def stop(*args, **more):
    raise KeyboardInterrupt

  target = outputs if fault == "copy" else in_place
  with monkeypatch.context() as patch:
    patch.setattr(
      target, "write_bytes" if fault == "copy" else "_replace", stop
    )
    with pytest.raises(KeyboardInterrupt):
      backup.write(name, b"new", str(tmp_path / "x.png"), [])
  assert (tmp_path / "x.png").read_bytes() == b"old"
  assert backup.done(str(tmp_path / "x.png")) is None
  backup.write(name, b"new", str(tmp_path / "x.png"), [{"n": 1}])
  assert (tmp_path / "x.png").read_bytes() == b"new"
  assert (tmp_path / "backup" / "x.png").read_bytes() == b"old"
  assert backup.done(str(tmp_path / "x.png")) == [{"n": 1}]
  assert not list(tmp_path.rglob("*.part"))


def test_the_degrees_of_the_probabilities_are_chosen(call, scans):
  status, text, _ = call(scans / "a.png", "--json", "--within", ".5,2")
  row = json.loads(text)
  assert status == 0 and "within_5_deg" not in row
  assert 0 < row["within_0.5_deg"] < row["within_2_deg"] < 1
  # Half of a normal density of 68% within the spread.
  assert row["spread_deg"] == pytest.approx(np.rad2deg(2000**-0.5), rel=0.1)
  _, text, _ = call(scans / "a.png", "--within", ".5,2")
  assert "within 0.5°  within 2°" in text


@pytest.mark.parametrize(
  "argv, words",
  [
    (("--within", "5,x"), "--within 5,x is no list of degrees"),
    (("--within", "0"), "--within 0 is no list of degrees"),
    (("--within", "nan"), "--within nan is no list of degrees"),
    (("--sure", ".9"), "give --upright OUT too"),
    (("--snap",), "--snap is about what is written"),
    (("--at_least", "2"), "--at_least is about what is written"),
    (("--upright", "out", "--sure", "90"), "--sure = 90.0 is not in 0 ... 1"),
    (("--upright", "out", "--at_least", "-1"), "--at_least = -1.0 is not in"),
    (("--in_place",), "--backup DIR is where their originals go"),
    (("--backup", "out"), "--in_place replaces files"),
    (("--in_place", "--backup", "b", "--upright", "o"), "not allowed with"),
  ],
)
def test_wrong_flags_are_one_line(call, scans, argv, words, monkeypatch):
  monkeypatch.chdir(scans)
  status, out, (line,) = call("a.png", *argv)
  assert (status, out) == (2, "") and words in line
  assert not (scans / "out").exists()


def test_a_folder_that_is_no_place_is_refused(call, scans, tmp_path):
  closed = tmp_path / "closed"
  closed.mkdir(mode=0o555)
  status, out, (line,) = call(scans, "--upright", closed)
  assert (status, out) == (2, "") and "cannot be written to" in line
  mine = tmp_path / "mine"
  mine.mkdir()
  (mine / "predictions.csv").write_text("mine")
  status, _, (line,) = call(scans, *SORT, mine)
  assert status == 2 and "predictions.csv exists already" in line
  assert (mine / "predictions.csv").read_text() == "mine"


def test_what_needs_an_extra_is_counted_and_named(call, scans, monkeypatch):
  import importlib.util

  real = importlib.util.find_spec
  gone = ("pypdfium2", "pypdf", "pillow_heif")
  monkeypatch.setattr(
    importlib.util,
    "find_spec",
    lambda name, *more: None if name in gone else real(name, *more),
  )
  for name in ("x.pdf", "y.heic", "deep/z.HEIC"):
    (scans / name).write_bytes(b"x")
  status, _, (line,) = call(scans, "--json")
  assert status == 2 and line.endswith(
    "left out, of formats that are not read: 2 .heic, 1 .pdf (pip install"
    " 'rotjax[heic]' 'rotjax[pdf]')"
  )


_SLOW_CALL = """
import pathlib, signal, sys, time
from rotjax import cli, predict
from rotjax.prediction import outputs, predictor, ready
from tests.prediction import bars
ready.choose = lambda given: [pathlib.Path(given)]
predictor.load = lambda *args: bars.network()
predictor.BATCH = 4
real, count = outputs.write_bytes, 0
def slow(*args):
  global count
  real(*args)
  count += 1
  print("written", file=sys.stderr, flush=True)
  time.sleep(60 if count == 12 else 0)  # the signal comes before the last
outputs.write_bytes = slow
# Ignored where pytest itself runs in the background of a script.
signal.signal(signal.SIGINT, signal.default_int_handler)
cli.run(predict.main)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_call_goes_on_where_it_was(call, tmp_path, how):
  folder, out = tmp_path / "many", tmp_path / "out"
  folder.mkdir()
  for n in range(24):
    bars.page(7 * n, size=(60, 70)).save(folder / f"{n:02}.png")
  argv = (folder, "--upright", out, "--sure", "0", "--json")
  with subprocess.Popen(
    [
      sys.executable,
      "-c",
      _SLOW_CALL,
      "--model",
      "bars",
      *argv,
    ],
    stderr=subprocess.PIPE,
    stdout=subprocess.DEVNULL,
    text=True,
  ) as process:
    seen = 0
    for line in process.stderr:
      seen += line == "written\n"
      if seen == 9:
        process.send_signal(how)
        break
    process.stderr.read()
  first = {p: p.stat().st_mtime_ns for p in out.rglob("*.png")}
  assert 9 <= len(first) < 24
  if how == signal.SIGINT:  # of what was written, and no more, the table tells
    assert {r["upright"] for r in _rows(out).values()} == set(map(str, first))
  status, text, err = call(*argv)
  assert status == 0
  assert f"{len(first)} done by an earlier call" in err[-1]
  assert [json.loads(x)["path"][-6:-4] for x in text.splitlines()] == [
    f"{n:02}" for n in range(24)
  ]
  assert len(_rows(out)) == 24
  assert len(list(out.rglob("*.png"))) == 24
  assert not list(out.rglob("*.part")) or how == signal.SIGKILL
  assert first == {p: p.stat().st_mtime_ns for p in first}


def test_a_bar_is_for_a_terminal_alone(call, scans, monkeypatch):
  screen = io.StringIO()
  with monkeypatch.context() as patch:
    patch.setattr(sys, "stderr", screen)
    patch.setattr(screen, "isatty", lambda: True, raising=False)
    call(scans, "--json")
  assert "0/5" in screen.getvalue() and " files" in screen.getvalue()
  _, _, err = call(scans, "--json")
  assert err == []


def test_a_pdf_is_told_page_by_page_and_written(call, tmp_path):
  pytest.importorskip("pypdf")
  pytest.importorskip("pypdfium2")
  pages = [bars.page(turn, "RGB", (150, 200)) for turn in (90, 0, 12)]
  pages[0].save(
    tmp_path / "x.pdf", save_all=True, append_images=pages[1:], resolution=100
  )
  sort = ("--snap", "--upright", tmp_path / "out", "--json")
  status, text, _ = call(tmp_path / "x.pdf", *sort)
  rows = [json.loads(line) for line in text.splitlines()]
  assert status == 0 and [row["page"] for row in rows] == [1, 2, 3]
  assert [round(row["turned_back_deg"]) for row in rows] == [90, 0, 12]
  status, text, _ = call(tmp_path / "out" / "x.pdf", "--json")
  for row in map(json.loads, text.splitlines()):
    assert abs(row["angle_deg"]) < 1
