"""From a prepared TFDS dataset to arrays: decode once, keep, share."""

import functools

import numpy as np

from rotjax import errors
from rotjax.data import split as split_lib
from rotjax.data import streamed
from rotjax.data.store import cache, location, records

# One call for many examples: one call each takes ten times as long.
_BLOCK = 4096


def load(
  prepared: records.Prepared,
  split: str,
  classes: tuple[int, ...] = (),
  center: tuple[float, float] | None = None,
  max_resident_mb: int | None = None,
) -> split_lib.Split | streamed.Streamed:
  """Reads one split of a prepared dataset.

  The result is kept for the life of the process (the last few of them) and,
  decoded, in the user's cache folder, until the dataset's files change.

  Args:
    prepared: the dataset.
    split: "train", "validation" or "test"; split.part says which examples.
    classes: sorted labels to keep; empty keeps all.
    center: goes to the result.
    max_resident_mb: where the decoded images of the prepared split take more
      than so many MB (2**20 bytes), they stay on disk and the result is a
      Streamed; None never leaves them there.

  Raises:
    errors.UserError: an unknown split or class, no example left, files that
      cannot be read, images that are not of one size.
  """
  split_lib.check_name(split)
  names = location.info(prepared.folder).splits
  origin, which = split_lib.part(prepared.name, names, split)
  try:
    stamp = cache.identity(prepared.folder)
  except OSError as error:
    raise prepared.unreadable(error) from None
  return _load(
    prepared, stamp, origin, which, split, classes, center, max_resident_mb
  )


@functools.lru_cache(maxsize=8)
def _load(
  prepared, stamp, origin, which, split, classes, center, max_resident_mb
):
  """`load`, once its arguments say which version of which files is meant."""
  if _fits(prepared, stamp, origin, classes, max_resident_mb):
    arrays = _images(prepared, stamp, origin, classes)
    shape = None
  else:
    arrays = dict(_index(prepared, stamp, origin, classes))
    shape = tuple(arrays.pop("shape").tolist())
  if which != "all":
    rows = split_lib.members(arrays["indices"], which)
    arrays = {key: array[rows] for key, array in arrays.items()}
  if not len(arrays["indices"]):
    kept = f" of classes {', '.join(map(str, classes))}" if classes else ""
    raise errors.UserError(
      f"{prepared.name} has no {split} example{kept} in {prepared.folder}:"
      " choose other classes or another dataset"
    )
  for array in arrays.values():
    array.setflags(write=False)  # the seeds of a process share them
  if shape is None:
    return split_lib.Split(**arrays, origin=origin, center=center)
  return streamed.Streamed(
    prepared, shape, **arrays, origin=origin, center=center
  )


def _fits(prepared, stamp, origin, classes, max_resident_mb) -> bool:
  """Whether the decoded images of a prepared split may be kept in memory."""
  if max_resident_mb is None:
    return True
  limit = max_resident_mb * 2**20
  shape = prepared.image_shape()
  try:
    total = len(prepared.source(origin))
  except errors.UserError:
    raise
  except records.DAMAGE as error:
    raise prepared.unreadable(error) from error
  # All of the classes, if their size is stated, fit most often.
  if None not in shape and total * np.prod(shape, dtype=np.int64) <= limit:
    return True
  index = _index(prepared, stamp, origin, classes)
  return len(index["indices"]) * index["shape"].prod() <= limit


# One is enough: train and validation, which may be cut from one prepared
# split, are asked for one after the other.
@functools.lru_cache(maxsize=1)
def _images(prepared, stamp, origin, classes):
  """The arrays of a Split, from the disk cache or decoded."""
  return _kept("images", prepared, stamp, origin, classes, decode=True)


@functools.lru_cache(maxsize=1)
def _index(prepared, stamp, origin, classes):
  """The arrays of a Streamed and its `shape`, int64 `[3]`."""
  shape = prepared.image_shape()
  if prepared.label or prepared.angle or None in shape:
    return _kept("index", prepared, stamp, origin, classes, decode=False)
  # Nothing to be learnt from the records themselves.
  total = len(prepared.source(origin))
  return {
    "labels": np.zeros(total, np.int32),
    "indices": np.arange(total),
    "shape": np.array(shape, np.int64),
  }


def _kept(kind, prepared, stamp, origin, classes, decode):
  """What `_read` returns, from the disk cache if it is there."""
  path = cache.path_for(
    f"{prepared.name}-{origin}",
    kind,
    stamp,
    origin,
    classes,
    prepared.image,
    prepared.label,
    prepared.angle,
  )
  arrays = cache.load(path)
  if arrays is None or not _sound(arrays, kind, bool(prepared.angle)):
    arrays = _read(prepared, origin, classes, decode)
    cache.save(path, arrays)
  return arrays


def _sound(arrays: dict[str, np.ndarray], kind: str, turned: bool) -> bool:
  """Whether cached arrays have the names, types and shapes of `_read`'s."""
  names = {"labels": "int32", "indices": "int64"}
  if turned:
    names["angle_deg"] = "float64"
  first, rank = ("images", 4) if kind == "images" else ("shape", 1)
  if set(arrays) != {*names, first} or arrays[first].ndim != rank:
    return False
  if kind == "images":
    n, dtype = len(arrays["images"]), "uint8"
  else:
    n, dtype = len(arrays["indices"]), "int64"
  return arrays[first].dtype == dtype and all(
    arrays[key].dtype == kind and arrays[key].shape == (n,)
    for key, kind in names.items()
  )


def _read(prepared, origin, classes, decode):
  """Reads a prepared split; see `load`.

  Labels are looked at first, so that only the images kept are decoded, or
  their headers read.
  """
  channels = prepared.image_shape()[-1]
  total = prepared.num_classes()
  if prepared.label:
    split_lib.class_ids(prepared.name, classes, total)
  images, labels, indices, angles = [], [], [], []
  shape = None
  try:
    source = prepared.source(origin)
    for start in range(0, len(source), _BLOCK):
      block = range(start, min(start + _BLOCK, len(source)))
      for index, example in zip(block, source.__getitems__(list(block))):
        kind = int(example[prepared.label]) if prepared.label else 0
        if classes and kind not in classes:
          continue
        data = example[prepared.image]
        if decode:
          images.append(records.pixels(data, channels))
          size = images[-1].shape[:2]
        else:
          size = records.size(data)
        shape = shape or size
        if size != shape:
          raise errors.UserError(
            f"the images of {prepared.name} are not all of one size:"
            f" {shape[0]}x{shape[1]} and, at {origin}[{index}],"
            f" {size[0]}x{size[1]}; prepare a resized copy"
          )
        labels.append(kind)
        indices.append(index)
        if prepared.angle:
          angles.append(float(example[prepared.angle]))
  except errors.UserError:
    raise
  except records.DAMAGE as error:
    raise prepared.unreadable(error) from error
  arrays = {
    "labels": np.array(labels, np.int32),
    "indices": np.array(indices, np.int64),
  }
  if prepared.angle:
    arrays["angle_deg"] = np.array(angles, np.float64)
  if decode:
    none = np.zeros((0, 1, 1, channels), np.uint8)
    arrays["images"] = np.stack(images) if images else none
  else:
    arrays["shape"] = np.array([*(shape or (1, 1)), channels], np.int64)
  return arrays
