"""What a run has written in a folder, and nothing else that lies there."""

from collections.abc import Iterator
import pathlib
import re
from typing import Any

from rotjax import errors, files
from rotjax.config import load
from rotjax.run import layout, locking, writers

# What a run writes, as patterns below its folder: --overwrite deletes these
# and nothing else. The mark of a finished run goes first.
PATTERNS = (
  layout.SUMMARY,
  layout.EXTENDED,
  "checkpoints/latest/[0-9]*",
  "checkpoints/best/[0-9]*",
  "checkpoints/set_aside/latest-[0-9]*",
  "checkpoints/set_aside/best-[0-9]*",
  layout.CALIBRATION,
  "metrics.jsonl",
  "predictions.npz",
  *(f"{name}/{kind.files}" for name, kind in writers.WRITERS.items()),
  *(
    f"plots/{name}.png"
    for name in (
      *("confusion", "curves", "donut", "error_by_angle", "gallery"),
      *("predicted_against_true", "reliability"),
    )
  ),
  files.PARTS,
)
# Folders of them, deleted where that leaves them empty.
FOLDERS = (
  *("checkpoints/latest", "checkpoints/best", "checkpoints/set_aside"),
  *("checkpoints", *writers.WRITERS, "plots"),
)
# Runs in a run's folder: of its seeds, and evaluations on other terms.
_RUNS_BELOW = re.compile(r"seed-\d+|eval-.+-[0-9a-f]{8}")
# The sections that every config.json of ours has.
_SECTIONS = ("data", "model", "head", "optim", "view", "angles")


def config_of(folder: pathlib.Path) -> Any:
  """The config.json of a run folder.

  Raises:
    UserError: it cannot be read, or is not that of a run.
  """
  file = folder / layout.CONFIG
  config = load.read(file)
  if any(section not in config for section in _SECTIONS):
    raise errors.UserError(
      f"{file} is not of a run of rotjax: choose another --workdir"
    )
  return config


def remove_empty(folder: pathlib.Path) -> None:
  """Removes a folder if nothing is in it."""
  try:
    folder.rmdir()
  except OSError:  # it is not there, or holds what is not ours
    pass


def ours(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  """What a run has written in its folder, the mark of a finished one first."""
  for pattern in PATTERNS:
    yield from folder.glob(pattern)


def check_links(folder: pathlib.Path) -> None:
  """Refuses links in the places that a run writes to."""
  for path in (*(folder / n for n in FOLDERS), *ours(folder)):
    if path.is_symlink():
      raise errors.UserError(
        f"{path} is a symbolic link, which is neither followed nor replaced:"
        " remove it, or choose another --workdir"
      )


def runs_below(folder: pathlib.Path) -> list[pathlib.Path]:
  """Folders of seeds and evaluations that we have written."""
  return [
    path
    for path in sorted(folder.iterdir())
    if _RUNS_BELOW.fullmatch(path.name)
    and path.is_dir()
    and not path.is_symlink()
    and _is_run(path)
  ]


def tree(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  """The runs below a folder, at any depth."""
  for path in runs_below(folder):
    yield path
    yield from tree(path)


def _is_run(folder: pathlib.Path) -> bool:
  if not (folder / layout.CONFIG).exists():
    return is_empty(folder)
  try:
    config_of(folder)
  except errors.UserError:
    return False
  return True


def is_empty(folder: pathlib.Path) -> bool:
  """Whether there is nothing but what a start that was killed leaves."""
  return all(
    path.name == locking.FILE
    or path.match(files.PARTS)
    or (
      _RUNS_BELOW.fullmatch(path.name)
      and path.is_dir()
      and not path.is_symlink()
      and is_empty(path)
    )
    for path in folder.iterdir()
  )


def has_results(folder: pathlib.Path) -> bool:
  """Whether there is a checkpoint, or the summary of a finished run."""
  return any(
    any(run.glob(pattern))
    for run in (folder, *runs_below(folder))
    for pattern in (layout.SUMMARY, "checkpoints/[lb]*/[0-9]*")
  )
