"""The campaign's faults do what they say, and its comparison notices."""

import errno
import json
import pathlib
import re
import shutil
import signal
import sys

import numpy as np
import orbax.checkpoint as ocp
import pytest

from rotjax.run import checkpoint
from rotjax.training import step as step_lib


@pytest.fixture(autouse=True)
def _scripts(monkeypatch):
  monkeypatch.syspath_prepend("experiments/faults")


def _state():
  rng = np.random.default_rng(0)
  params = {"kernel": rng.normal(size=(128, 128)).astype(np.float32)}
  return step_lib.TrainState(np.int32(3), params, {}, (), None)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
  folder = tmp_path_factory.mktemp("saved")
  store = checkpoint.Checkpoints(folder, 1)
  store.save("latest", _state(), {})
  store.close()
  return folder / "latest" / "3"


@pytest.fixture
def damaged(saved, tmp_path):
  return shutil.copytree(saved, tmp_path / "latest" / "3")


def _files(folder):
  return {
    file.relative_to(folder): file.read_bytes()
    for file in folder.rglob("*")
    if file.is_file()
  }


def _changed(damaged, saved):
  here, there = _files(damaged), _files(saved)
  return [name for name in there if here.get(name) != there[name]]


def _kernel(folder):
  """What orbax alone, without our digest, makes of the parameters."""
  with ocp.StandardCheckpointer() as checkpointer:
    return checkpointer.restore(folder / "state")["params"]["kernel"]


@pytest.mark.parametrize("seed", range(3))
def test_flip_turns_one_bit_of_an_array(saved, damaged, seed):
  import faults

  faults.flip_byte(damaged, np.random.default_rng(seed))
  (name,) = _changed(damaged, saved)
  a, b = (
    np.frombuffer((f / name).read_bytes(), np.uint8) for f in (saved, damaged)
  )
  (place,) = np.flatnonzero(a != b)
  assert int(a[place] ^ b[place]).bit_count() == 1
  np.testing.assert_array_equal(_kernel(saved), _state().params["kernel"])
  try:
    kernel = np.asarray(_kernel(damaged))
  except ValueError:  # the decoder of the compressed bytes has noticed
    return
  assert (kernel != _state().params["kernel"]).any()


@pytest.mark.parametrize("seed", range(3))
def test_truncate_cuts_the_file_of_the_arrays(saved, damaged, seed):
  import faults

  faults.truncate(damaged, np.random.default_rng(seed))
  (name,) = _changed(damaged, saved)
  whole, left = _files(saved)[name], _files(damaged)[name]
  assert len(whole) > 40_000  # most of the array's 64 KiB
  assert len(left) < len(whole) and whole.startswith(left)


def test_delete_metadata_takes_each_of_the_files_without_which_nothing_reads(
  saved, tmp_path
):
  import faults

  names = set()
  for seed in range(12):
    folder = tmp_path / str(seed) / "latest" / "3"
    shutil.copytree(saved, folder)
    name = faults.delete_metadata(folder, np.random.default_rng(seed))
    assert _changed(folder, saved) == [pathlib.Path(name)]
    if name in names:
      continue
    names.add(name)
    store = checkpoint.Checkpoints(tmp_path / str(seed), 1, read_only=True)
    with pytest.raises(Exception, match="step 3 is damaged"):
      store.restore("latest", _state())
    store.close()
  assert len(names) == 3


# Saves and validates when a run does, at its own pace, without training.
_STAND_IN = """
import json, pathlib, signal, sys, time

signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
folder = pathlib.Path(sys.argv[1])
latest = folder / "checkpoints" / "latest"
latest.mkdir(parents=True)
log = open(folder / "metrics.jsonl", "w", buffering=1)
for step in range(1, 121):
  time.sleep(0.002)
  log.write(json.dumps({"step": step, "train/loss": 1.0}) + "\\n")
  if step % 40 == 0:
    time.sleep(0.02)
    log.write(json.dumps({"step": step, "val/mae_deg": 1.0}) + "\\n")
  if step % 10 == 0:
    new = latest / f"{step}.orbax-checkpoint-tmp"
    new.mkdir()
    time.sleep(0.02)
    new.rename(latest / str(step))
(folder / "calibration.json").touch()
time.sleep(0.02)
(folder / "predictions.npz").touch()
"""


@pytest.fixture
def run(tmp_path):
  import runs

  class StandIn(runs.Run):
    command = [sys.executable, "-c", _STAND_IN, str(tmp_path / "run")]

  run = StandIn(tmp_path / "run", 0.3)
  yield run
  run.close()


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_in_a_save_leaves_its_unfinished_folder(run, seed):
  import faults

  hit = faults.FAULTS["SIGKILL in a save"](run, np.random.default_rng(seed))
  assert (
    hit.ended.status == -signal.SIGKILL and hit.ended.status in hit.expected
  )
  (step,) = run.saving()
  assert hit.moment == f"saving step {step}"
  assert (
    run.folder / f"checkpoints/latest/{step}.orbax-checkpoint-tmp"
  ).is_dir()


@pytest.mark.parametrize("kind", ["SIGKILL", "SIGTERM"])
@pytest.mark.parametrize("seed", range(4))
def test_a_fault_in_an_evaluation_comes_before_its_result(run, kind, seed):
  import faults

  hit = faults.FAULTS[f"{kind} in an evaluation"](
    run, np.random.default_rng(seed)
  )
  assert hit.ended.status == {"SIGKILL": -9, "SIGTERM": 75}[kind]
  last = run.last_row()
  if hit.moment == "test set":
    assert run.is_new("calibration.json") and not run.is_new("predictions.npz")
  else:
    assert hit.moment == f"validation {last['step']}"
    assert last["step"] % 40 == 0 and "train/loss" in last


def test_a_signal_comes_at_a_step(run):
  import faults

  hit = faults.FAULTS["SIGTERM"](run, np.random.default_rng(0))
  assert hit.ended.status == 75 and 75 in hit.expected
  assert hit.moment == f"step {hit.moment.split()[1]}"
  assert int(hit.moment.split()[1]) <= run.step()


def test_who_misses_the_moment_says_so(run):
  import faults
  import runs

  run.usual_seconds = 1e6
  with pytest.raises(runs.Missed):
    faults.FAULTS["SIGKILL"](run, np.random.default_rng(0))


def test_a_run_that_hangs_is_ended(tmp_path, monkeypatch):
  import runs

  class Hanging(runs.Run):
    command = [sys.executable, "-c", "import time; time.sleep(60)"]

  monkeypatch.setattr(runs, "_LIMIT_SECONDS", 0.2)
  run = Hanging(tmp_path / "run", 0.1)
  run.start()
  with pytest.raises(TimeoutError):
    run.wait_until(lambda: False)
  assert run.wait() == runs.Ended(None, "")
  assert run._process.returncode == -signal.SIGKILL


def test_a_full_disk_is_full(tmp_path):
  import faults

  disk = tmp_path / "disk"
  try:
    faults.mount_small_disk(disk)
  except faults.SkippedError as error:
    pytest.skip(str(error))
  try:
    faults._fill(disk / "ballast", 100_000)
    with pytest.raises(OSError) as caught:
      (disk / "more").write_bytes(bytes(200_000))
    assert caught.value.errno == errno.ENOSPC
    (disk / "ballast").unlink()
    (disk / "more").write_bytes(bytes(200_000))
  finally:
    faults.unmount(disk)
  assert not disk.is_mount() and not list(disk.iterdir())


def _finished(folder, change=None):
  """A run folder as `differences` reads it, one thing of it changed."""
  content = {
    "summary": {
      "step": 2,
      "seconds": 1.0,
      "test": {"mae_deg": 0.1 + 0.2, "nll": float("nan")},
      "test_interval": {"mae_deg": [0.1, 0.5]},
    },
    "arrays": {"theta": np.arange(4, dtype=np.float32)},
    "rows": [
      {"step": 1, "train/loss": 1.0, "time/images_per_second": 5.0},
      {"step": 2, "train/loss": 0.5},
      {"step": 2, "val/mae_deg": 3.0},
    ],
  }
  if change:
    change(content)
  folder.mkdir()
  (folder / "summary.json").write_text(json.dumps(content["summary"]))
  np.savez(folder / "predictions.npz", **content["arrays"])
  lines = [json.dumps(row) + "\n" for row in content["rows"]]
  (folder / "metrics.jsonl").write_text("".join(lines))
  return folder


def _other_time(c):
  c["summary"]["seconds"] = 9.0
  c["rows"][0]["time/images_per_second"] = 7.0


def test_equal_runs_have_no_differences(tmp_path):
  import runs

  a = _finished(tmp_path / "a")
  assert runs.differences(_finished(tmp_path / "b", _other_time), a) == []


@pytest.mark.parametrize(
  "change, words",
  [
    (lambda c: c["summary"]["test"].update(mae_deg=0.3), "test.mae_deg"),
    (lambda c: c["summary"].update(step=1), "step is 1, not 2"),
    (lambda c: c["summary"]["test"].pop("nll"), "test.nll is None"),
    (lambda c: c["arrays"]["theta"].view(np.int32).__ior__(1), ": theta"),
    (lambda c: c["arrays"].update(more=np.zeros(1)), ": more"),
    (lambda c: c["rows"].pop(1), "missing \\[\\(2, 'train'\\)\\]"),
    (lambda c: c["rows"].append(c["rows"][0]), "1 rows twice"),
    (lambda c: c["rows"][2].update({"val/mae_deg": 4.0}), "at steps \\[2\\]"),
  ],
)
def test_a_difference_is_named(tmp_path, change, words):
  import runs

  reference = _finished(tmp_path / "reference")
  found = runs.differences(_finished(tmp_path / "run", change), reference)
  assert len(found) == 1
  assert re.search(words, found[0]), found


def test_an_unfinished_run_is_not_equal(tmp_path):
  import runs

  reference = _finished(tmp_path / "reference")
  run = _finished(tmp_path / "run")
  (run / "summary.json").unlink()
  assert runs.differences(run, reference) == ["no summary.json"]


def test_what_is_not_as_documented_is_a_problem():
  import campaign
  import faults
  import runs

  def problems(status=75, resumed=0, stderr="", damaged=None, says="x"):
    hit = faults.Hit("", runs.Ended(status, "x"), (75,), says, damaged)
    return campaign.problems([hit], [runs.Ended(resumed, stderr)], [])

  assert problems() == []
  assert "status 0 after the fault" in problems(status=0)[0]
  assert problems(status=None) == ["hangs after the fault"]
  assert "statuses [2]" in problems(resumed=2)[0]
  assert "does not say 'disk'" in problems(says="disk")[0]
  assert problems(stderr="Traceback (most") == ["a traceback on stderr"]
  warning = "checkpoint of step 20 is damaged (x): going back to step 10"
  assert problems(stderr=warning, damaged=(20, 10)) == []
  assert "warned of the damaged steps []" in problems(damaged=(20, 10))[0]
  assert problems(stderr=warning, damaged=(30, 20)) and problems(stderr=warning)


def test_the_table_has_a_row_a_kind():
  import campaign

  outcome = {
    "fault": "SIGTERM",
    "moments": ["step 5"],
    "statuses": [75],
    "resumed_at": [5],
    "outcome": "as uninterrupted",
  }
  bad = outcome | {"moments": ["step 7"], "outcome": "no summary.json"}
  skipped = outcome | {"fault": "full disk", "outcome": "skipped: no mount"}
  lines = campaign.table([outcome, bad, skipped]).splitlines()
  assert lines[2:] == [
    "| SIGTERM | 2 | step 5<br>step 7 | 75<br>75 | 5<br>5 |"
    " 1 of 2 as uninterrupted<br>no summary.json |",
    "| full disk | 0 |  |  |  | skipped: no mount |",
  ]
