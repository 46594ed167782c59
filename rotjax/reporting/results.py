"""Reading what finished runs left: one run, the seeds of one, or an arm's."""

from collections.abc import Mapping, Sequence
import dataclasses
import functools
import json
import pathlib
from typing import Any
import zipfile
import zlib

import numpy as np

from rotjax import errors, metrics
from rotjax.ablation import manifest
from rotjax.ablation import sweep as sweep_lib
from rotjax.config import load, named, resolve
from rotjax.run import layout
from rotjax.run import summary as summary_lib

# Arrays of predictions.npz beside the scores.
_FIELDS = ("true_deg", "predicted_deg", "example", "label")
# What NumPy raises about an archive that is cut short or damaged.
_BROKEN = (
  OSError,
  EOFError,
  KeyError,
  TypeError,
  ValueError,
  zipfile.BadZipFile,
  zlib.error,
)


@dataclasses.dataclass(frozen=True)
class Results:
  """The finished seeds of one experiment.

  Attributes:
    name: of the config or the arm.
    config: dotted field -> value, the seed apart the same for all; of an arm
      with what tuning chose.
    folders: seed -> run folder.
    summaries: seed -> summary.json.
    predictions: seed -> its test predictions.
    error: why an arm's last attempt failed, if it did.
  """

  name: str
  config: dict[str, Any]
  folders: dict[int, pathlib.Path]
  summaries: dict[int, dict[str, Any]]
  predictions: dict[int, metrics.Predictions]
  error: str | None = None

  @functools.cached_property
  def records(self) -> dict[int, list[dict[str, float]]]:
    """Seed -> the rows of metrics.jsonl; UserError where they are broken."""
    return {seed: read_records(f) for seed, f in self.folders.items()}

  @functools.cached_property
  def pooled(self) -> metrics.Predictions:
    """The views of all seeds."""
    parts = list(self.predictions.values())
    first = parts[0]
    if len(parts) == 1:
      return first
    names = set.intersection(*(set(p.scores) for p in parts))
    joined = {
      f: np.concatenate([getattr(p, f) for p in parts]) for f in _FIELDS
    }
    scores = {n: np.concatenate([p.scores[n] for p in parts]) for n in names}
    return metrics.Predictions(**joined, angles=first.angles, scores=scores)

  def values(self, metric: str) -> list[float]:
    """A test metric of each seed that has it."""
    values = [s["test"].get(metric) for s in self.summaries.values()]
    return [value for value in values if value is not None]


def read_predictions(folder: pathlib.Path, config: Any) -> metrics.Predictions:
  """Reads predictions.npz of a run, as `summary.save_predictions` wrote it.

  Raises:
    UserError: it is missing or broken.
  """
  file = folder / "predictions.npz"
  angles = named.build("angles", config.angles)
  try:
    # Opened here: NumPy leaves a broken archive open.
    with open(file, "rb") as opened, np.load(opened) as arrays:
      fields = {name: arrays[name] for name in _FIELDS}
      scores = {k: arrays[k] for k in arrays.files if k not in _FIELDS}
    return metrics.Predictions(**fields, angles=angles, scores=scores)
  except _BROKEN as error:
    raise errors.UserError(
      f"{file} cannot be read ({error}): delete {folder / 'summary.json'} and"
      " run the same command again to write it anew"
    ) from None


def read_summary(folder: pathlib.Path) -> dict[str, Any]:
  """Reads summary.json of a run; what older versions lack stays missing.

  Raises:
    UserError: there is none, or it is no summary.
  """
  summary = summary_lib.read(folder)
  kinds: dict[str, Any] = {
    **{"test": dict, "protocol": dict, "versions": dict, "leaks": list},
    **{"parameters": int, "seconds": (int, float)},
  }
  wrong = [
    name
    for name, kind in kinds.items()
    if not isinstance(summary, dict)
    or name in summary
    and not isinstance(summary[name], kind)
  ]
  if not wrong and not isinstance(
    summary.get("test", {}).get("mae_deg"), (int, float)
  ):
    wrong = ["test"]
  if wrong:
    raise errors.UserError(
      f"{folder / 'summary.json'} is no summary of a run (its {wrong[0]!r}):"
      " delete it and run the same command again"
    )
  return summary


def read_records(folder: pathlib.Path) -> list[dict[str, float]]:
  """Reads metrics.jsonl of a finished run.

  Raises:
    UserError: it is missing or a line of it is broken.
  """
  file = folder / "metrics.jsonl"
  try:
    lines = file.read_text("utf-8").splitlines()
  except (OSError, ValueError) as error:
    raise errors.UserError(f"{file} cannot be read: {error}") from None
  records = []
  for number, line in enumerate(lines, 1):
    try:
      record = json.loads(line)
    except ValueError:
      record = None
    if not _is_record(record):
      raise errors.UserError(
        f"{file} cannot be read: line {number} is not a row of numbers with a"
        " step; delete that line, or the run, and run its command again"
      )
    records.append(record)
  return records


def _is_record(record: Any) -> bool:
  return (
    isinstance(record, dict)
    and "step" in record
    and all(isinstance(value, (int, float)) for value in record.values())
  )


def read_config(file: pathlib.Path) -> Any:
  """Reads config.json of a run.

  Raises:
    UserError: it is missing or broken.
  """
  config = load.read(file)
  try:
    named.build("angles", config.angles)
    fields = config.name, config.seed, config.num_seeds
  except errors.UserError:
    raise
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    raise errors.UserError(f"{file} cannot be read: {error}") from None
  if not all(isinstance(n, int) for n in fields[1:]) or fields[2] < 1:
    raise errors.UserError(f"{file} cannot be read: seeds {fields[1:]}")
  return config


def _folders(workdir: pathlib.Path) -> dict[int, pathlib.Path]:
  """Seed -> run folder of a workdir that is no sweep."""
  file = workdir / layout.CONFIG
  if file.exists():
    return layout.seed_folders(read_config(file), workdir)
  # The folder of a sweep's arm has no config of its own.
  folders = {
    seed: folder
    for seed, folder in layout.seeds_there(workdir).items()
    if (folder / layout.CONFIG).exists()
  }
  if not folders:
    raise errors.UserError(
      f"{workdir} holds no run and no sweep (no config.json, no sweep.json):"
      " name the --workdir of rotjax.main or rotjax.ablate"
    )
  return folders


def read(workdir: pathlib.Path) -> Results:
  """Reads a run folder, or the parent of seed-N/ folders.

  Raises:
    UserError: it is neither, a run in it is not finished, or a file of one is
      missing or broken.
  """
  folders = _folders(workdir)
  for folder in folders.values():
    if not layout.is_finished(folder):
      raise errors.UserError(
        f"{folder} holds an unfinished run (no results, or a second test"
        " pending): the command that began it goes on with it"
      )
  first = next(iter(folders.values()))
  config = read_config(first / layout.CONFIG)
  flat = resolve.flatten(config)
  if len(folders) > 1:
    del flat["seed"]
    flat["num_seeds"] = len(folders)
  return _read(str(flat["name"]), flat, folders, config)


def _read(name, flat, folders, config, error=None) -> Results:
  return Results(
    name,
    flat,
    folders,
    {seed: read_summary(folder) for seed, folder in folders.items()},
    {seed: read_predictions(f, config) for seed, f in folders.items()},
    error,
  )


def read_sweep(plan: sweep_lib.Sweep, workdir: pathlib.Path) -> list[Results]:
  """Reads what there is of every arm, in the sweep's order.

  Raises:
    UserError: a file of a finished run is missing or broken.
  """
  return [_read_arm(plan, workdir, arm) for arm in plan.arms]


def _read_arm(plan, workdir, arm) -> Results:
  folders = manifest.finished(workdir, arm)
  config = resolve.flatten(arm.config)
  if plan.tuning:
    # The manifest's value is the one before tuning: no run has it.
    config[plan.tuning.field] = "not chosen yet"
  for folder in folders.values():
    ran = resolve.flatten(read_config(folder / layout.CONFIG))
    if plan.tuning:
      config[plan.tuning.field] = ran.get(plan.tuning.field)
  error = manifest.failure(workdir, arm)
  return _read(arm.name, config, folders, arm.config, error)


def versions(summaries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
  """Package -> its version, or several where the runs differ."""
  by_package: dict[str, set[str]] = {}
  for summary in summaries:
    for package, version in summary.get("versions", {}).items():
      by_package.setdefault(package, set()).add(str(version))
  return {package: ", ".join(sorted(v)) for package, v in by_package.items()}
