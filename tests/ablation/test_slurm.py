"""Job arrays and single jobs on a real Slurm: run, stopped, requeued."""

import os
import pathlib
import subprocess
import sys
import time

import pytest

from rotjax import tables
from rotjax.ablation import arms, manifest
from tests import slurm
from tests.ablation import test_ablate

pytestmark = pytest.mark.slow

_ROOT = pathlib.Path(__file__).parents[2]
_TEMPLATES = _ROOT / "experiments" / "cluster" / "slurm"
SINGLE = _TEMPLATES / "single.sbatch"
SEVERAL = _TEMPLATES / "multi_node.sbatch"
# Some seconds of training: long enough to be stopped, short enough to end.
STEPS = 1500


@pytest.fixture(scope="session")
def cluster():
  install = os.environ.get("ROTJAX_INSTALL_SLURM") == "1"
  found = None
  try:
    slurm.find(install)
    found = slurm.Cluster()
    found.start()
    yield found
  except slurm.MissingError as error:
    if install:  # who asks for it wants to know
      raise
    pytest.skip(f"no Slurm: {error}")
  finally:
    if found:
      found.stop()


def until(condition, seconds=300):
  deadline = time.monotonic() + seconds
  while not (found := condition()):
    assert time.monotonic() < deadline
    time.sleep(0.1)
  return found


def ended(cluster, job):
  """The state of a job that no longer waits, runs or completes."""
  state = cluster.job(job)["JobState"]
  return state not in ("PENDING", "RUNNING", "COMPLETING") and state


def metrics(folder):
  return [f for f in folder.rglob("metrics.jsonl") if f.stat().st_size]


def submit(cluster, *command):
  done = subprocess.run(
    command, env=cluster.env, capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr
  words = done.stdout.split()
  assert words[:3] == ["Submitted", "batch", "job"]
  return words[3].rstrip(";"), done.stdout


def submit_sweep(cluster, folder, *options, steps=STEPS):
  argv = test_ablate.write(folder, steps)
  command = [sys.executable, "-m", "rotjax.ablate", *argv]
  return submit(cluster, *command, "--launcher", "slurm", *options)


def requeued(cluster, job):
  """Waits until a job that was told to stop is back in the queue."""
  until(lambda: cluster.job(job)["Reason"] == "BeginTime")
  assert cluster.job(job)["Restarts"] == "1"


def test_an_array_runs_every_arm_and_goes_on_after_a_stop(cluster, tmp_path):
  folder = tmp_path / "it's 100% ours"
  folder.mkdir()
  job, said = submit_sweep(cluster, folder, "--cpus_per_task", "1")
  workdir = folder / "run"
  assert "rotjax.tables --workdir " in said
  good, bad = f"{job}_0", f"{job}_1"
  until(
    lambda: {cluster.job(j)["JobState"] for j in (good, bad)} == {"RUNNING"}
  )
  plan = manifest.read(workdir)
  folders = [manifest.folder(workdir, arm) for arm in plan.arms]
  until(lambda: metrics(folders[0]))
  cluster.run("scancel", "--signal=TERM", good)
  requeued(cluster, good)
  assert until(lambda: ended(cluster, good)) == "COMPLETED"
  assert until(lambda: ended(cluster, bad)) == "FAILED"
  assert cluster.job(bad)["ExitCode"] == "2:0"
  assert cluster.job(bad)["Restarts"] == "0"

  statuses = [manifest.status(workdir, arm) for arm in plan.arms]
  assert statuses == ["done", "failed"]
  assert [arm.name for arm in arms.to_do(plan, workdir)] == ["bad"]
  log = (workdir / f"slurm-{good}.txt").read_text()
  assert "rotjax: stopped by SIGTERM" in log
  assert log.index("stopped by SIGTERM") < log.index("resuming at step")
  assert "not finite" in (workdir / f"slurm-{bad}.txt").read_text()
  tables.main(["--workdir", str(workdir)])
  table = (workdir / "table.md").read_text()
  assert "good" in table and "bad (failed: NotFiniteError" in table


def test_a_cancelled_array_stays_away_and_can_be_resumed(cluster, tmp_path):
  job, _ = submit_sweep(cluster, tmp_path, steps=100_000)
  workdir = tmp_path / "run"
  # The same command again waits.
  again, _ = submit_sweep(cluster, tmp_path, steps=100_000)
  until(lambda: cluster.job(again)["Reason"] == "Dependency")
  cluster.run("scancel", again)
  good = manifest.read(workdir).arms[0]
  until(lambda: metrics(manifest.folder(workdir, good)))
  cluster.run("scancel", job)
  assert until(lambda: ended(cluster, f"{job}_0")) == "CANCELLED"
  until(lambda: not cluster.run("squeue", "-h"))
  assert cluster.job(f"{job}_0")["Restarts"] == "0"
  assert manifest.status(workdir, good) == "begun"
  assert any(workdir.rglob("checkpoints/latest/*"))


def test_a_single_run_goes_on_after_a_stop(cluster, tmp_path, monkeypatch):
  test_ablate.write(tmp_path, STEPS)
  workdir = tmp_path / "one run"
  # As in an active environment.
  path = f"{pathlib.Path(sys.executable).parent}:{cluster.env['PATH']}"
  monkeypatch.setitem(cluster.env, "PATH", path)
  log = tmp_path / "log.txt"
  argv = ["--config", str(tmp_path / "which.py"), "--workdir", str(workdir)]
  job, _ = submit(cluster, "sbatch", f"--output={log}", str(SINGLE), *argv)
  until(lambda: metrics(workdir))
  cluster.run("scancel", "--signal=TERM", job)
  requeued(cluster, job)
  assert until(lambda: ended(cluster, job)) == "COMPLETED"
  assert (workdir / "summary.json").exists()
  text = log.read_text()
  assert text.index("stopped by SIGTERM") < text.index("resuming at step")


def test_several_tasks_are_one_run_and_go_on_after_a_stop(
  cluster, tmp_path, monkeypatch
):
  # Two tasks of one node find each other as those of several do.
  test_ablate.write(tmp_path)
  workdir = tmp_path / "run"
  path = f"{pathlib.Path(sys.executable).parent}:{cluster.env['PATH']}"
  monkeypatch.setitem(cluster.env, "PATH", path)
  log = tmp_path / "log.txt"
  argv = ["--config", str(tmp_path / "which.py"), "--workdir", str(workdir)]
  sbatch = ["sbatch", "--ntasks=2", f"--output={log}", str(SEVERAL)]
  job, _ = submit(cluster, *sbatch, *argv)
  until(lambda: metrics(workdir))
  cluster.run("scancel", "--signal=TERM", job)
  requeued(cluster, job)
  assert until(lambda: ended(cluster, job)) == "COMPLETED"
  assert (workdir / "summary.json").exists()
  text = log.read_text()
  assert text.count("2 processes, 2 devices (slurm)") == 2
  assert text.count("stopped by") == 1  # said once, by the first
  assert text.index("stopped by") < text.index("resuming at step")
  refused = subprocess.run(
    ["srun", "-n2", sys.executable, "-m", "rotjax.main", *argv[:2]]
    + ["--config.distributed=off", "--workdir", str(tmp_path / "no")],
    env=cluster.env,
    capture_output=True,
    text=True,
  )
  assert "distributed = off, but this is one of several" in refused.stderr
  assert not (tmp_path / "no").exists()
