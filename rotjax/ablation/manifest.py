"""A sweep's workdir: its manifest, and where each arm stands.

`sweep.json` holds the whole sweep, configs included, so that workers, tables
and reports need nothing else. An arm lives in `<name>-<address>/`, with a run
folder `seed-N/` for each seed; a changed arm has another address, runs anew,
and leaves the old folder alone.
"""

import dataclasses
import json
import pathlib
from typing import Any

import rotjax
from rotjax import config as config_lib
from rotjax import errors, run_folder
from rotjax.ablation import sweep as sweep_lib
from rotjax.ablation import tuning

FILE = "sweep.json"


def folder(workdir: pathlib.Path, arm: sweep_lib.Arm) -> pathlib.Path:
  """Of one arm."""
  return workdir / f"{arm.name}-{arm.address}"


def seed_folders(
  workdir: pathlib.Path, arm: sweep_lib.Arm
) -> dict[int, pathlib.Path]:
  """Seed -> run folder of an arm."""
  first = arm.config.seed
  parent = folder(workdir, arm)
  seeds = range(first, first + arm.config.num_seeds)
  return {seed: parent / f"seed-{seed}" for seed in seeds}


def finished(
  workdir: pathlib.Path, arm: sweep_lib.Arm
) -> dict[int, pathlib.Path]:
  """Those of `seed_folders` that hold results."""
  found = seed_folders(workdir, arm)
  return {s: f for s, f in found.items() if (f / "summary.json").exists()}


def failure(workdir: pathlib.Path, arm: sweep_lib.Arm) -> str | None:
  """The error that ended an arm's last attempt, if it was one."""
  file = folder(workdir, arm) / "failed.json"
  return read_json(file)["error"] if file.exists() else None


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
    UserError: it holds another sweep, or files that are no sweep's.
  """
  file = workdir / FILE
  if file.exists():
    other = read(workdir).name
    if other != sweep.name:
      raise errors.UserError(
        f"workdir {workdir} holds the sweep {other!r}, not {sweep.name!r}:"
        " choose another --workdir"
      )
  elif workdir.exists() and (not workdir.is_dir() or any(workdir.iterdir())):
    raise errors.UserError(
      f"workdir {workdir} holds files but no sweep (no {FILE}): choose another"
      " --workdir"
    )
  workdir.mkdir(parents=True, exist_ok=True)
  run_folder.write_json(
    file,
    {
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
    },
  )


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
  found = read_json(file)
  try:
    budget = found["tuning"] and tuning.Budget(**found["tuning"])
    arms = [
      sweep_lib.Arm(
        a["name"],
        config_lib.from_json(json.dumps(a["config"])),
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


def read_json(file: pathlib.Path) -> Any:
  """What a JSON file holds.

  Raises:
    UserError: it is missing or broken.
  """
  try:
    return json.loads(file.read_text("utf-8"))
  except (OSError, ValueError) as error:
    raise errors.UserError(f"{file} cannot be read: {error}") from None
