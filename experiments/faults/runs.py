"""Training runs as the campaign starts, watches, hits and compares them."""

from collections.abc import Callable, Mapping
import dataclasses
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import numpy as np

# Small and short, but with all that a resumed run must take up again: dropout,
# the average of the weights, validations, saves every few steps.
NUM_STEPS = 120
SAVE_EVERY = 10
VALIDATE_EVERY = 40
_OPTIONS = {
  "num_steps": NUM_STEPS,
  "model.dropout": 0.2,
  "optim.ema_decay": 0.9,
  "eval.num_angles": 24,
  # Ten images a call, so that the test set is ten calls.
  "eval.batch_views": 240,
  "eval.every_steps": VALIDATE_EVERY,
  "checkpoint.every_steps": SAVE_EVERY,
  "log.every_steps": 1,
}
_ROOT = pathlib.Path(__file__).parents[2]
_POLL_SECONDS = 0.001
# A run that takes longer hangs.
_LIMIT_SECONDS = 120


class Missed(Exception):
  """The run ended before the fault came."""


@dataclasses.dataclass(frozen=True)
class Ended:
  """How a process ended.

  Attributes:
    status: exit status; minus the signal's number where one killed it; None
      where it hung and was killed for that.
    stderr: all of it.
  """

  status: int | None
  stderr: str


class Run:
  """A run folder and the process, or processes, at work in it.

  Attributes:
    folder: given as --workdir.
    usual_seconds: that a run takes here from start to end.
    count: processes of each start; the first is the one that is watched.
    starts: how often the command was started.
  """

  def __init__(
    self, folder: pathlib.Path, usual_seconds: float, count: int = 1
  ):
    self.folder, self.usual_seconds, self.count = folder, usual_seconds, count
    self.starts = 0
    self._process: subprocess.Popen | None = None
    self._others: list[subprocess.Popen] = []
    self._started_ns = 0

  @property
  def command(self) -> list[str]:
    """The same every time."""
    options = [f"--config.{k}={v}" for k, v in _OPTIONS.items()]
    config = ["--config", str(_ROOT / "configs" / "smoke.py"), *options]
    workdir = ["--workdir", str(self.folder)]
    return [sys.executable, "-m", "rotjax.main", *config, *workdir]

  def start(self) -> None:
    """Starts the command, on CPU devices unless the environment says else."""
    self.starts += 1
    self.folder.parent.mkdir(parents=True, exist_ok=True)
    self._started_ns = time.time_ns()
    job = {}
    if self.count > 1:
      job = {
        "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{_free_port()}",
        "JAX_NUM_PROCESSES": str(self.count),
      }
    with open(self._log(), "wb") as log:
      self._process, *self._others = [
        subprocess.Popen(
          self.command,
          cwd=_ROOT,
          env={
            "JAX_PLATFORMS": "cpu",
            **os.environ,
            **job,
            "JAX_PROCESS_ID": str(index),
          },
          stdin=subprocess.DEVNULL,
          stdout=subprocess.DEVNULL,
          stderr=subprocess.DEVNULL if index else log,
        )
        for index in range(self.count)
      ]

  def wait(self) -> Ended:
    """Waits for the process to end, for as long as any run may take."""
    try:
      status = self._process.wait(_LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
      self.close()
      status = None
    for other in self._others:
      try:
        other.wait(_LIMIT_SECONDS)
      except subprocess.TimeoutExpired:
        self.close()
        status = None
    return Ended(status, self._log().read_text(errors="replace"))

  def kill_as_a_launcher(self, index: int) -> None:
    """SIGKILL to one process, and, as srun does then, soon to the others."""
    started = [self._process, *self._others]
    started[index].kill()
    started[index].wait()
    time.sleep(0.5)
    self.close()

  def send(self, number: signal.Signals, index: int = 0) -> None:
    """Sends a signal; a frozen process receives it and goes on.

    Raises:
      Missed: it has ended already.
    """
    process = [self._process, *self._others][index]
    if process.poll() is not None:
      raise Missed(f"ended before {number.name}")
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)

  def wait_until(self, condition: Callable[[], Any]) -> None:
    """Polls until the condition holds.

    Raises:
      Missed: the process ended before.
      TimeoutError: it hangs.
    """
    deadline = time.monotonic() + _LIMIT_SECONDS
    while not condition():
      if self._process.poll() is not None:
        raise Missed("the run ended before its moment came")
      if time.monotonic() > deadline:
        raise TimeoutError("the run hangs")
      time.sleep(_POLL_SECONDS)

  def freeze_when(self, condition: Callable[[], Any]) -> None:
    """Stops the process at a moment at which the condition surely holds.

    Without the stop it may be over before a signal arrives.

    Raises:
      Missed: the process ended before.
    """
    while True:
      self.wait_until(condition)
      self._process.send_signal(signal.SIGSTOP)
      os.waitid(
        os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT
      )
      if self._process.poll() is not None:
        raise Missed("the run ended before its moment came")
      if condition():
        return
      self._process.send_signal(signal.SIGCONT)

  def close(self) -> None:
    """Ends what still runs."""
    for process in (self._process, *self._others):
      if process is not None and process.poll() is None:
        process.kill()
        process.wait()

  def is_new(self, name: str) -> bool:
    """Whether the process at work has written a file of the run folder."""
    try:
      return (self.folder / name).stat().st_mtime_ns > self._started_ns
    except FileNotFoundError:
      return False

  def last_row(self) -> dict[str, Any]:
    """The last line of metrics.jsonl; empty before this process opened it."""
    if not self.is_new("metrics.jsonl"):
      return {}
    # Without what follows the last newline: a line is being written.
    lines = (self.folder / "metrics.jsonl").read_text().split("\n")[:-1]
    return json.loads(lines[-1]) if lines else {}

  def step(self) -> int:
    """The last step on record; 0 before the first."""
    return self.last_row().get("step", 0)

  def saving(self, which: str = "latest") -> list[int]:
    """Steps whose save this process has begun and not ended.

    Args:
      which: "latest" or "best".
    """
    steps = []
    folder = self.folder / "checkpoints" / which
    for path in folder.glob("*.orbax-checkpoint-tmp*"):
      try:
        if path.stat().st_mtime_ns > self._started_ns:
          steps.append(int(path.name.partition(".")[0]))
      except FileNotFoundError:  # renamed meanwhile: that save has ended
        pass
    return steps

  def saved(self, which: str = "latest") -> list[int]:
    """Steps that are saved, newest first."""
    folder = self.folder / "checkpoints" / which
    names = [path.name for path in folder.glob("*")]
    return sorted((int(name) for name in names if name.isdigit()), reverse=True)

  def checkpoint(self, step: int) -> pathlib.Path:
    """The folder of a "latest" checkpoint."""
    return self.folder / "checkpoints" / "latest" / str(step)

  def _log(self) -> pathlib.Path:
    return self.folder.with_name(f"{self.folder.name}-{self.starts}.txt")


def _free_port() -> int:
  with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    return free.getsockname()[1]


def read_rows(folder: pathlib.Path) -> list[dict[str, Any]]:
  """The lines of metrics.jsonl, without one that is cut short at the end."""
  text = (folder / "metrics.jsonl").read_text()
  return [json.loads(line) for line in text.split("\n")[:-1]]


def differences(folder: pathlib.Path, reference: pathlib.Path) -> list[str]:
  """In what a finished run differs from the uninterrupted one; times may.

  Args:
    folder: of the run.
    reference: folder of the uninterrupted one.

  Returns:
    A line for each difference; none if every number is the same, bit for bit.
  """
  files = ("summary.json", "predictions.npz", "metrics.jsonl")
  missing = [name for name in files if not (folder / name).exists()]
  if missing:
    return [f"no {name}" for name in missing]
  found = []
  here, there = (
    json.loads((f / "summary.json").read_text()) for f in (folder, reference)
  )
  for key in ("step", "test", "test_interval"):
    found += _differing(f"summary.json: {key}", here[key], there[key])
  with (
    np.load(folder / "predictions.npz") as here,
    np.load(reference / "predictions.npz") as there,
  ):
    found += [
      f"predictions.npz: {name}"
      for name in sorted({*here, *there})
      if not (name in here and name in there)
      or here[name].dtype != there[name].dtype
      or here[name].tobytes() != there[name].tobytes()
    ]
  return found + _differing_rows(read_rows(folder), read_rows(reference))


def _differing(what: str, here: Any, there: Any) -> list[str]:
  if isinstance(here, Mapping) and isinstance(there, Mapping):
    return [
      line
      for key in sorted({*here, *there})
      for line in _differing(f"{what}.{key}", here.get(key), there.get(key))
    ]
  # As text, so that NaN equals NaN; JSON keeps every digit.
  same = json.dumps(here) == json.dumps(there)
  return [] if same else [f"{what} is {here}, not {there}"]


def _differing_rows(here, there) -> list[str]:
  def numbers(rows):
    kept = (
      {k: v for k, v in row.items() if not k.startswith("time/")}
      for row in rows
    )
    return [json.dumps(row, sort_keys=True) for row in kept]

  def steps(rows):
    return [
      (row["step"], "val" if "val/mae_deg" in row else "train") for row in rows
    ]

  if steps(here) != steps(there):
    twice = len(here) - len(set(steps(here)))
    missing = sorted({*steps(there)} - {*steps(here)})
    return [f"metrics.jsonl: {twice} rows twice, missing {missing}, or order"]
  bad = [
    row["step"]
    for row, a, b in zip(here, numbers(here), numbers(there), strict=True)
    if a != b
  ]
  return [f"metrics.jsonl: other values at steps {bad}"] if bad else []
