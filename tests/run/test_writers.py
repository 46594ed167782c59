"""What a run records survives kills and full disks, and is said in a line."""

import errno
import json
import pathlib
import sys

import pytest

from rotjax import cli
from rotjax.run import writers


def _steps(path):
  return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_a_resumed_record_drops_what_came_after_its_checkpoint(tmp_path):
  path = tmp_path / "metrics.jsonl"
  rows = [json.dumps({"step": s}) + "\n" for s in (1, 2, 3, 4)]
  path.write_text("".join(rows) + '{"step": 5, "tra')  # cut by a kill
  writer = writers.Jsonl(path, 3)
  assert _steps(path) == [1, 2, 3]
  writer.write(4, {"train/loss": 1.0})
  assert _steps(path) == [1, 2, 3, 4]  # at once
  writer.close()


def test_rows_survive_a_kill_while_they_are_rewritten(tmp_path, monkeypatch):
  path = tmp_path / "metrics.jsonl"
  rows = "".join(json.dumps({"step": s}) + "\n" for s in range(1, 101))
  path.write_text(rows)

  class Killed(BaseException):
    pass

  def write_half(self, data):
    with open(self, "wb") as file:
      file.write(data[: len(data) // 2])
    raise Killed

  with monkeypatch.context() as patched:
    patched.setattr(pathlib.Path, "write_bytes", write_half)
    with pytest.raises(Killed):
      writers.Jsonl(path, 50)
  assert path.read_text() == rows
  writers.Jsonl(path, 50).close()
  assert _steps(path) == list(range(1, 51))


def test_a_full_disk_is_one_line(monkeypatch, capsys):
  def command(argv):
    raise OSError(errno.ENOSPC, "No space left on device", "runs/x/a.json")

  monkeypatch.setattr(sys, "argv", ["x"])
  with pytest.raises(SystemExit) as ended:
    cli.run(command)
  assert ended.value.code == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith("rotjax: no space left on the disk for runs/x/a.json")


def test_a_lost_process_is_one_line_in_the_others(monkeypatch, capsys):
  import jax

  def command(argv):
    raise jax.errors.JaxRuntimeError("UNKNOWN: Gloo all-reduce failed: reset")

  def leave(status):
    raise SystemExit(status)  # as os._exit would, but for the tests

  monkeypatch.setattr(sys, "argv", ["x"])
  monkeypatch.setattr(cli, "_one_of_several", lambda: True)
  monkeypatch.setattr(cli, "_leave", leave)
  with pytest.raises(SystemExit) as ended:
    cli.run(command)
  assert ended.value.code == 1
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith("rotjax: another process of this job has ended")
  # Alone, it is what it is.
  monkeypatch.setattr(cli, "_one_of_several", lambda: False)
  with pytest.raises(jax.errors.JaxRuntimeError):
    cli.run(command)
