"""`local`: the arms on this machine, one after another or in processes."""

import os
import subprocess
import sys
import time

import jax

from rotjax import errors, files, stopping
from rotjax.ablation import arms as arms_lib
from rotjax.ablation import devices, launchers, manifest
from rotjax.run import locking


def launch(job: launchers.Job) -> bool:
  """Runs what is to do: in this process, or with more workers one an arm.

  Raises:
    errors.Stopped: a signal came.
  """
  arms = arms_lib.to_do(job.plan, job.workdir)
  clock = _Clock(len(arms))
  with stopping.on_signals() as stop:
    if job.num_workers > 1:
      _processes(arms, job, clock, stop)
      return True
    for arm in arms:
      stop.check()
      clock.line(f"{arm.name} begins")
      clock.ended(arm.name, arms_lib.run_arm(job.plan, arm, job.workdir))
      # No other arm runs its programs; a long sweep would gather gigabytes.
      jax.clear_caches()
  return True


def show(job: launchers.Job) -> None:
  """Prints where each arm stands."""
  for arm in job.plan.arms:
    print(f"{manifest.status(job.workdir, arm):<14} {arm.name}")


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


def _processes(arms, job, clock, stop):
  waiting, running = list(arms), {}
  free = devices.of_workers(job.num_workers)
  try:
    while waiting or running:
      while waiting and len(running) < job.num_workers:
        arm = waiting.pop(0)
        folder = manifest.folder(job.workdir, arm)
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "log.txt", "a", encoding="utf-8") as log:
          process = subprocess.Popen(
            arms_lib.command(job.workdir, arm, job.flags),
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | free[-1],
          )
        running[arm.name] = arm, process, free.pop()
        clock.line(f"{arm.name} begins")
      for arm, process, mine in list(running.values()):
        if process.poll() is None:
          continue
        del running[arm.name]
        free.append(mine)
        if process.returncode == stopping.EXIT_STATUS:
          raise errors.Stopped(f"a signal to {arm.name}")
        error = _process_error(job.workdir, arm, process.returncode)
        clock.ended(arm.name, error)
      stop.check()
      time.sleep(0.1)
  finally:
    for _, process, _ in running.values():
      process.terminate()
    for _, process, _ in running.values():
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
