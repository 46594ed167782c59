"""What a run records survives kills and full disks, and is said in a line."""

import errno
import json
import math
import pathlib
import sys

import pytest

from rotjax import cli, errors
from rotjax.config import base, resolve
from rotjax.run import train, writers
from rotjax.run.writers import jsonl, tensorboard


def _steps(path):
  return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_a_resumed_record_drops_what_came_after_its_checkpoint(tmp_path):
  path = tmp_path / "metrics.jsonl"
  rows = [json.dumps({"step": s}) + "\n" for s in (1, 2, 3, 4)]
  path.write_text("".join(rows) + '{"step": 5, "tra')  # cut by a kill
  writer = jsonl.Jsonl(path, 3)
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
      jsonl.Jsonl(path, 50)
  assert path.read_text() == rows
  jsonl.Jsonl(path, 50).close()
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


def _config(*names):
  return resolve.apply(
    base.base(), {"log.writers": names, "name": "a", "seed": 3}
  )


class _Broken:
  def __init__(self):
    self.asked = 0

  def write(self, step, scalars):
    self.asked += 1
    raise RuntimeError("the server is gone\nand so on")

  def close(self):
    self.asked += 1


def test_a_run_goes_on_without_a_writer_that_fails(
  tmp_path, monkeypatch, caplog
):
  broken = _Broken()
  monkeypatch.setattr(tensorboard, "Writer", lambda *_: broken)
  every = writers.opened(tmp_path, 0, _config("tensorboard"))
  for step in (1, 2):
    for writer in every:
      writer.write(step, {"train/loss": 1.0})
  for writer in every:
    writer.close()
  assert broken.asked == 1
  assert caplog.text.count("tensorboard has failed (the server is gone)") == 1
  assert _steps(tmp_path / "metrics.jsonl") == [1, 2]


def test_a_full_disk_still_ends_it(tmp_path, monkeypatch):
  broken = _Broken()
  monkeypatch.setattr(tensorboard, "Writer", lambda *_: broken)
  kept, writer = writers.opened(tmp_path, 0, _config("tensorboard"))
  kept.close()

  def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")

  broken.write = full
  with pytest.raises(OSError, match="No space"):
    writer.write(1, {})


def test_a_writer_that_cannot_begin_is_one_line(tmp_path, monkeypatch):
  def opened(*_):
    raise RuntimeError("no login\nand so on")

  monkeypatch.setattr(tensorboard, "Writer", opened)
  with pytest.raises(errors.UserError) as caught:
    writers.opened(tmp_path, 0, _config("tensorboard"))
  words = "log.writers: tensorboard cannot begin (no login)"
  assert str(caught.value) == words


def test_what_is_not_there_is_said_before_anything_is_written(
  tmp_path, monkeypatch
):
  kind = writers.Kind("no_such_package")
  monkeypatch.setitem(writers.WRITERS, "wandb", kind)
  with pytest.raises(errors.UserError, match=r"pip install 'rotjax\[wandb\]'"):
    train.train(_config("wandb"), tmp_path / "run")
  with pytest.raises(errors.UserError, match="did you mean 'tensorboard'"):
    train.train(_config("tensorbord"), tmp_path / "run")
  assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("default")  # of its own packages
def test_mlflow_goes_on_with_its_run(tmp_path, monkeypatch):
  mlflow = pytest.importorskip("mlflow")
  monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
  config = _config("mlflow")
  for first, steps in ((0, (1, 2)), (2, (3,))):
    every = writers.opened(tmp_path, first, config)
    for step in steps:
      for writer in every:
        writer.write(step, {"train/loss": 1.0 / step, "val/nll": math.nan})
    for writer in every:
      writer.close()
  client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow/runs.db")
  (experiment,) = client.search_experiments(filter_string="name = 'rotjax'")
  (run,) = client.search_runs([experiment.experiment_id])
  history = client.get_metric_history(run.info.run_id, "train/loss")
  assert [(m.step, m.value) for m in history] == [(1, 1), (2, 0.5), (3, 1 / 3)]
  assert run.data.params["head.name"] == config.head.name
  assert run.info.run_name == "a-3" and run.info.status == "FINISHED"


@pytest.mark.filterwarnings("default")
def test_wandb_writes_offline(tmp_path, monkeypatch):
  pytest.importorskip("wandb")
  monkeypatch.setenv("WANDB_MODE", "offline")
  ids = []
  for first in (0, 2):
    every = writers.opened(tmp_path, first, _config("wandb"))
    for writer in every:
      writer.write(first + 1, {"train/loss": 1.0})
    for writer in every:
      writer.close()
    ids.append((tmp_path / "wandb" / "id").read_text())
  assert ids[0] == ids[1]
  files = list(tmp_path.glob(f"wandb/offline-run-*{ids[0]}/*.wandb"))
  assert len(files) == 2 and all(f.stat().st_size > 500 for f in files)
