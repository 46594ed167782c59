"""From a prepared TFDS dataset to arrays: decode once, keep, share."""

import functools
import io
import pathlib

import numpy as np

from rotjax import errors
from rotjax.data import cache, folders, prepare
from rotjax.data import split as split_lib

# One call for many examples: one call each takes ten times as long.
_BLOCK = 4096

_MODES = {1: "L", 3: "RGB"}  # Pillow's name for each number of channels


def load(
  name: str,
  folder: pathlib.Path,
  split: str,
  classes: tuple[int, ...] = (),
  center: tuple[float, float] | None = None,
  image: str = "image",
  label: str = "label",
) -> split_lib.Split:
  """Reads one split of a prepared dataset.

  The result is kept for the life of the process (the last few of them) and,
  decoded, in the user's cache folder, until the dataset's files change.

  Args:
    name: the dataset, for messages.
    folder: the prepared version, in array_record.
    split: "train", "validation" or "test"; split.part says which examples.
    classes: sorted labels to keep; empty keeps all.
    center: goes to the Split.
    image: the feature that holds the image.
    label: the feature that holds the class; "" for a dataset without, whose
      examples are all of class 0.

  Raises:
    errors.UserError: an unknown split or class, no example left, files that
      cannot be read, images that are not of one size.
  """
  split_lib.check_name(split)
  origin, which = split_lib.part(name, folders.info(folder).splits, split)
  try:
    stamp = cache.identity(folder)
  except OSError as error:
    raise _unreadable(name, folder, error) from None
  return _load(
    name, folder, stamp, origin, which, split, classes, center, image, label
  )


def num_classes(name: str, folder: pathlib.Path, label: str = "label") -> int:
  """The number of classes that a prepared dataset's label has.

  Raises:
    errors.UserError: there is no such label, or it is not a class.
  """
  if not label:
    return 1
  features = _builder(name, folder).info.features
  return _label_feature(name, features, label).num_classes


@functools.lru_cache(maxsize=8)
def _load(
  name, folder, stamp, origin, which, split, classes, center, image, label
):
  """`load`, once its arguments say which version of which files is meant."""
  arrays = _arrays(name, folder, stamp, origin, classes, image, label)
  if which != "all":
    rows = split_lib.members(arrays["indices"], which)
    arrays = {key: array[rows] for key, array in arrays.items()}
  if not len(arrays["indices"]):
    kept = f" of classes {', '.join(map(str, classes))}" if classes else ""
    raise errors.UserError(
      f"{name} has no {split} example{kept} in {folder}: choose other"
      " classes or another dataset"
    )
  for array in arrays.values():
    array.setflags(write=False)  # the seeds of a process share them
  return split_lib.Split(**arrays, origin=origin, center=center)


# One is enough: train and validation, which may be cut from one prepared
# split, are asked for one after the other.
@functools.lru_cache(maxsize=1)
def _arrays(name, folder, stamp, origin, classes, image, label):
  """The arrays of one prepared split, from the disk cache or decoded."""
  path = cache.path_for(
    f"{name}-{origin}", stamp, origin, classes, image, label
  )
  arrays = cache.load(path)
  if arrays is None or not _sound(arrays):
    arrays = _decode(name, folder, origin, classes, image, label)
    cache.save(path, arrays)
  return arrays


def _sound(arrays: dict[str, np.ndarray]) -> bool:
  """Whether cached arrays have the names, types and shapes of `_decode`'s."""
  if set(arrays) != {"images", "labels", "indices"}:
    return False
  n = len(arrays["images"])
  return (
    arrays["images"].dtype == np.uint8
    and arrays["images"].ndim == 4
    and arrays["labels"].dtype == np.int32
    and arrays["labels"].shape == (n,)
    and arrays["indices"].dtype == np.int64
    and arrays["indices"].shape == (n,)
  )


def _decode(name, folder, origin, classes, image, label):
  """Reads and decodes a prepared split; see `load`.

  Labels are looked at first, so that only the images kept are decoded, and
  Pillow is called directly: TFDS's own decoding takes twice as long, or
  another library where OpenCV happens to be installed.
  """
  import tensorflow_datasets as tfds

  builder = _builder(name, folder)
  features = builder.info.features
  channels = _channels(name, features, image)
  if label:
    total = _label_feature(name, features, label).num_classes
    split_lib.class_ids(name, classes, total)
  decoders = {image: tfds.decode.SkipDecoding()}
  images, labels, indices = [], [], []
  shape = None
  try:
    with prepare.quiet():
      source = builder.as_data_source(
        origin, decoders=decoders, file_format="array_record"
      )
    for start in range(0, len(source), _BLOCK):
      block = range(start, min(start + _BLOCK, len(source)))
      for index, example in zip(block, source.__getitems__(list(block))):
        kind = int(example[label]) if label else 0
        if classes and kind not in classes:
          continue
        pixels = _pixels(example[image], channels)
        shape = shape or pixels.shape
        if pixels.shape != shape:
          raise errors.UserError(
            f"the images of {name} are not all of one size:"
            f" {shape[0]}x{shape[1]} and, at {origin}[{index}],"
            f" {pixels.shape[0]}x{pixels.shape[1]}; prepare a resized copy"
          )
        images.append(pixels)
        labels.append(kind)
        indices.append(index)
  except errors.UserError:
    raise
  # Truncated records surface as any of these, images as OSError.
  except (OSError, ValueError, RuntimeError, IndexError) as error:
    raise _unreadable(name, folder, error) from error
  none = np.zeros((0, 1, 1, channels), np.uint8)
  return {
    "images": np.stack(images) if images else none,
    "labels": np.array(labels, np.int32),
    "indices": np.array(indices, np.int64),
  }


@functools.lru_cache(maxsize=4)
def _builder(name, folder):
  """TFDS's view of a prepared folder; needs no dataset code."""
  import tensorflow_datasets as tfds

  try:
    with prepare.quiet():
      return tfds.builder_from_directory(str(folder))
  except (OSError, ValueError, KeyError, RuntimeError) as error:
    raise _unreadable(name, folder, error) from error


def _channels(name, features, key):
  """The channels of an image feature, which must be 1 or 3, of 8 bits."""
  import tensorflow_datasets as tfds

  feature = _by_name(features).get(key)
  if not isinstance(feature, tfds.features.Image):
    raise errors.UserError(
      f"{name} has no image {key!r}: its features are {_listed(features)}"
    )
  channels = feature.shape[-1]
  if channels not in _MODES or feature.np_dtype != np.uint8:
    raise errors.UserError(
      f"the images of {name} have {channels} channels of"
      f" {np.dtype(feature.np_dtype).name}: rotjax takes 1 or 3 of uint8"
    )
  return channels


def _label_feature(name, features, key):
  """The feature that holds the class."""
  import tensorflow_datasets as tfds

  feature = _by_name(features).get(key)
  if not isinstance(feature, tfds.features.ClassLabel):
    raise errors.UserError(
      f"{name} has no class label {key!r}: set data.label to one of its"
      f" features, {_listed(features)}, or to '' for none"
    )
  return feature


def _by_name(features) -> dict:
  """The features of an example that is a dict, as most are."""
  return dict(features.items()) if hasattr(features, "items") else {}


def _listed(features) -> str:
  """The names and kinds of features, for a message."""
  return ", ".join(
    f"{key} ({type(feature).__name__})"
    for key, feature in sorted(_by_name(features).items())
  )


def _pixels(data: bytes, channels: int) -> np.ndarray:
  """Decodes a PNG or JPEG to uint8 `[H, W, channels]`."""
  import PIL.Image

  with PIL.Image.open(io.BytesIO(data)) as picture:
    if picture.mode != _MODES[channels]:
      picture = picture.convert(_MODES[channels])
    pixels = np.asarray(picture)
  return pixels.reshape(*pixels.shape[:2], channels)


def _unreadable(name, folder, error) -> errors.UserError:
  """The error for a prepared folder whose files are missing or damaged."""
  reason = str(error).strip().splitlines() or [type(error).__name__]
  return errors.UserError(
    f"cannot read {name} in {folder} ({reason[0]}): delete the folder and"
    " prepare the dataset again"
  )
