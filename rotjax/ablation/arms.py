"""Running the arms of a sweep: here, in processes, or as a Slurm array.

Every launcher consumes the manifest; what runs an arm is always `run_arm`.
"""

from collections.abc import Sequence
import pathlib
import shlex
import subprocess
import sys
import time
import traceback

import jax

from rotjax import errors, files, stopping
from rotjax.ablation import manifest, sweep, tuning
from rotjax.config import resolve
from rotjax.run import locking
from rotjax.run import train as launch_lib


def run_arm(
  plan: sweep.Sweep, arm: sweep.Arm, workdir: pathlib.Path
) -> str | None:
  """Tunes an arm and trains the seeds that are not finished.

  Args:
    plan: the sweep.
    arm: one of its arms.
    workdir: of the sweep.

  Returns:
    The error that ended it, which is on record in `failed.json` unless another
    process is at work on the arm; None when the arm is done.

  Raises:
    errors.Stopped: a signal came; the arm can be resumed.
  """
  try:
    with locking.Lock(manifest.folder(workdir, arm)):
      return _run_held_arm(plan, arm, workdir)
  except locking.HeldError as error:
    return str(error)


def _run_held_arm(plan, arm, workdir):
  """`run_arm`, in a folder that is locked."""
  folder = manifest.folder(workdir, arm)
  (folder / "failed.json").unlink(missing_ok=True)
  try:
    config = arm.config
    chosen: list[dict] = []
    if plan.tuning:
      config, chosen = tuning.choose(config, folder / "tuning", plan.tuning)
    folders = manifest.seed_folders(workdir, arm)
    together = launch_lib.train_seeds(config, folders)
    record = {
      "tuning": chosen,
      "seeds_together": together,
      "device": jax.devices()[0].device_kind,
    }
    if together is not None:
      files.write_json(folder / "arm.json", record)
  except (errors.Stopped, locking.HeldError):
    raise
  except Exception as error:  # the sweep goes on, whatever it was
    first = (str(error).splitlines() or [""])[0]
    message = f"{type(error).__name__}: {first}"
    files.write_json(
      folder / "failed.json",
      {"error": message, "traceback": traceback.format_exc()},
    )
    return message
  return None


class _Clock:
  """Says how far a sweep has come and when it may end."""

  def __init__(self, total: int):
    self._total, self._done, self._since = total, 0, time.monotonic()

  def line(self, what: str) -> None:
    elapsed = time.monotonic() - self._since
    text = f"[{self._done}/{self._total}] {what}, {_minutes(elapsed)} so far"
    if self._done:
      left = elapsed / self._done * (self._total - self._done)
      text += f", about {_minutes(left)} left"
    print(f"rotjax: {text}", file=sys.stderr, flush=True)

  def ended(self, name: str, error: str | None) -> None:
    self._done += 1
    self.line(f"{name} failed: {error}" if error else f"{name} done")


def _minutes(seconds: float) -> str:
  return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def to_do(plan: sweep.Sweep, workdir: pathlib.Path) -> list[sweep.Arm]:
  """The arms that are not done; failed ones are tried again."""
  arms = plan.arms
  return [a for a in arms if manifest.status(workdir, a) != "done"]


def local(
  plan: sweep.Sweep,
  workdir: pathlib.Path,
  num_workers: int,
  flags: Sequence[str] = (),
) -> None:
  """Runs what is to do on this machine.

  Args:
    plan: the sweep.
    workdir: of the sweep.
    num_workers: 1 runs the arms in this process; more, each in one of its own.
    flags: of these processes' commands.

  Raises:
    errors.Stopped: a signal came.
  """
  arms = to_do(plan, workdir)
  clock = _Clock(len(arms))
  with stopping.on_signals() as stop:
    if num_workers > 1:
      _processes(arms, workdir, num_workers, flags, clock, stop)
      return
    for arm in arms:
      stop.check()
      clock.line(f"{arm.name} begins")
      clock.ended(arm.name, run_arm(plan, arm, workdir))
      # No other arm runs its programs; a long sweep would gather gigabytes.
      jax.clear_caches()


def command(
  workdir: pathlib.Path, arm: sweep.Arm, flags: Sequence[str] = ()
) -> list[str]:
  """The command line that runs one arm of a manifest, whose name ends it."""
  module = ["-m", "rotjax.ablate", "--workdir", str(workdir)]
  return [sys.executable, *module, *flags, "--arm", arm.name]


def _processes(arms, workdir, num_workers, flags, clock, stop):
  waiting, running = list(arms), {}
  try:
    while waiting or running:
      while waiting and len(running) < num_workers:
        arm = waiting.pop(0)
        folder = manifest.folder(workdir, arm)
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "log.txt", "a", encoding="utf-8") as log:
          process = subprocess.Popen(
            command(workdir, arm, flags), stdout=log, stderr=subprocess.STDOUT
          )
        running[arm.name] = arm, process
        clock.line(f"{arm.name} begins")
      for arm, process in list(running.values()):
        if process.poll() is None:
          continue
        del running[arm.name]
        if process.returncode == stopping.EXIT_STATUS:
          raise errors.Stopped(f"a signal to {arm.name}")
        clock.ended(arm.name, _process_error(workdir, arm, process.returncode))
      stop.check()
      time.sleep(0.1)
  finally:
    for _, process in running.values():
      process.terminate()
    for _, process in running.values():
      process.wait()


def _process_error(workdir, arm, returncode) -> str | None:
  if manifest.status(workdir, arm) == "done":
    return None
  error = manifest.failure(workdir, arm)
  if error is None:  # killed, or it could not even begin
    folder = manifest.folder(workdir, arm)
    error = f"its process ended with status {returncode}, see {folder}/log.txt"
    try:
      with locking.Lock(folder):
        files.write_json(folder / "failed.json", {"error": error})
    except locking.HeldError as held:
      return str(held)
  return error


def sbatch_script(
  plan: sweep.Sweep,
  workdir: pathlib.Path,
  options: dict[str, str],
  flags: Sequence[str] = (),
) -> str:
  """A job array with one task for each arm that is to do.

  A task is told 60 seconds before its time is over, saves, exits with status
  75 and puts itself back into the queue. A second array for the same workdir
  waits until the first has ended, and finds its arms done.

  Args:
    plan: the sweep.
    workdir: of the sweep, on a file system that the nodes share.
    options: of sbatch, for example {"partition": "gpu", "time": "4:00:00"}.
    flags: of the tasks' commands.

  Returns:
    The text of the script.
  """
  arms = to_do(plan, workdir)
  # A percent sign of the folder's is none of Slurm's patterns.
  logs = str(workdir).replace("%", "%%")
  fixed = {
    "job-name": f"{plan.name}-{resolve.digest({'workdir': workdir})}",
    "dependency": "singleton",  # one array of this name at a time
    "array": f"0-{len(arms) - 1}",
    "output": f"{logs}/slurm-%A_%a.txt",
    "open-mode": "append",
    "signal": "TERM@60",
    **options,
  }
  lines = ["#!/usr/bin/env bash", "#SBATCH --requeue"]
  # sbatch reads these lines with the quotes of a shell.
  lines += [
    f"#SBATCH --{key}={shlex.quote(value)}" for key, value in fixed.items()
  ]
  names = " ".join(shlex.quote(arm.name) for arm in arms)
  # srun, not bash: the signal goes to steps alone. It takes over what the job
  # has, but for the cores of a task.
  srun = ["srun"]
  if "cpus-per-task" in options:
    srun.append(f"--cpus-per-task={options['cpus-per-task']}")
  base = shlex.join([*srun, *command(workdir, arms[0], flags)[:-1]])
  lines += [
    "",
    f"arms=({names})",
    "status=0",
    f'{base} "${{arms[$SLURM_ARRAY_TASK_ID]}}" || status=$?',
    f'if [ "$status" -eq {stopping.EXIT_STATUS} ]; then',
    '  scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"',
    "fi",
    'exit "$status"',
  ]
  return "\n".join(lines) + "\n"
