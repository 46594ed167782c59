"""Whose folder it is: locks, failed starts, what overwriting deletes."""

import errno
import fcntl
import json
import os
import pathlib
import subprocess
import sys

import jax
import pytest

from rotjax import errors
from rotjax.run import claim, locking, train
from tests import run_folders


class _Data:
  def __init__(self, content="40 pictures abc"):
    self.content = lambda: content


def _begin(configs, data=None, **kwargs):
  with claim.Claim(configs, **kwargs) as held:
    held.begin(data or _Data())


def _checkpoint(folder, step=3):
  place = folder / "checkpoints" / "latest" / str(step)
  place.mkdir(parents=True)
  (place / "arrays").write_text("many hours")


def _run(folder, **overrides):
  """A run that has saved a checkpoint."""
  config = run_folders.config(**overrides)
  _begin({folder: config})
  _checkpoint(folder)
  return config


def _files(folder):
  return {
    str(p.relative_to(folder)): p.read_bytes()
    for p in folder.rglob("*")
    if p.is_file() and p.name != locking.FILE
  }


def test_a_start_that_fails_leaves_nothing(tmp_path):
  folder = tmp_path / "made" / "run"
  config = run_folders.config(num_seeds=2)
  seed = folder / "seed-0"
  with pytest.raises(RuntimeError), claim.Claim({folder: config, seed: config}):
    assert seed.exists()
    raise RuntimeError("no such data")
  assert list(tmp_path.iterdir()) == []
  # What was there stays.
  folder.mkdir(parents=True)
  with pytest.raises(RuntimeError), claim.Claim({folder: config}):
    raise RuntimeError("no such data")
  assert list(folder.iterdir()) == []
  # The corrected command is not another experiment.
  _begin({folder: run_folders.config(seed=8)})


@pytest.mark.parametrize(
  "left", [[], [".lock"], [".lock", ".rotjax-0a1b.part"]]
)
def test_a_start_that_was_killed_is_no_obstacle(tmp_path, left):
  seed = tmp_path / "seed-0"
  seed.mkdir()
  for name in left:
    (tmp_path / name).touch()
    (seed / name).touch()
  config = run_folders.config(num_seeds=2)
  _begin({tmp_path: config, seed: run_folders.config()})
  # Nor is one that had written its config, and no more.
  _begin({tmp_path: run_folders.config(seed=3)})
  stored = json.loads((tmp_path / "config.json").read_text())
  assert stored["seed"] == 3
  assert not seed.exists()


_HOLD = """
import pathlib, signal, sys
from rotjax.run import locking
locking.Lock(pathlib.Path(sys.argv[1]))
print("held", flush=True)
signal.pause()
"""


def test_the_lock_goes_with_the_process(tmp_path):
  command = [sys.executable, "-c", _HOLD, str(tmp_path)]
  with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
    assert process.stdout.readline() == "held\n"
    with pytest.raises(locking.HeldError, match="another process is at work"):
      locking.Lock(tmp_path)
    process.kill()
  locking.Lock(tmp_path).release()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_running_run_keeps_its_config_and_checkpoints(tmp_path, overwrite):
  config, other = run_folders.config(), run_folders.config(seed=1)
  with claim.Claim({tmp_path: config}) as held:
    held.begin(_Data())
    for saved in (False, True):
      if saved:
        _checkpoint(tmp_path)
      before = _files(tmp_path)
      with pytest.raises(locking.HeldError):
        _begin({tmp_path: other}, overwrite=overwrite)
      assert _files(tmp_path) == before


def test_a_seed_that_runs_keeps_its_parent_from_being_overwritten(tmp_path):
  config = run_folders.config(num_seeds=2)
  seeds = {tmp_path / f"seed-{s}": run_folders.config(seed=s) for s in (0, 1)}
  _begin({tmp_path: config, **seeds})
  _checkpoint(tmp_path / "seed-0")
  before = _files(tmp_path)
  with locking.Lock(tmp_path / "seed-1"), pytest.raises(locking.HeldError):
    _begin({tmp_path: run_folders.config()}, overwrite=True)
  assert _files(tmp_path) == before


def test_another_experiment_is_refused_with_what_differs(tmp_path):
  _run(tmp_path)
  before = _files(tmp_path)
  words = "another experiment .*num_steps is 1000 there and 7 here"
  with pytest.raises(errors.UserError, match=words):
    _begin({tmp_path: run_folders.config(num_steps=7)})
  assert _files(tmp_path) == before


def test_memory_and_dispatch_are_no_part_of_the_experiment(tmp_path):
  _run(tmp_path)
  _begin(
    {
      tmp_path: run_folders.config(
        eval__batch_views=256, steps_per_call=4, executor="pmap"
      )
    }
  )
  assert (tmp_path / "checkpoints/latest/3").exists()


_MINE = (
  *("notes.txt", "seed-notes.txt", "report.html", "eval-mine/summary.json"),
  *("seed-a/config.json", "seed-7/summary.json", "seed-0/notes.txt"),
  *("plots/mine.png", "checkpoints/latest/mine.txt", "tensorboard/mine"),
  *("checkpoints/mine/3/x", "eval-other-12345678/mine.txt"),
)
_WRITTEN = (
  *("summary.json", "metrics.jsonl", "predictions.npz", "calibration.json"),
  *("plots/donut.png", "plots/curves.png", "tensorboard/events.out.0"),
  *("wandb/id", "mlflow/runs.db"),
  *("checkpoints/best/2/x", "checkpoints/latest/4/state/x"),
  *("checkpoints/set_aside/latest-6-1/x", "eval-csv-0123abcd/summary.json"),
  *("seed-0/summary.json", "seed-0/checkpoints/best/2/x"),
  *("eval-csv-0123abcd/seed-0/config.json", "seed-12/checkpoints/best/1/x"),
)


def test_overwriting_deletes_what_a_run_wrote_and_nothing_else(tmp_path):
  config = run_folders.config(num_seeds=2)
  folder = tmp_path / "run"
  seeds = [folder / f"seed-{n}" for n in (0, 1, 12)]
  evaluated = folder / "eval-csv-0123abcd"
  below = {
    f: run_folders.config() for f in (*seeds, evaluated, evaluated / "seed-0")
  }
  _begin({folder: config, **below})
  stored = (folder / "seed-0" / "config.json").read_text()
  for name in (*_MINE, *_WRITTEN):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(stored if path.name == "config.json" else name)
  (folder / "seed-a" / "config.json").write_text(stored)
  _begin({folder: run_folders.config(seed=5)}, overwrite=True)
  assert set(_files(folder)) == {*_MINE, "config.json", "identity.json"}
  assert json.loads((folder / "config.json").read_text())["seed"] == 5


@pytest.mark.parametrize(
  "name", ["checkpoints", "checkpoints/latest", "plots", "metrics.jsonl"]
)
def test_links_are_not_followed(tmp_path, name):
  folder, there = tmp_path / "run", tmp_path / "there"
  folder.mkdir()
  _run(there)
  (there / "latest" / "3").mkdir(parents=True)
  (there / "3").mkdir()
  config = run_folders.config()
  _begin({folder: config})
  (folder / "summary.json").write_text("{}")
  link = folder / name
  link.parent.mkdir(exist_ok=True)
  link.symlink_to(there)
  before = _files(folder), _files(there)
  with pytest.raises(errors.UserError, match=f"{link} is a symbolic link"):
    _begin({folder: config}, overwrite=True)
  assert (_files(folder), _files(there)) == before


def test_a_linked_seed_is_left_alone(tmp_path):
  folder, there = tmp_path / "run", tmp_path / "there"
  _run(there)
  _run(folder)
  (folder / "seed-3").symlink_to(there)
  before = _files(there)
  _begin({folder: run_folders.config()}, overwrite=True)
  assert _files(there) == before and (folder / "seed-3").is_symlink()


@pytest.mark.parametrize("text", ["{}", '{"architectures": ["GPT"]}', "[1]"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_config_of_something_else_is_kept(tmp_path, text, overwrite):
  (tmp_path / "config.json").write_text(text)
  (tmp_path / "summary.json").write_text("mine")
  before = _files(tmp_path)
  with pytest.raises(errors.UserError, match="config.json"):
    _begin({tmp_path: run_folders.config()}, overwrite=overwrite)
  assert _files(tmp_path) == before


@pytest.mark.parametrize("name", ["a[b", "a]b", "[1, 2]", "a\\b", "a*", "a?"])
def test_paths_that_are_patterns_are_refused_at_the_start(tmp_path, name):
  with pytest.raises(errors.UserError, match="cannot hold checkpoints"):
    _begin({tmp_path / name / "run": run_folders.config()})
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", ["\udcff", "a\0b", "x" * 300])
def test_paths_that_no_file_system_takes_are_one_line(tmp_path, bad):
  with pytest.raises(errors.UserError, match="choose another --workdir"):
    _begin({tmp_path / bad: run_folders.config()})


def test_a_file_in_the_way_is_one_line(tmp_path):
  (tmp_path / "file").write_text("mine")
  for path in (tmp_path / "file", tmp_path / "file" / "run"):
    with pytest.raises(errors.UserError, match="choose another --workdir|file"):
      _begin({path: run_folders.config()}, overwrite=True)
  with pytest.raises(errors.UserError, match="choose another --workdir"):
    _begin({pathlib.Path("/dev/null/x"): run_folders.config()})


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_one_line(tmp_path, monkeypatch, code):
  def flock(*_):
    raise OSError(code, os.strerror(code))

  monkeypatch.setattr(fcntl, "flock", flock)
  with pytest.raises(errors.UserError, match=os.strerror(code)):
    locking.Lock(tmp_path / "run")
  assert list(tmp_path.iterdir()) == []


def test_a_lock_whose_file_was_removed_is_taken_anew(tmp_path, monkeypatch):
  # The holder before gave up its start, between our opening and locking.
  real, calls = fcntl.flock, []

  def flock(handle, how):
    calls.append(how)
    if len(calls) == 1:
      (tmp_path / locking.FILE).unlink()
    real(handle, how)

  monkeypatch.setattr(fcntl, "flock", flock)
  lock = locking.Lock(tmp_path)
  assert len(calls) == 2
  with pytest.raises(locking.HeldError):
    locking.Lock(tmp_path)
  lock.release()


def test_data_that_changed_are_refused(tmp_path):
  config = _run(tmp_path)
  before = _files(tmp_path)
  words = "data was 40 pictures abc and is 36 pictures def"
  with pytest.raises(errors.UserError, match=words):
    _begin({tmp_path: config}, _Data("36 pictures def"))
  assert _files(tmp_path) == before
  # A run from before there was such a file goes on, and has one then.
  (tmp_path / claim.IDENTITY).unlink()
  _begin({tmp_path: config}, _Data("36 pictures def"))
  with pytest.raises(errors.UserError, match="data was 36 pictures def"):
    _begin({tmp_path: config})
  # Overwritten it is another run.
  _begin({tmp_path: config}, overwrite=True)


@pytest.mark.parametrize(
  "switch, value",
  [
    ("jax_threefry_partitionable", False),
    ("jax_default_prng_impl", "rbg"),
    ("jax_enable_x64", True),
  ],
)
@pytest.mark.parametrize("old", [False, True])
def test_what_draws_otherwise_is_refused(tmp_path, switch, value, old):
  config = _run(tmp_path)
  if old:
    (tmp_path / claim.IDENTITY).unlink()
  usual = getattr(jax.config, switch)
  jax.config.update(switch, value)
  try:
    with pytest.raises(errors.UserError, match=f"{switch} was {usual} and is"):
      _begin({tmp_path: config})
  finally:
    jax.config.update(switch, usual)
  _begin({tmp_path: config})


def _refuse(*_, **__):
  raise AssertionError("a run that is only shown takes no lock")


def test_a_finished_run_is_shown_without_a_lock_or_a_write(
  tmp_path, monkeypatch, capsys
):
  one, two = run_folders.config(), run_folders.config(num_seeds=2)
  run_folders.write_run(tmp_path / "one", one, run_folders.predictions())
  run_folders.write_seeds(tmp_path / "two", two)
  before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
  monkeypatch.setattr(locking, "Lock", _refuse)
  for name, config in (("one", one), ("two", two)):
    assert train.train(config, tmp_path / name) == 0
    shown = capsys.readouterr().out
    assert "finished already" in shown and str(tmp_path / name) in shown
  assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before
  with pytest.raises(errors.UserError, match="another experiment"):
    train.train(run_folders.config(seed=4), tmp_path / "one")
