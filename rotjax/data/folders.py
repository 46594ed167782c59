"""Where prepared datasets lie, and what their metadata says.

Only names and JSON are read here, so that a start from cached arrays never
pays for the import of tensorflow_datasets.
"""

import dataclasses
import json
import os
import pathlib
import re

from rotjax import errors

_INFO = "dataset_info.json"
_VERSION = re.compile(r"\d+\.\d+\.\d+")


@dataclasses.dataclass(frozen=True)
class Info:
  """What a prepared dataset says of itself.

  Attributes:
    folder: the folder of one version.
    splits: the names of its splits, in its own order.
    formats: the file formats it is prepared in, such as "array_record".
  """

  folder: pathlib.Path
  splits: tuple[str, ...]
  formats: tuple[str, ...]

  @property
  def readable(self) -> bool:
    """Whether examples can be read in any order, and without TensorFlow."""
    return "array_record" in self.formats


def tfds_root(given: str = "") -> pathlib.Path:
  """The TFDS data directory: `given`, else TFDS's own default.

  The variable is read at each call, not when tensorflow_datasets is imported.
  """
  return _absolute(
    given or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
  )


def cache_root() -> pathlib.Path:
  """The user's cache folder for rotjax; it may not exist."""
  return _absolute(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "rotjax"


def _absolute(path: str) -> pathlib.Path:
  """A path from the root; raises errors.UserError where there is no home."""
  expanded = os.path.expanduser(path)
  if path.startswith("~") and expanded == path:
    raise errors.UserError(
      f"{path} has no place: there is no home folder; set HOME, or"
      " XDG_CACHE_HOME and TFDS_DATA_DIR, to a folder"
    )
  return pathlib.Path(os.path.abspath(expanded))


def writable(folder: pathlib.Path) -> bool:
  """Whether something can be created in a folder, or the folder itself.

  A folder without any write bit counts as read-only for root too: whoever
  took the bits away meant it.
  """
  # os.path, because pathlib raises where a parent may not be looked into.
  while not os.path.exists(folder) and folder != folder.parent:
    folder = folder.parent
  return (
    os.path.isdir(folder)
    and bool(folder.stat().st_mode & 0o222)
    and os.access(folder, os.W_OK | os.X_OK)
  )


def newest(root: pathlib.Path, name: str) -> pathlib.Path | None:
  """The folder of the highest prepared version of a dataset, or None.

  Args:
    root: a TFDS data directory.
    name: a dataset, or "dataset/config".
  """
  found = [
    path.parent
    for path in (root / name).glob(f"*/{_INFO}")
    if _VERSION.fullmatch(path.parent.name)
  ]
  return max(found, key=_number, default=None)


def _number(folder: pathlib.Path) -> tuple[int, ...]:
  """The version that a folder is named after, such that 10 follows 9."""
  return tuple(map(int, folder.name.split(".")))


def names(root: pathlib.Path) -> list[str]:
  """The datasets prepared in a TFDS data directory, configs included."""
  found = set()
  for pattern in (f"*/*/{_INFO}", f"*/*/*/{_INFO}"):
    for path in root.glob(pattern):
      if _VERSION.fullmatch(path.parent.name):
        found.add(path.parent.parent.relative_to(root).as_posix())
  return sorted(found)


def info(folder: pathlib.Path) -> Info:
  """Reads the metadata of a prepared dataset.

  Raises:
    errors.UserError: the metadata is missing or damaged.
  """
  try:
    fields = json.loads((folder / _INFO).read_text(encoding="utf-8"))
    splits = tuple(split["name"] for split in fields.get("splits", ()))
    # A dataset prepared before there was a choice does not state its format.
    first = fields.get("fileFormat") or "tfrecord"
    formats = (first, *fields.get("alternativeFileFormats", ()))
  except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
    raise errors.UserError(
      f"cannot read {folder / _INFO} ({type(error).__name__}): delete the"
      " folder and prepare the dataset again"
    ) from None
  return Info(folder, splits, formats)
