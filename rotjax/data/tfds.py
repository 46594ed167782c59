"""Any dataset that TFDS has prepared, by name."""

import dataclasses
import pathlib
from typing import ClassVar

from rotjax import errors
from rotjax.data import content, streamed
from rotjax.data import split as split_lib
from rotjax.data.store import location, read, records


@dataclasses.dataclass(frozen=True)
class Tfds:
  """A prepared TFDS dataset, in array_record, whose images are of one size.

  Its own validation and test splits are used. Where it has only one of them,
  that is the test set, and validation is every 20th training example (index %
  20 == 19 in the prepared order). Turned about the canvas centre.

  Attributes:
    dataset: TFDS's name for it: "cifar10", or "emnist/balanced".
    dir: TFDS data directory; "" is $TFDS_DATA_DIR or ~/tensorflow_datasets.
    classes: labels to keep; () keeps all.
    image: the feature that holds the image.
    label: the feature that holds the class; "" for a dataset without.
    max_resident_mb: a prepared split whose decoded images take more than so
      many MB (2**20 bytes) stays on disk and is streamed.
  """

  dataset: str
  dir: str = ""
  classes: tuple[int, ...] = ()
  image: str = "image"
  label: str = "label"
  max_resident_mb: int = 1024

  # The datasets that have a file here, which its error names.
  others: ClassVar[tuple[str, ...]] = ()
  center: ClassVar[tuple[float, float] | None] = None
  overlaps: ClassVar[tuple[str, ...]] = ()

  def __post_init__(self):
    classes = split_lib.class_ids(self.dataset, self.classes)
    object.__setattr__(self, "classes", classes)

  @property
  def name(self) -> str:
    """The dataset's name."""
    return self.dataset

  @property
  def protocol(self) -> str:
    """The split in a sentence; raises errors.UserError if not prepared."""
    folder = self._find()
    splits = location.info(folder).splits
    test, _ = split_lib.part(self.dataset, splits, "test")
    validation, which = split_lib.part(self.dataset, splits, "validation")
    rule = (
      "its own validation split"
      if which == "all"
      else f"every 20th {validation} example (index % 20 == 19), left out of"
      " training"
    )
    return (
      f"{self.dataset} {folder.name} of TFDS: test is its {test} split,"
      f" validation is {rule}."
    )

  def load(self, split: str) -> split_lib.Split | streamed.Streamed:
    """Returns a split: images uint8 `[N, H, W, C]`, or left on disk.

    Raises:
      errors.UserError: an unknown split or class; the dataset is not prepared,
        is prepared as tfrecord, lacks a split or a feature, or its images are
        not of one size.
    """
    split_lib.check_name(split)
    return read.load(
      self._prepared(), split, self.classes, self.center, self.max_resident_mb
    )

  def content(self) -> str:
    """Names what it holds; see `content.of`."""
    return content.of_prepared(self._find())

  def _prepared(self) -> records.Prepared:
    """The records, and which of their features are used."""
    return records.Prepared(self.dataset, self._find(), self.image, self.label)

  def _find(self) -> pathlib.Path:
    """The folder of the prepared dataset."""
    root = location.tfds_root(self.dir)
    command = (
      f"tfds build {self.dataset} --file_format=array_record --data_dir={root}"
    )
    folder = location.newest(root, self.dataset) if self.dataset else None
    if folder is None:
      known = {*self.others, *location.names(root)}
      error = errors.unknown("dataset", self.dataset, known)
      raise errors.UserError(
        f"{error}; looked in {root}; where TensorFlow is installed, prepare"
        f" a TFDS dataset with: {command}"
      )
    formats = location.info(folder)
    if not formats.readable:
      raise errors.UserError(
        f"{self.dataset} in {folder} is prepared as"
        f" {', '.join(formats.formats)}, which rotjax cannot read: delete"
        f" that folder, then, where TensorFlow is installed: {command}"
      )
    return folder
