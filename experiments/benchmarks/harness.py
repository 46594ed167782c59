"""Timing several candidates in one process, so that ratios mean something.

Candidates take turns, the order is reversed every other round, and each window
notes how much of the machine other processes used: a contended window flatters
whoever needs fewer threads, so medians are over the quiet ones.
"""

from collections.abc import Callable
import dataclasses
import os
import time

import numpy as np

# Other processes may use this many cores in a window that counts.
QUIET_CORES = 0.15


@dataclasses.dataclass(frozen=True)
class Timing:
  """Seconds per call of one candidate.

  Attributes:
    median: over quiet windows, or over all where fewer than three were quiet.
    low: 10th percentile of the same windows.
    high: 90th percentile.
    quiet: how many of the windows were quiet.
    rounds: how many there were.
  """

  median: float
  low: float
  high: float
  quiet: int
  rounds: int


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
  result = {}
  for name, windows in seen.items():
    quiet = [wall for wall, others in windows if others < QUIET_CORES]
    used = quiet if len(quiet) >= 3 else [wall for wall, _ in windows]
    low, median, high = np.percentile(used, (10, 50, 90))
    result[name] = Timing(median, low, high, len(quiet), rounds)
  return result


def machine() -> str:
  """One line about this machine."""
  model = "unknown CPU"
  try:
    with open("/proc/cpuinfo") as file:
      model = next(
        (line.split(":")[1].strip() for line in file if "model name" in line),
        model,
      )
  except OSError:
    pass
  return f"{model}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}"


def table(rows: dict[str, Timing], items: int, ours: str) -> str:
  """Markdown: items/s and the ratio of `ours` to each candidate."""
  lines = [
    "| candidate | per second | 10%..90% | ours is | quiet windows |",
    "|---|---|---|---|---|",
  ]
  for name, t in rows.items():
    lines.append(
      f"| {name} | {items / t.median:,.0f} |"
      f" {items / t.high:,.0f}..{items / t.low:,.0f} |"
      f" {t.median / rows[ours].median:.2f}x | {t.quiet}/{t.rounds} |"
    )
  return "\n".join(lines)
