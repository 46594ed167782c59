"""`mnist` and `fashion_mnist`, prepared without TensorFlow."""

import dataclasses
import os
import pathlib
from typing import Any, ClassVar

from rotjax import errors
from rotjax.data import content, streamed
from rotjax.data import split as split_lib
from rotjax.data.store import idx, location, prepare, read, records


@dataclasses.dataclass(frozen=True)
class Mnist:
  """MNIST: 60,000 + 10,000 digits, 28x28.

  Test is MNIST's test set. Validation is every 20th training example
  (index % 20 == 19 in the prepared order, whatever classes are kept) and train
  is the rest: a number trained on all 60,000 is never reported.

  The digits' centre of mass was put on (14, 14) when MNIST was made, half a
  pixel off the canvas centre.

  Attributes:
    dir: TFDS data directory, or a folder with the four original .gz files;
      "" is $TFDS_DATA_DIR or ~/tensorflow_datasets.
    classes: labels to keep; () keeps all ten.
  """

  dir: str = ""
  classes: tuple[int, ...] = ()

  name: ClassVar[str] = "mnist"
  num_classes: ClassVar[int] = 10
  center: ClassVar[tuple[float, float] | None] = (14.0, 14.0)
  # Datasets whose training examples are among this one's test examples.
  overlaps: ClassVar[tuple[str, ...]] = ()
  protocol: ClassVar[str] = (
    "mnist: MNIST's own test set; validation is every 20th training example"
    " of TFDS's order (index % 20 == 19), train the other 57,000."
  )

  def __post_init__(self):
    classes = split_lib.class_ids(self.name, self.classes, self.num_classes)
    object.__setattr__(self, "classes", classes)

  def load(self, split: str) -> split_lib.Split | streamed.Streamed:
    """Returns a split: images uint8 `[N, 28, 28, 1]`.

    Prepares the dataset if it is not prepared yet; see `prepare`.

    Raises:
      errors.UserError: an unknown split, or the data cannot be had.
    """
    split_lib.check_name(split)
    prepared = records.Prepared(self.name, self.prepare())
    return read.load(prepared, split, self.classes, self.center)

  def prepare(self) -> pathlib.Path:
    """Returns the folder of the prepared dataset, made if need be.

    Looks for a prepared dataset, then for the four original files in `dir`,
    then asks the network.

    Raises:
      errors.UserError: the data cannot be had; within a few seconds.
    """
    root = location.tfds_root(self.dir)
    for place in (root, location.cache_root() / "tfds"):
      folder = location.newest(place, self.name)
      if folder is not None and location.info(folder).readable:
        return folder
    # The file names are the same for both datasets: the folder that is named
    # after the dataset comes first.
    for manual in (root / self.name, root / "downloads" / "manual", root):
      if all(os.path.isfile(manual / file) for file in idx.FILES):
        return self._prepare(root, manual)
    return self._prepare(root, None)

  def content(self) -> str:
    """Names what it holds; see `content.of`."""
    return content.of_prepared(self.prepare(), encoded=False)

  def _prepare(
    self, root: pathlib.Path, manual: pathlib.Path | None
  ) -> pathlib.Path:
    """Prepares from a folder of original files, or else from the network."""
    import tensorflow_datasets as tfds

    from rotjax.data.store import tfds_builders

    builder_cls: Any = {
      "mnist": tfds_builders.Mnist,
      "fashion_mnist": tfds_builders.FashionMnist,
    }[self.name]
    if manual is None and not prepare.reachable(builder_cls.URL + idx.FILES[1]):
      raise errors.UserError(
        f"{self.name} is not prepared (as array_record) in {root} and cannot"
        " be downloaded: put the four original .gz files into"
        f" {root / 'downloads' / 'manual'} or connect to a network, then run:"
        f" python -m rotjax.data prepare {self.name} --dir {root}"
      )

    def build(scratch: pathlib.Path) -> None:
      with prepare.quiet():
        builder = builder_cls(data_dir=scratch, file_format="array_record")
        builder.download_and_prepare(
          download_config=tfds.download.DownloadConfig(
            manual_dir=manual, try_download_gcs=False
          )
        )

    try:
      return prepare.publish(prepare.target(root, self.name), self.name, build)
    except tfds.download.download_manager.NonMatchingChecksumError as error:
      raise errors.UserError(
        f"the files in {manual or builder_cls.URL} are not the original ones"
        f" of {self.name}: their checksums differ from TFDS's"
      ) from error
    except tfds.download.DownloadError as error:
      raise errors.UserError(
        f"{self.name} could not be downloaded from {builder_cls.URL}:"
        f" {str(error).splitlines()[0]}"
      ) from error


@dataclasses.dataclass(frozen=True)
class FashionMnist(Mnist):
  """Fashion-MNIST: 60,000 + 10,000 articles of clothing, 28x28.

  Split as Mnist is; the articles fill the canvas and are turned about its
  centre.

  Attributes:
    dir: TFDS data directory, or a folder with the four original .gz files;
      "" is $TFDS_DATA_DIR or ~/tensorflow_datasets.
    classes: labels to keep; () keeps all ten.
  """

  name: ClassVar[str] = "fashion_mnist"
  center: ClassVar[tuple[float, float] | None] = None
  protocol: ClassVar[str] = (
    "fashion_mnist: Fashion-MNIST's own test set; validation is every 20th"
    " training example of TFDS's order (index % 20 == 19), train the other"
    " 57,000."
  )
