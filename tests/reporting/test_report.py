"""The command: wrong input is one line, and the page stays as it was."""

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest

from rotjax import cli, report
from rotjax.ablation import manifest
from tests import run_folders


def _fails(monkeypatch, capsys, *argv):
  monkeypatch.setattr(sys, "argv", ["rotjax.report", *map(str, argv)])
  with pytest.raises(SystemExit) as caught:
    cli.run(report.main)
  assert caught.value.code == 2
  captured = capsys.readouterr()
  lines = captured.err.strip().splitlines()
  assert len(lines) == 1 and lines[0].startswith("rotjax: "), captured.err
  assert captured.out == ""
  return lines[0]


def test_a_folder_without_results_is_one_line(monkeypatch, capsys, tmp_path):
  assert "--workdir" in _fails(monkeypatch, capsys)
  line = _fails(monkeypatch, capsys, "--workdir", tmp_path / "none")
  assert "there is no folder" in line
  line = _fails(monkeypatch, capsys, "--workdir", tmp_path)
  assert "no config.json, no sweep.json" in line
  assert not list(tmp_path.iterdir())


BROKEN = [
  ("summary.json", None, "unfinished run"),
  ("summary.json", "{", "cannot be read"),
  ("summary.json", "[]", "no summary of a run"),
  ("summary.json", '{"test": null}', "no summary of a run"),
  ("metrics.jsonl", None, "cannot be read"),
  ("metrics.jsonl", '{"step": 1}\n{"step":', "line 2"),
  ("metrics.jsonl", '{"step": 1, "val/mae_deg": "x"}', "line 1"),
  ("metrics.jsonl", b"\xff\xfe", "cannot be read"),
  ("predictions.npz", None, "cannot be read"),
  ("predictions.npz", "", "cannot be read"),
  ("predictions.npz", "PK no archive", "cannot be read"),
  ("config.json", "{}", "cannot be read"),
  ("config.json", "{", "cannot be read"),
  ("plots/gallery.png", "GIF", "not a PNG"),
]


@pytest.mark.parametrize("name,content,words", BROKEN)
def test_a_broken_run_is_one_line_and_the_old_page_stays(
  monkeypatch, capsys, tmp_path, reported_run, name, content, words
):
  folder = tmp_path / "run"
  shutil.copytree(reported_run[0], folder)
  (folder / report.FILE).write_text("old")
  _break(folder / name, content)
  line = _fails(monkeypatch, capsys, "--workdir", folder)
  assert words in line and str(folder) in line
  assert (folder / report.FILE).read_text() == "old"
  assert not list(folder.glob(".rotjax-*"))


def _break(file, content):
  if content is None:
    file.unlink()
  elif isinstance(content, bytes):
    file.write_bytes(content)
  else:
    file.write_text(content)


def test_an_archive_cut_short_or_damaged_is_one_line(
  monkeypatch, capsys, tmp_path, reported_run
):
  whole = (reported_run[0] / "predictions.npz").read_bytes()
  for i, damaged in enumerate(
    [whole[: len(whole) // 2], whole[:200] + b"\0" * 60 + whole[260:]]
  ):
    folder = tmp_path / str(i)
    shutil.copytree(reported_run[0], folder)
    (folder / "predictions.npz").write_bytes(damaged)
    line = _fails(monkeypatch, capsys, "--workdir", folder)
    assert "predictions.npz cannot be read" in line


@pytest.mark.parametrize(
  "name,content,words",
  [
    ("metrics.jsonl", "{", "line 1"),
    ("summary.json", "[]", "no summary of a run"),
    ("predictions.npz", "", "cannot be read"),
  ],
)
def test_a_broken_arm_is_one_line(
  monkeypatch, capsys, tmp_path, reported_sweep, name, content, words
):
  workdir = tmp_path / "sweep"
  shutil.copytree(reported_sweep[0], workdir)
  before = (workdir / report.FILE).read_text()
  arm = manifest.read(workdir).arms[1]
  _break(manifest.seed_folders(workdir, arm)[1] / name, content)
  assert words in _fails(monkeypatch, capsys, "--workdir", workdir)
  assert (workdir / report.FILE).read_text() == before


@pytest.mark.parametrize("content", ["{", "[]", '{"arms": []}', None], ids=str)
def test_a_broken_sweep_is_one_line(
  monkeypatch, capsys, tmp_path, reported_sweep, content
):
  workdir = tmp_path / "sweep"
  workdir.mkdir()
  if content is None:  # whole, but an arm lacks fields of this version
    found = json.loads((reported_sweep[0] / "sweep.json").read_text())
    del found["arms"][0]["config"]["num_seeds"]
    content = json.dumps(found)
  (workdir / "sweep.json").write_text(content)
  line = _fails(monkeypatch, capsys, "--workdir", workdir)
  assert "sweep.json" in line


def test_a_seed_that_is_not_finished_is_named(monkeypatch, capsys, tmp_path):
  settings = run_folders.config(num_seeds=2)
  run_folders.write_seeds(tmp_path / "p", settings)
  (tmp_path / "p" / "seed-1" / "summary.json").unlink()
  line = _fails(monkeypatch, capsys, "--workdir", tmp_path / "p")
  assert "seed-1 holds an unfinished run" in line


def test_a_page_that_cannot_be_written_is_one_line(
  monkeypatch, capsys, reported_run
):
  def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")

  monkeypatch.setattr(os, "replace", full)
  line = _fails(monkeypatch, capsys, "--workdir", reported_run[0])
  assert "report.html cannot be written" in line
  assert (reported_run[0] / report.FILE).read_text() == reported_run[1]


def test_help_shows_two_examples_and_imports_nothing_heavy():
  code = (
    "import sys; sys.argv = ['x', '--help']\n"
    "from rotjax import cli, report\n"
    "try: cli.run(report.main)\n"
    "finally: assert not {'jax', 'numpy', 'matplotlib'} & set(sys.modules)"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout.count("python -m rotjax.report --workdir") == 3 - 1
