"""Reading the seeds of one experiment: a run, a parent of seeds, an arm."""

from collections.abc import Mapping, Sequence
import dataclasses
import functools
import json
import pathlib
from typing import Any

import numpy as np

from rotjax import errors, metrics
from rotjax.config import named, resolve
from rotjax.reporting import results
from rotjax.run import layout


@dataclasses.dataclass(frozen=True)
class Runs:
  """The finished seeds of one experiment.

  Attributes:
    name: of the config or the arm.
    config: dotted field -> value, the seed apart the same for all.
    folders: seed -> run folder.
    summaries: seed -> summary.json.
    predictions: seed -> its test predictions.
    records: seed -> the rows of metrics.jsonl.
  """

  name: str
  config: dict[str, Any]
  folders: dict[int, pathlib.Path]
  summaries: dict[int, dict[str, Any]]
  predictions: dict[int, metrics.Predictions]
  records: dict[int, list[dict[str, float]]]

  @functools.cached_property
  def pooled(self) -> metrics.Predictions:
    """The views of all seeds."""
    parts = list(self.predictions.values())
    first = parts[0]
    if len(parts) == 1:
      return first
    names = set.intersection(*(set(p.scores) for p in parts))
    fields = ("true_deg", "predicted_deg", "example", "label")
    joined = {f: np.concatenate([getattr(p, f) for p in parts]) for f in fields}
    scores = {n: np.concatenate([p.scores[n] for p in parts]) for n in names}
    return metrics.Predictions(**joined, angles=first.angles, scores=scores)

  def values(self, metric: str) -> list[float]:
    """A test metric of each seed that has it."""
    found = [s["test"].get(metric) for s in self.summaries.values()]
    return [value for value in found if value is not None]


def read_records(folder: pathlib.Path) -> list[dict[str, float]]:
  """metrics.jsonl of a finished run.

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


def read(workdir: pathlib.Path) -> Runs:
  """A run folder, or the parent of seed-N/ folders.

  Raises:
    UserError: it is neither, a run in it is not finished, or a file of one is
      missing or broken.
  """
  folders = _folders(workdir)
  for folder in folders.values():
    if not layout.is_finished(folder):
      raise errors.UserError(
        f"{folder} holds an unfinished run (no summary.json): the command that"
        " began it goes on with it"
      )
  first = next(iter(folders.values()))
  config = read_config(first / layout.CONFIG)
  flat = resolve.flatten(config)
  if len(folders) > 1:
    del flat["seed"]
    flat["num_seeds"] = len(folders)
  summaries = {seed: results.read_summary(f) for seed, f in folders.items()}
  predictions = {
    seed: results.read_predictions(f, config) for seed, f in folders.items()
  }
  records = {seed: read_records(f) for seed, f in folders.items()}
  return Runs(str(flat["name"]), flat, folders, summaries, predictions, records)


def _folders(workdir: pathlib.Path) -> dict[int, pathlib.Path]:
  """Seed -> run folder of a workdir that is no sweep."""
  file = workdir / layout.CONFIG
  if not file.exists():
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
  return layout.seed_folders(read_config(file), workdir)


def read_config(file: pathlib.Path) -> Any:
  """config.json of a run.

  Raises:
    UserError: it is missing or broken.
  """
  try:
    config = resolve.from_json(file.read_text("utf-8"))
    named.build("angles", config.angles)
    fields = config.name, config.seed, config.num_seeds
  except errors.UserError:
    raise
  except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
    raise errors.UserError(f"{file} cannot be read: {error}") from None
  if not all(isinstance(n, int) for n in fields[1:]) or fields[2] < 1:
    raise errors.UserError(f"{file} cannot be read: seeds {fields[1:]}")
  return config


def versions(summaries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
  """Package -> its version, or several where the runs differ."""
  found: dict[str, set[str]] = {}
  for summary in summaries:
    for package, version in summary.get("versions", {}).items():
      found.setdefault(package, set()).add(str(version))
  return {package: ", ".join(sorted(v)) for package, v in found.items()}
