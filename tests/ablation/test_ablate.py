"""The command: arms run, fail, resume, and end in a table; launchers."""

import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time

import pytest

from rotjax import ablate, errors, stopping
from rotjax.ablation import arms, launchers, manifest, sweep
from rotjax.ablation.launchers import local
from rotjax.run import locking

pytestmark = pytest.mark.usefixtures("quick_runs")

EXPERIMENT = '''"""Which arm?"""
from rotjax.config import base

def get_config(variant=""):
  return base.make(
    variant,
    {
      "num_steps": STEPS,
      "batch_size": 16,
      "model.widths": (8, 8, 8),
      "model.hidden": 16,
      "eval.num_angles": 2,
      "eval.warp": "own",
      "optim.warmup": 0.0,
    },
  )

def sweep():
  yield "good", {}
  yield "bad", {"head.name": "vector", "head.loss": "mse",
                "optim.learning_rate": 1e30}
'''


def write(folder, steps=4):
  file = folder / "which.py"
  file.write_text(EXPERIMENT.replace("STEPS", str(steps)))
  return ["--sweep", str(file), "--workdir", str(folder / "run")]


@pytest.mark.slow
def test_a_failed_arm_does_not_stop_the_sweep(tmp_path, capsys):
  argv = write(tmp_path)
  with pytest.raises(errors.UserError, match="1 of 2 arms failed.*bad"):
    ablate.main(argv)
  out = capsys.readouterr().out
  assert "bad (failed: NotFiniteError: the loss" in out and "chance" in out
  workdir = tmp_path / "run"
  assert (workdir / "table.md").exists()
  plan = manifest.read(workdir)
  good, bad = plan.arms
  assert manifest.status(workdir, good) == "done"
  record = json.loads((manifest.folder(workdir, good) / "arm.json").read_text())
  assert record == {"device": "cpu", "seeds_together": False, "tuning": []}
  failed = manifest.folder(workdir, bad) / "failed.json"
  assert "Traceback" in json.loads(failed.read_text())["traceback"]
  # Again: the finished arm is left alone, the failed one tried once more.
  summary = next(manifest.folder(workdir, good).rglob("summary.json"))
  before = summary.stat().st_mtime_ns
  failed.write_text('{"error": "old"}')
  with pytest.raises(errors.UserError, match="NotFiniteError"):
    ablate.main(argv)
  assert summary.stat().st_mtime_ns == before
  # A dry run changes nothing and says where each arm stands.
  capsys.readouterr()
  assert ablate.main([*argv, "--dry_run"]) == 0
  shown = capsys.readouterr().out.split()
  assert shown == ["done", "good", "failed", "bad"]
  # More seeds keep the first; another setting is another arm.
  more = ["--dry_run", "--config.num_seeds=2"]
  ablate.main([*argv, *more])
  assert capsys.readouterr().out.startswith("1 of 2 seeds")
  ablate.main([*argv, "--dry_run", "--config.batch_size=8"])
  assert capsys.readouterr().out.startswith("to do")


# The fast one of workers is of one that is killed.
@pytest.mark.slow
def test_workers_run_arms_in_processes_of_their_own(tmp_path):
  argv = write(tmp_path)
  with pytest.raises(errors.UserError, match="1 of 2 arms failed"):
    ablate.main([*argv, "--workers", "2"])
  plan = manifest.read(tmp_path / "run")
  statuses = [manifest.status(tmp_path / "run", arm) for arm in plan.arms]
  assert statuses == ["done", "failed"]
  log = manifest.folder(tmp_path / "run", plan.arms[1]) / "log.txt"
  assert "not finite" in log.read_text()


def test_a_stopped_sweep_goes_on(tmp_path):
  argv = write(tmp_path, steps=100_000)
  command = [sys.executable, "-m", "rotjax.ablate", *argv]
  process = subprocess.Popen(
    command, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
  )
  metrics = None
  while not metrics:  # until it trains
    assert process.poll() is None
    time.sleep(0.2)
    found = (tmp_path / "run").rglob("metrics.jsonl")
    metrics = [f for f in found if f.stat().st_size]
  process.send_signal(signal.SIGTERM)
  _, stderr = process.communicate(timeout=60)
  assert process.returncode == 75
  assert "stopped by SIGTERM; the same command goes on" in stderr
  plan = manifest.read(tmp_path / "run")
  assert manifest.status(tmp_path / "run", plan.arms[0]) == "begun"
  latest = metrics[0].parent / "checkpoints" / "latest"
  assert any(latest.iterdir())


def test_command_lines_and_the_job_array(tmp_path, capsys):
  argv = write(tmp_path)
  assert ablate.main([*argv, "--launcher", "print"]) == 0
  lines = capsys.readouterr().out.splitlines()
  workdir = tmp_path / "run"
  wanted = f"-m rotjax.ablate --workdir {workdir} --arm"
  assert [line.partition(" ")[2] for line in lines] == [
    f"{wanted} good",
    f"{wanted} bad",
  ]
  slurm = ["--launcher", "slurm", "--dry_run", "--partition", "gpu"]
  slurm += ["--time", "4:00:00", "--cpus_per_task", "8"]
  assert ablate.main([*argv, *slurm]) == 0
  script = capsys.readouterr().out
  for line in (
    "#SBATCH --array=0-1",
    "#SBATCH --requeue",
    "#SBATCH --signal=TERM@60",
    "#SBATCH --partition=gpu",
    "#SBATCH --time=4:00:00",
    "#SBATCH --cpus-per-task=8",
    "arms=(good bad)",
  ):
    assert line in script.splitlines()
  # Plain bash, and each task runs its own arm.
  script = script.replace("srun ", "echo ")
  assert "echo --cpus-per-task=8 " in script
  done = subprocess.run(
    ["bash"],
    input=script,
    text=True,
    capture_output=True,
    env={**os.environ, "SLURM_ARRAY_TASK_ID": "1"},
  )
  assert done.returncode == 0 and done.stdout.endswith("--arm bad\n")


@pytest.mark.parametrize("launcher", ["print", "slurm"])
def test_arms_elsewhere_do_without_the_compile_cache_too(
  launcher, tmp_path, capsys
):
  argv = [*write(tmp_path), "--no_compile_cache", "--launcher", launcher]
  assert ablate.main(argv if launcher == "print" else [*argv, "--dry_run"]) == 0
  assert "run --no_compile_cache --arm" in capsys.readouterr().out


def test_a_folder_of_any_name_is_quoted(tmp_path, capsys):
  folder = tmp_path / "it's 5% ours"
  folder.mkdir()
  argv = write(folder)
  assert ablate.main([*argv, "--launcher", "print"]) == 0
  words = shlex.split(capsys.readouterr().out.splitlines()[0])
  assert words[-4:] == ["--workdir", f"{folder}/run", "--arm", "good"]
  assert ablate.main([*argv, "--launcher", "slurm", "--dry_run"]) == 0
  script = capsys.readouterr().out
  (output,) = [line for line in script.splitlines() if "--output=" in line]
  # A lone percent sign would begin one of Slurm's patterns.
  logs = str(folder).replace("5%", "5%%")
  assert shlex.split(output)[1] == f"--output={logs}/run/slurm-%A_%a.txt"


def test_a_signal_between_two_seeds_stops_an_arm(tmp_path, monkeypatch):
  argv = write(tmp_path)
  ablate.main([*argv, "--launcher", "print"])  # writes the manifest

  def train_seeds(config, folders):
    os.kill(os.getpid(), signal.SIGTERM)
    with stopping.on_signals() as stop:  # the next seed's
      stop.check()

  monkeypatch.setattr(arms.train_lib, "train_seeds", train_seeds)
  arm = ["--arm", "good", "--workdir", str(tmp_path / "run")]
  before = signal.signal(signal.SIGTERM, lambda *_: None)
  try:
    assert ablate.main(arm) == stopping.EXIT_STATUS
  finally:
    signal.signal(signal.SIGTERM, before)


def test_a_refused_second_process_leaves_no_failure(tmp_path):
  argv = write(tmp_path)
  ablate.main([*argv, "--launcher", "print"])
  workdir = tmp_path / "run"
  plan = manifest.read(workdir)
  good = plan.arms[0]
  folder = manifest.folder(workdir, good)
  with locking.Lock(folder):
    before = sorted(folder.iterdir())
    error = arms.run_arm(plan, good, workdir)
    assert error.startswith(f"another process is at work in {folder}")
    # What a worker that was refused is told of by its parent.
    assert local._process_error(workdir, good, 2) == error
    assert sorted(folder.iterdir()) == before
  assert manifest.failure(workdir, good) is None


def test_arms_that_are_running_keep_their_manifest(tmp_path):
  argv = write(tmp_path)
  ablate.main([*argv, "--launcher", "print"])
  file = tmp_path / "run" / "sweep.json"
  before = file.read_bytes()
  with manifest.opened(tmp_path / "run") as plan:
    assert [arm.name for arm in plan.arms] == ["good", "bad"]
    # The same sweep may come again, another one may not.
    ablate.main([*argv, "--launcher", "print"])
    with pytest.raises(errors.UserError, match="another process is at work"):
      ablate.main([*argv, "--launcher", "print", "--config.batch_size=8"])
    assert file.read_bytes() == before
  ablate.main([*argv, "--launcher", "print", "--config.batch_size=8"])
  assert file.read_bytes() != before


def test_arms_named_by_lists_have_folders_that_checkpoints_can_use(tmp_path):
  name = r"[8, 8]\*?" + "é" * 200
  arm = sweep.Arm(name, None, "12345678")
  folder = manifest.folder(tmp_path, arm)
  locking.check_path(folder)
  folder.mkdir()
  assert folder.name.startswith("_8, 8_") and folder.name.endswith("é-12345678")


def test_bad_input_is_one_line(tmp_path, monkeypatch):
  argv = write(tmp_path)
  with pytest.raises(errors.UserError, match="--workers=0"):
    ablate.main([*argv, "--workers", "0"])
  with pytest.raises(errors.UserError, match="needs the sweep's --workdir"):
    ablate.main(["--arm", "good"])
  with pytest.raises(errors.UserError, match="holds no sweep"):
    ablate.main(["--arm", "good", "--workdir", str(tmp_path / "none")])
  monkeypatch.setenv("PATH", str(tmp_path))
  with pytest.raises(errors.UserError, match="no sbatch on this machine"):
    ablate.main([*argv, "--launcher", "slurm"])
  with pytest.raises(errors.UserError, match="did you mean 'good'"):
    ablate.main(["--arm", "god", "--workdir", str(tmp_path / "run")])
  assert not list((tmp_path / "run").rglob("failed.json"))


def test_a_worker_that_is_killed_is_recorded(tmp_path, monkeypatch):
  argv = write(tmp_path)
  kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
  monkeypatch.setattr(arms, "command", lambda *_: [sys.executable, "-c", kill])
  with pytest.raises(errors.UserError, match="2 of 2 arms failed.*status -9"):
    ablate.main([*argv, "--workers", "2"])


def test_every_launcher_is_a_file_and_a_line(tmp_path, capsys):
  folder = pathlib.Path(launchers.__file__).parent
  files = {file.stem for file in folder.glob("*.py")} - {"__init__"}
  assert files == set(launchers.LAUNCHERS)
  argv = write(tmp_path)
  for name in launchers.LAUNCHERS:
    assert ablate.main([*argv, "--launcher", name, "--dry_run"]) == 0
    assert "good" in capsys.readouterr().out
  assert not (tmp_path / "run").exists()


def test_nothing_is_handed_over_when_every_arm_is_done(
  tmp_path, capsys, monkeypatch
):
  monkeypatch.setattr(manifest, "status", lambda workdir, arm: "done")
  monkeypatch.setenv("PATH", str(tmp_path))  # no sbatch
  argv = write(tmp_path)
  for name in ("print", "slurm"):
    for flags in ([], ["--dry_run"]):
      assert ablate.main([*argv, "--launcher", name, *flags]) == 0
      assert capsys.readouterr().out == "every arm is done\n"
