"""What a dataset holds, in a line: two runs on the same data have the same.

It depends on the pictures, their names and angles, and on neither the place
where they lie nor the times of their files.
"""

from collections.abc import Iterable
import hashlib
import json
import pathlib
from typing import Any

import numpy as np

from rotjax import errors
from rotjax.data import split as split_lib

# Beside the prepared records of a folder of pictures.
FILE = "content.txt"


def of(dataset: Any) -> str:
  """Names the content of a dataset.

  Args:
    dataset: with a method `content` that returns it; of another one all splits
      are loaded and what lies in memory is read.

  Raises:
    errors.UserError: the data cannot be had.
  """
  if hasattr(dataset, "content"):
    return dataset.content()
  parts: list[Any] = []
  for name in split_lib.SPLITS:
    split = dataset.load(name)
    parts.append((name, tuple(split.shape), len(split)))
    for field in ("images", "labels", "indices", "angle_deg"):
      array = getattr(split, field, None)
      if array is not None:
        parts.append(hashlib.sha256(np.asarray(array).tobytes()).hexdigest())
  return digest(parts)


def digest(parts: Iterable[Any]) -> str:
  """Twenty hexadecimal digits of the parts' repr."""
  return hashlib.sha256(repr(tuple(parts)).encode()).hexdigest()[:20]


def of_prepared(folder: pathlib.Path, encoded: bool = True) -> str:
  """Names the content of a prepared TFDS dataset, from its metadata.

  Args:
    folder: of the prepared version.
    encoded: whether the images' encoded sizes count; not where the originals'
      checksums are known, for an encoder may be another one.

  Raises:
    errors.UserError: the metadata cannot be read.
  """
  file = folder / "dataset_info.json"
  try:
    splits = json.loads(file.read_text(encoding="utf-8"))["splits"]
    counts = {s["name"]: sum(map(int, s["shardLengths"])) for s in splits}
    sizes = [s["numBytes"] for s in splits] if encoded else []
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise errors.UserError(
      f"cannot read {file} ({type(error).__name__}): delete the folder and"
      " prepare the dataset again"
    ) from None
  total = sum(counts.values())
  return f"{total} examples {digest((folder.name, counts, sizes))}"
