"""Where prepared datasets lie, and what their metadata says.

Only names and JSON are read here, so that a start from cached arrays never
pays for the import of tensorflow_datasets.
"""

import dataclasses
import json
import os
import pathlib
import re

from rotjax import errors, files

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
  for root, what in (
    (given, "data.dir"),
    (os.environ.get("TFDS_DATA_DIR"), "TFDS_DATA_DIR"),
  ):
    if root:
      return files.absolute(root, what)
  return files.absolute("~/tensorflow_datasets", "the TFDS data directory")


def cache_root() -> pathlib.Path:
  """The user's cache folder for rotjax; it may not exist."""
  root = os.environ.get("XDG_CACHE_HOME")
  what = "XDG_CACHE_HOME" if root else "the cache folder (XDG_CACHE_HOME)"
  return files.absolute(root or "~/.cache", what) / "rotjax"


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
