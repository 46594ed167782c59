"""The TFDS builder of the datasets that are made of picture files.

Imports tensorflow_datasets, so it is itself imported only where something has
to be prepared.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import tensorflow_datasets as tfds

# Key, PNG and angle of each example of a split.
Examples = Callable[[str], Iterable[tuple[bytes, bytes, float]]]

VERSION = "1.0.0"

# TFDS would offer it under its name to everybody; it is nothing without files.
with tfds.core.registered.skip_registration():

  class Squares(tfds.core.GeneratorBasedBuilder):
    """Squares of pictures, in three splits."""

    VERSION = tfds.core.Version(VERSION)

    def __init__(
      self,
      *,
      dataset: str,
      splits: tuple[str, ...],
      shape: tuple[int, int, int],
      examples: Examples,
      turned: bool,
      **kwargs,
    ):
      """Args: see `prepare_folder`; `turned` stores the angles too."""
      self.name = dataset
      self._splits, self._shape = splits, shape
      self._examples, self._turned = examples, turned
      super().__init__(**kwargs)

    def _info(self):
      features = {"image": tfds.features.Image(shape=self._shape)}
      if self._turned:
        # TFDS stores doubles as singles too: 360 degrees to 2e-5.
        features["angle_deg"] = tfds.features.Scalar(dtype=np.float32)
      return tfds.core.DatasetInfo(
        builder=self,
        description="The central squares of a folder of pictures, by rotjax.",
        features=tfds.features.FeaturesDict(features),
      )

    def _split_generators(self, dl_manager):
      del dl_manager  # nothing is downloaded
      return {split: self._generate_examples(split) for split in self._splits}

    def _generate_examples(self, split: str) -> Iterator[tuple[bytes, dict]]:
      for key, png, angle in self._examples(split):
        angles = {"angle_deg": angle} if self._turned else {}
        yield key, {"image": png, **angles}
