"""Where things lie in a run folder, and what marks a finished run.

A run of one seed fills its workdir. With several seeds each has a run folder
`seed-N/` below the workdir, which itself holds the summary over them.
"""

import os
import pathlib
import re
from typing import Any

from rotjax import errors, files

CONFIG = "config.json"
# Written when the test is: the mark of a finished run, once nothing in it is
# pending.
SUMMARY = "summary.json"
PENDING = "pending"
# The summary of a run before it went on for more steps.
EXTENDED = "summary-of-[0-9]*-steps.json"
CALIBRATION = "calibration.json"
CHECKPOINTS = "checkpoints"
# Below a run of several seeds: the results of their ensemble.
ENSEMBLE = "ensemble"

_SEED = re.compile(r"seed-(\d+)")


def below(
  workdir: pathlib.Path, seed: int, num_seeds: int
) -> dict[int, pathlib.Path]:
  """Seed -> the run folder `seed-N/`, for seeds that are counted up."""
  return {n: workdir / f"seed-{n}" for n in range(seed, seed + num_seeds)}


def seed_folders(config: Any, workdir: pathlib.Path) -> dict[int, pathlib.Path]:
  """Seed -> run folder; one seed has no folder below the workdir."""
  if config.num_seeds == 1:
    return {config.seed: workdir}
  return below(workdir, config.seed, config.num_seeds)


def seeds_there(workdir: pathlib.Path) -> dict[int, pathlib.Path]:
  """Seed -> folder `seed-N/`, of those that are there, in order."""
  matches = ((_SEED.fullmatch(p.name), p) for p in workdir.glob("seed-*"))
  return dict(sorted((int(m[1]), p) for m, p in matches if m and p.is_dir()))


def is_tested(folder: pathlib.Path) -> bool:
  """Whether a run has left its results, be a second test pending or not."""
  return os.path.exists(folder / SUMMARY)


def is_finished(folder: pathlib.Path) -> bool:
  """Whether a run has left all its results, or a parent those of its seeds."""
  if not is_tested(folder):
    return False
  try:
    stored = files.read_json(folder / SUMMARY)
  except errors.UserError:
    return True  # whoever reads it says what is wrong with it
  return not (isinstance(stored, dict) and PENDING in stored)
