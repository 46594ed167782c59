"""A sweep's workdir: its manifest, and where each arm stands.

`sweep.json` holds the whole sweep, configs included, so that workers, tables
and reports need nothing else. An arm lives in `<name>-<address>/`, with a run
folder `seed-N/` for each seed; a changed arm has another address, runs anew,
and leaves the old folder alone.
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import json
import pathlib
import re
from typing import Any

import rotjax
from rotjax import errors, files
from rotjax.ablation import sweep as sweep_lib
from rotjax.ablation import tuning
from rotjax.config import resolve
from rotjax.run import layout, locking

FILE = "sweep.json"


def folder(workdir: pathlib.Path, arm: sweep_lib.Arm) -> pathlib.Path:
  """Of one arm, whose name may hold what no path of ours may.

  As long as a file system takes it.
  """
  name = re.sub(r"[^\w .,+=@()-]", "_", arm.name).encode()[:200]
  return workdir / f"{name.decode(errors='ignore')}-{arm.address}"


def seed_folders(
  workdir: pathlib.Path, arm: sweep_lib.Arm
) -> dict[int, pathlib.Path]:
  """Seed -> run folder of an arm."""
  config = arm.config
  return layout.below(folder(workdir, arm), config.seed, config.num_seeds)


def finished(
  workdir: pathlib.Path, arm: sweep_lib.Arm
) -> dict[int, pathlib.Path]:
  """Those of `seed_folders` that hold results."""
  folders = seed_folders(workdir, arm)
  return {s: f for s, f in folders.items() if layout.is_finished(f)}


def failure(workdir: pathlib.Path, arm: sweep_lib.Arm) -> str | None:
  """The error that ended an arm's last attempt, if it was one."""
  file = folder(workdir, arm) / "failed.json"
  return files.read_json(file)["error"] if file.exists() else None


def status(workdir: pathlib.Path, arm: sweep_lib.Arm) -> str:
  """ "done", "failed", "2 of 3 seeds", "begun" or "to do"."""
  done = len(finished(workdir, arm))
  if done == arm.config.num_seeds:
    return "done"
  if failure(workdir, arm) is not None:
    return "failed"
  if done:
    return f"{done} of {arm.config.num_seeds} seeds"
  return "begun" if folder(workdir, arm).exists() else "to do"


def write(workdir: pathlib.Path, sweep: sweep_lib.Sweep) -> None:
  """Makes a folder this sweep's.

  Raises:
    UserError: it holds another sweep, or files that are no sweep's; or another
      process is at work there with other arms.
  """
  with hold(workdir, sweep):
    pass


@contextlib.contextmanager
def hold(workdir: pathlib.Path, sweep: sweep_lib.Sweep) -> Iterator[None]:
  """Makes a folder this sweep's, and keeps it so while the context is open.

  The same sweep may be held by several processes at the same time.

  Raises:
    UserError: see `write`.
  """
  content = _content(sweep)
  lock = locking.Lock(workdir, shared=_holds(workdir, content))
  begun = False
  try:
    if not _holds(workdir, content):
      _check(workdir, sweep)
      files.write_json(workdir / FILE, content)
      lock.share()
    begun = True
    yield
  finally:
    lock.release(undo=not begun)


@contextlib.contextmanager
def opened(workdir: pathlib.Path) -> Iterator[sweep_lib.Sweep]:
  """The sweep of a workdir, which stays what it is while the context is open.

  Raises:
    UserError: none, or one that cannot be read.
  """
  read(workdir)
  with locking.Lock(workdir, shared=True):
    yield read(workdir)


def _holds(workdir, content) -> bool:
  file = workdir / FILE
  return file.exists() and files.read_json(file) == content


def _check(workdir, sweep) -> None:
  if (workdir / FILE).exists():
    other = read(workdir).name
    if other != sweep.name:
      raise errors.UserError(
        f"workdir {workdir} holds the sweep {other!r}, not {sweep.name!r}:"
        " choose another --workdir"
      )
    return
  # A start that was killed leaves these two.
  ours = (locking.FILE, files.PARTS)
  if not all(any(map(p.match, ours)) for p in workdir.iterdir()):
    raise errors.UserError(
      f"workdir {workdir} holds files but no sweep (no {FILE}): choose another"
      " --workdir"
    )


def _content(sweep: sweep_lib.Sweep) -> dict[str, Any]:
  """What `read` reads, as JSON brings it back."""
  content = {
    "name": sweep.name,
    "question": sweep.question,
    "baseline": sweep.baseline,
    "rotjax": rotjax.__version__,
    "columns": sweep.columns,
    "tuning": sweep.tuning and dataclasses.asdict(sweep.tuning),
    "arms": [
      {
        "name": arm.name,
        "address": arm.address,
        "config": arm.config.to_dict(),
      }
      for arm in sweep.arms
    ],
  }
  return json.loads(json.dumps(content))


def read(workdir: pathlib.Path) -> sweep_lib.Sweep:
  """The sweep that a workdir holds.

  Raises:
    UserError: none, or one that cannot be read.
  """
  file = workdir / FILE
  if not file.exists():
    raise errors.UserError(
      f"{workdir} holds no sweep (no {FILE}): run rotjax.ablate first"
    )
  found = files.read_json(file)
  try:
    budget = found["tuning"] and tuning.Budget(**found["tuning"])
    arms = [
      sweep_lib.Arm(
        a["name"],
        resolve.from_json(json.dumps(a["config"])),
        a["address"],
      )
      for a in found["arms"]
    ]
    # What names the folders: a config that lacks a field has no address.
    for arm in arms:
      seed_folders(workdir, arm)
    return sweep_lib.Sweep(
      found["name"],
      found["question"],
      arms,
      found["baseline"],
      budget,
      tuple(found.get("columns", ())),
    )
  except (AttributeError, KeyError, TypeError) as error:
    raise errors.UserError(
      f"{file} is not a sweep of this version ({error})"
    ) from None
