"""Timing several candidates in one process, so that ratios mean something.

Candidates take turns, the order is reversed every other round, and each window
notes how much of the machine other processes used: a contended window flatters
whoever needs fewer threads, so medians are over the quiet ones. A ratio is the
median over rounds of two neighbouring windows', which drifts less than the
ratio of two medians.
"""

import argparse
from collections.abc import Callable, Sequence
import dataclasses
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import time
from typing import Any

import numpy as np

# Other processes may use this many cores in a window that counts.
QUIET_CORES = 0.15
# Fewer quiet windows than this, and all of them count.
ENOUGH = 3


@dataclasses.dataclass(frozen=True)
class Timing:
  """Seconds per call of one candidate.

  Attributes:
    seconds: of each round's window.
    others: cores that other processes used meanwhile.
  """

  seconds: tuple[float, ...]
  others: tuple[float, ...]

  def _percentile(self, q: float) -> float:
    quiet = [s for s, o in zip(self.seconds, self.others) if o < QUIET_CORES]
    return float(
      np.percentile(quiet if len(quiet) >= ENOUGH else self.seconds, q)
    )

  @property
  def median(self) -> float:
    """Over quiet windows, or over all where too few were quiet."""
    return self._percentile(50)

  @property
  def low(self) -> float:
    """10th percentile of the same windows."""
    return self._percentile(10)

  @property
  def high(self) -> float:
    """90th percentile of the same windows."""
    return self._percentile(90)

  @property
  def rounds(self) -> int:
    """Windows there were."""
    return len(self.seconds)

  @property
  def quiet(self) -> int:
    """Windows in which others left the machine alone."""
    return sum(o < QUIET_CORES for o in self.others)

  def scaled(self, factor: float) -> "Timing":
    """The timing of `factor` times the work."""
    return Timing(tuple(factor * s for s in self.seconds), self.others)


@dataclasses.dataclass(frozen=True)
class Ratio:
  """How many times as long one candidate took as another.

  Attributes:
    median: over rounds.
    low: 10th percentile.
    high: 90th percentile.
  """

  median: float
  low: float
  high: float

  def __str__(self):
    return f"{self.median:.2f}x ({self.low:.2f}..{self.high:.2f})"


def ratio(slow: Timing, fast: Timing) -> Ratio:
  """Seconds of `slow` over seconds of `fast`, round by round.

  Args:
    slow: of one `interleave`.
    fast: of the same.

  Returns:
    Over the rounds in which both windows were quiet, or over all where those
    are too few.
  """
  pairs = list(zip(slow.seconds, fast.seconds))
  quiet = [
    pair
    for pair, *others in zip(pairs, slow.others, fast.others)
    if max(others) < QUIET_CORES
  ]
  ratios = [s / f for s, f in (quiet if len(quiet) >= ENOUGH else pairs)]
  low, median, high = (float(p) for p in np.percentile(ratios, (10, 50, 90)))
  return Ratio(median, low, high)


def _busy_seconds() -> float:
  """CPU seconds used by the whole machine, 0 where that is not known."""
  try:
    with open("/proc/stat") as file:
      fields = [int(x) for x in file.readline().split()[1:]]
  except OSError:
    return 0.0
  idle = fields[3] + fields[4]
  return (sum(fields) - idle) / os.sysconf("SC_CLK_TCK")


def _window(call: Callable[[], None], repeats: int) -> tuple[float, float]:
  """Seconds per call, and the cores that others used meanwhile."""
  busy, own = _busy_seconds(), time.process_time()
  start = time.perf_counter()
  for _ in range(repeats):
    call()
  wall = time.perf_counter() - start
  own, busy = time.process_time() - own, _busy_seconds() - busy
  return wall / repeats, max(busy - own, 0.0) / wall


def interleave(
  candidates: dict[str, Callable[[], None]],
  rounds: int = 9,
  seconds: float = 0.3,
) -> dict[str, Timing]:
  """Times candidates in turn.

  Args:
    candidates: name -> a call that returns when its work is done.
    rounds: windows of each.
    seconds: length of a window, about.

  Returns:
    name -> timing.
  """
  repeats = {}
  for name, call in candidates.items():
    call()  # compiles
    once, _ = _window(call, 1)
    repeats[name] = max(1, round(seconds / once))
  seen = {name: [] for name in candidates}
  for r in range(rounds):
    for name in list(candidates)[:: 1 if r % 2 == 0 else -1]:
      seen[name].append(_window(candidates[name], repeats[name]))
  return {name: Timing(*zip(*windows)) for name, windows in seen.items()}


def cores() -> int:
  """Cores that this process may use."""
  try:
    return len(os.sched_getaffinity(0))
  except AttributeError:  # not on Linux
    return os.cpu_count() or 1


def machine() -> str:
  """One line about this machine; JAX and torch use as many threads as cores."""
  model = "unknown CPU"
  try:
    with open("/proc/cpuinfo") as file:
      model = next(
        (line.split(":")[1].strip() for line in file if "model name" in line),
        model,
      )
  except OSError:
    pass
  load = os.getloadavg()[0]
  return f"{model}, {cores()} cores and threads, load {load:.2f} at the end"


def versions(*names: str) -> str:
  """Installed versions of distributions, those that are there."""
  found = []
  for name in names:
    try:
      found.append(f"{name} {importlib.metadata.version(name)}")
    except importlib.metadata.PackageNotFoundError:
      pass
  return ", ".join(found)


def contended(rows: dict[str, Timing]) -> str:
  """A warning where other processes ran in most windows; else ""."""
  quiet = sum(t.quiet for t in rows.values())
  total = sum(t.rounds for t in rows.values())
  if 2 * quiet >= total:
    return ""
  return (
    f"**Other processes used the machine in {total - quiet} of {total} windows:"
    " these figures are not to be quoted.**"
  )


def markdown(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
  """A Markdown table."""
  lines = [header, ["---"] * len(header), *rows]
  return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def table(rows: dict[str, Timing], items: float, ours: str) -> str:
  """Markdown: items/s and how many times faster `ours` is than each."""
  lines = [
    (
      name,
      f"{items / t.median:,.0f}",
      f"{items / t.high:,.0f}..{items / t.low:,.0f}",
      ratio(t, rows[ours]),
      f"{t.quiet}/{t.rounds}",
    )
    for name, t in rows.items()
  ]
  head = ("candidate", "per second", "10%..90%", "ours is", "quiet windows")
  note = contended(rows)
  return markdown(head, lines) + (f"\n\n{note}" if note else "")


def parser(
  description: str, rounds: int | None = None
) -> argparse.ArgumentParser:
  """The flags that every program has; --rounds where it is given a default."""
  p = argparse.ArgumentParser(
    description=description,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  p.add_argument("--out", type=pathlib.Path, help="also write the tables here")
  if rounds:
    p.add_argument("--rounds", type=int, default=rounds, help="how often each")
  p.add_argument(
    "--quick",
    action="store_true",
    help="tiny shapes: does it run? Its figures mean nothing",
  )
  return p


def publish(parts: Sequence[str], out: pathlib.Path | None) -> None:
  """Prints paragraphs, and writes them where `out` is given."""
  text = "\n\n".join(part for part in parts if part) + "\n"
  print(text)
  if out:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text)


def child(
  arguments: Sequence[str], environment: dict[str, str] | None = None
) -> dict[str, Any]:
  """Runs this Python on `arguments` in a process of its own.

  Args:
    arguments: a script and its flags, or `-c` and code; the last line that it
      prints is a JSON object.
    environment: added to this process's.

  Returns:
    The object.

  Raises:
    RuntimeError: it failed; with the last line of its complaint.
  """
  done = subprocess.run(
    [sys.executable, *arguments],
    env={**os.environ, **(environment or {})},
    capture_output=True,
    text=True,
  )
  if done.returncode:
    last = (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
    raise RuntimeError(f"{arguments[0]}: {last}")
  return json.loads(done.stdout.strip().splitlines()[-1])
