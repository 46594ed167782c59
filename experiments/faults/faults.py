"""The faults: each starts a run, hits it at a drawn moment, sees it end.

A kind of fault is a function of a run and a random generator, and an entry of
`FAULTS`.
"""

from collections.abc import Callable
import dataclasses
import os
import pathlib
import signal
import subprocess
import time

import numpy as np
import runs

# Statuses of `rotjax.main`.
DONE, LOST, WRONG_INPUT, STOPPED = 0, 1, 2, 75
# For eight checkpoints; a run has four at most.
_DISK_BYTES = 32 * 2**20


class SkippedError(Exception):
  """This machine cannot have such a fault, and why."""


@dataclasses.dataclass(frozen=True)
class Hit:
  """What a fault did.

  Attributes:
    moment: in words.
    ended: how the process ended that was hit.
    expected: the statuses that are right.
    says: what its stderr has to say.
    damaged: (the damaged step, the step before it): the next start has to
      warn of both.
  """

  moment: str
  ended: runs.Ended
  expected: tuple[int, ...]
  says: str = ""
  damaged: tuple[int, int] | None = None


def _pause(rng: np.random.Generator, seconds: float = 0.03) -> None:
  """Some of the steps, and some of a save, take so long."""
  time.sleep(rng.uniform(0, seconds))


def _first_free_step(run: runs.Run) -> int:
  """The step from which a start of the run goes on."""
  return max([0, *run.saved()])


def _wait_for_a_step(run: runs.Run, rng: np.random.Generator) -> None:
  step = rng.integers(_first_free_step(run), runs.NUM_STEPS, endpoint=True)
  run.start()
  run.wait_until(lambda: run.last_row() and run.step() >= step)
  _pause(rng)


def kill(run: runs.Run, rng: np.random.Generator) -> Hit:
  """SIGKILL, anywhere from the first import to the last plot."""
  # Uniform over a run's time on this machine, as far as it is known; who
  # draws a moment after the end draws again.
  seconds = rng.uniform(0, run.usual_seconds)
  run.start()
  start = time.monotonic()
  run.wait_until(lambda: time.monotonic() > start + seconds)
  step = run.step()
  run.send(signal.SIGKILL)
  moment = f"step {step}" if step else f"after {seconds:.1f} s"
  if run.is_new("calibration.json"):
    moment = "final evaluation"
  return Hit(moment, run.wait(), (-signal.SIGKILL,))


def _stopped(run: runs.Run) -> tuple[int, ...]:
  """Statuses of a run that was told to stop."""
  # Told after the test set's last call, it is as soon done as stopped.
  done = (DONE,) if run.is_new("calibration.json") else ()
  return (STOPPED, *done)


def _told_to_stop(number: signal.Signals) -> Callable:
  def fault(run: runs.Run, rng: np.random.Generator) -> Hit:
    _wait_for_a_step(run, rng)
    moment = f"step {run.step()}"
    run.send(number)
    return Hit(moment, run.wait(), _stopped(run))

  return fault


def kill_mid_save(run: runs.Run, rng: np.random.Generator) -> Hit:
  """SIGKILL while a checkpoint is being written."""
  first = _first_free_step(run)
  step = rng.integers(first, runs.NUM_STEPS - runs.SAVE_EVERY)
  run.start()
  run.wait_until(lambda: any(s > step for s in run.saving()))
  _pause(rng)
  # The pause may have brought the end of that save: then in the next.
  run.freeze_when(lambda: any(s > step for s in run.saving()))
  moment = f"saving step {max(run.saving())}"
  run.send(signal.SIGKILL)
  return Hit(moment, run.wait(), (-signal.SIGKILL,))


def _evaluating(run: runs.Run, step: int) -> bool:
  """Whether the validation of a step, or the test set after the last, is on.

  The step's training row is written before its validation, and calibration
  ends where the test set begins.
  """
  if step > runs.NUM_STEPS:
    started, over = "calibration.json", "predictions.npz"
    return run.is_new(started) and not run.is_new(over)
  row = run.last_row()
  return row.get("step") == step and "train/loss" in row


def _mid_eval(number: signal.Signals) -> Callable:
  def fault(run: runs.Run, rng: np.random.Generator) -> Hit:
    # Validations still to come, and one more for the test set.
    every = runs.VALIDATE_EVERY
    first = _first_free_step(run) // every + 1
    last = runs.NUM_STEPS // every + 1
    step = every * int(rng.integers(first, last, endpoint=True))
    run.start()
    run.wait_until(lambda: _evaluating(run, step))
    _pause(rng, 0.01)
    run.freeze_when(lambda: _evaluating(run, step))
    run.send(number)
    moment = f"validation {step}" if step <= runs.NUM_STEPS else "test set"
    ended = run.wait()
    killed = number == signal.SIGKILL
    return Hit(moment, ended, (-number,) if killed else _stopped(run))

  return fault


def array_file(checkpoint: pathlib.Path) -> pathlib.Path:
  """The file that holds most of a checkpoint's arrays."""
  files = [f for f in checkpoint.glob("state/**/d/*") if f.is_file()]
  return max(files, key=lambda f: f.stat().st_size)


def flip_byte(checkpoint: pathlib.Path, rng: np.random.Generator) -> str:
  """Turns one bit of one byte of the arrays; returns which, in words."""
  file = array_file(checkpoint)
  data = bytearray(file.read_bytes())
  # Inner bytes: what is not an array lies at the file's ends.
  place = int(rng.integers(len(data) // 10, len(data) * 9 // 10))
  data[place] ^= 1 << int(rng.integers(8))
  file.write_bytes(data)
  return f"byte {place:,}"


def truncate(checkpoint: pathlib.Path, rng: np.random.Generator) -> str:
  """Cuts the file of the arrays; returns where, in words."""
  file = array_file(checkpoint)
  size = file.stat().st_size
  kept = int(rng.integers(size))
  os.truncate(file, kept)
  return f"{kept:,} of {size:,} bytes"


def delete_metadata(checkpoint: pathlib.Path, rng: np.random.Generator) -> str:
  """Deletes a file without which there is no reading; returns its name."""
  names = ("state/_METADATA", "state/manifest.ocdbt", "meta/metadata")
  name = names[rng.integers(len(names))]
  (checkpoint / name).unlink()
  return name


def _damaged(damage: Callable[[pathlib.Path, np.random.Generator], str]):
  def fault(run: runs.Run, rng: np.random.Generator) -> Hit:
    first = _first_free_step(run)
    step = rng.integers(first, runs.NUM_STEPS - runs.SAVE_EVERY)
    run.start()
    run.wait_until(lambda: run.step() >= step and len(run.saved()) > 1)
    run.send(signal.SIGKILL)
    ended = run.wait()
    newest, before = run.saved()[:2]
    words = damage(run.checkpoint(newest), rng)
    moment = f"checkpoint {newest} ({words})"
    expected = (-signal.SIGKILL,)
    return Hit(moment, ended, expected, damaged=(newest, before))

  return fault


def full_disk(run: runs.Run, rng: np.random.Generator) -> Hit:
  """The file system of the run folder fills up; later there is room again."""
  mount_small_disk(run.folder)
  step = rng.integers(runs.NUM_STEPS - runs.SAVE_EVERY)
  run.start()

  def at_rest():
    # A save under way would free a checkpoint's room when it ends.
    quiet = not run.saving() and not run.saving("best")
    quiet = quiet and len(run.saved()) < 3 and len(run.saved("best")) < 2
    return quiet and run.step() >= step and run.last_row()

  run.freeze_when(at_rest)
  ballast = run.folder / "ballast"
  # Less room than a checkpoint takes; half the time not even for a log's line.
  room = int(rng.integers(2) * rng.integers(2 * 2**20))
  moment = f"step {run.step()}, {room // 1024:,} KiB left"
  _fill(ballast, room)
  run.send(signal.SIGCONT)
  ended = run.wait()
  ballast.unlink()
  # Whatever is written first may be what finds the disk full: a checkpoint, a
  # row of metrics.jsonl or of TensorBoard.
  return Hit(moment, ended, (WRONG_INPUT,), "space")


def mount_small_disk(folder: pathlib.Path) -> None:
  """Mounts a file system of its own on an empty folder.

  Raises:
    SkippedError: this user may not mount.
  """
  folder.mkdir(parents=True, exist_ok=True)
  command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs"]
  try:
    done = subprocess.run(
      [*command, str(folder)], capture_output=True, text=True
    )
  except FileNotFoundError:
    raise SkippedError("no program `mount`") from None
  if done.returncode:
    # Not mount's own words: they hold this machine's paths.
    raise SkippedError("this user may not mount a tmpfs")


def unmount(folder: pathlib.Path) -> None:
  """Undoes `mount_small_disk`, where it was done."""
  if folder.is_mount():
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(ballast: pathlib.Path, room: int) -> None:
  """Leaves `room` bytes on the file system of a file that it makes."""
  with open(ballast, "wb", buffering=0) as file:
    free = os.statvfs(ballast).f_bavail * os.statvfs(ballast).f_frsize
    os.posix_fallocate(file.fileno(), 0, max(free - room, 1))


def kill_one_of_two(run: runs.Run, rng: np.random.Generator) -> Hit:
  """SIGKILL to one process of a job; its launcher then kills the other."""
  _wait_for_a_step(run, rng)
  index = int(rng.integers(run.count))
  moment = f"process {index}, step {run.step()}"
  run.kill_as_a_launcher(index)
  # The other may have noticed before: said so, or been aborted by jax.
  statuses = (-signal.SIGKILL, -signal.SIGABRT, LOST)
  return Hit(moment, run.wait(), statuses)


def tell_one_of_two(run: runs.Run, rng: np.random.Generator) -> Hit:
  """SIGTERM to one process of a job: all have to stop at the same step."""
  _wait_for_a_step(run, rng)
  index = int(rng.integers(run.count))
  moment = f"process {index}, step {run.step()}"
  run.send(signal.SIGTERM, index)
  return Hit(moment, run.wait(), _stopped(run))


FAULTS: dict[str, Callable[[runs.Run, np.random.Generator], Hit]] = {
  "SIGKILL": kill,
  "SIGTERM": _told_to_stop(signal.SIGTERM),
  "SIGUSR1": _told_to_stop(signal.SIGUSR1),
  "SIGINT": _told_to_stop(signal.SIGINT),
  "SIGKILL in a save": kill_mid_save,
  "SIGKILL in an evaluation": _mid_eval(signal.SIGKILL),
  "SIGTERM in an evaluation": _mid_eval(signal.SIGTERM),
  "flipped bit": _damaged(flip_byte),
  "truncated file": _damaged(truncate),
  "deleted metadata": _damaged(delete_metadata),
  "full disk": full_disk,
  "SIGKILL to one of two processes": kill_one_of_two,
  "SIGTERM to one of two processes": tell_one_of_two,
}
# Processes of the runs that a kind of fault hits; one where nothing is said.
PROCESSES = {
  "SIGKILL to one of two processes": 2,
  "SIGTERM to one of two processes": 2,
}
