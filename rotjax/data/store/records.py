"""Prepared records: opened without their dataset's code, and decoded.

TFDS deserializes; Pillow is called directly for the pixels, because TFDS's own
decoding takes twice as long, or another library where OpenCV is installed.
"""

import dataclasses
import functools
import io
import os
import pathlib
from typing import Any

import numpy as np

from rotjax import errors
from rotjax.data.store import prepare

_MODES = {1: "L", 3: "RGB"}  # Pillow's name for each number of channels

# What truncated records surface as; images as OSError.
DAMAGE = (OSError, ValueError, RuntimeError, IndexError)


@dataclasses.dataclass(frozen=True)
class Prepared:
  """A prepared dataset, and which of its features are used.

  Opened anew in every process, so that it may be pickled and sent to another.

  Attributes:
    name: the dataset, for messages.
    folder: the prepared version, in array_record.
    image: the feature that holds the image.
    label: the feature that holds the class; "" for a dataset without, whose
      examples are all of class 0.
    angle: the feature that holds how far an image is turned already, degrees;
      "" for upright images.
  """

  name: str
  folder: pathlib.Path
  image: str = "image"
  label: str = "label"
  angle: str = ""

  def features(self) -> dict[str, Any]:
    """The dataset's features by name; raises errors.UserError if damaged."""
    features = _builder(self).info.features
    # An example that is not a dict, as most are, has no features by name.
    return dict(features.items()) if hasattr(features, "items") else {}

  def image_shape(self) -> tuple[int | None, int | None, int]:
    """Height, width (None where they are not stated) and channels.

    Raises:
      errors.UserError: no such image feature, or neither 1 nor 3 channels of
        8 bits.
    """
    import tensorflow_datasets as tfds

    feature = self.features().get(self.image)
    if not isinstance(feature, tfds.features.Image):
      raise errors.UserError(
        f"{self.name} has no image {self.image!r}: its features are"
        f" {self._listed()}"
      )
    channels = feature.shape[-1]
    if channels not in _MODES or feature.np_dtype != np.uint8:
      raise errors.UserError(
        f"the images of {self.name} have {channels} channels of"
        f" {np.dtype(feature.np_dtype).name}: rotjax takes 1 or 3 of uint8"
      )
    return feature.shape

  def num_classes(self) -> int:
    """The classes that the label has; 1 for a dataset without.

    Raises:
      errors.UserError: there is no such label, or it is not a class.
    """
    import tensorflow_datasets as tfds

    if not self.label:
      return 1
    feature = self.features().get(self.label)
    if not isinstance(feature, tfds.features.ClassLabel):
      raise errors.UserError(
        f"{self.name} has no class label {self.label!r}: set data.label to one"
        f" of its features, {self._listed()}, or to '' for none"
      )
    return feature.num_classes

  def source(self, origin: str) -> Any:
    """The examples of a prepared split, images still encoded.

    A sequence of dicts, the same object for all of a process; its
    `__getitems__` may be called from several threads at once. One call for
    many examples is ten times as fast as one call each.

    Raises:
      Any of DAMAGE.
    """
    # A process forked from this one must not share its open files.
    return _source(self, origin, os.getpid())

  def unreadable(self, error: Exception) -> errors.UserError:
    """The error for files that are missing or damaged."""
    reason = str(error).strip().splitlines() or [type(error).__name__]
    return errors.UserError(
      f"cannot read {self.name} in {self.folder} ({reason[0]}): delete the"
      " folder and prepare the dataset again"
    )

  def _listed(self) -> str:
    """The names and kinds of features, for a message."""
    return ", ".join(
      f"{key} ({type(feature).__name__})"
      for key, feature in sorted(self.features().items())
    )


@functools.lru_cache(maxsize=4)
def _builder(prepared: Prepared):
  """TFDS's view of a prepared folder; needs no dataset code."""
  import tensorflow_datasets as tfds

  try:
    with prepare.quiet():
      return tfds.builder_from_directory(str(prepared.folder))
  except (OSError, ValueError, KeyError, RuntimeError) as error:
    raise prepared.unreadable(error) from error


@functools.lru_cache(maxsize=8)
def _source(prepared: Prepared, origin: str, process: int):
  """`Prepared.source` of the process of that number."""
  import tensorflow_datasets as tfds

  with prepare.quiet():
    return _builder(prepared).as_data_source(
      origin,
      decoders={prepared.image: tfds.decode.SkipDecoding()},
      file_format="array_record",
    )


def pixels(data: bytes, channels: int) -> np.ndarray:
  """Decodes a PNG or JPEG to uint8 `[H, W, channels]`."""
  import PIL.Image

  with PIL.Image.open(io.BytesIO(data)) as picture:
    # `convert` copies, also where there is nothing to convert.
    right = picture.mode == _MODES[channels]
    array = np.asarray(picture if right else picture.convert(_MODES[channels]))
  return array.reshape(*array.shape[:2], channels)


def size(data: bytes) -> tuple[int, int]:
  """Height and width of a PNG or JPEG, from its header alone."""
  import PIL.Image

  with PIL.Image.open(io.BytesIO(data)) as picture:
    return picture.height, picture.width
