"""What a dataset hands to the rest of rotjax: arrays in memory."""

from collections.abc import Iterable, Sequence
import dataclasses
import operator
from typing import Any

import numpy as np

from rotjax import errors

SPLITS = ("train", "validation", "test")


# Arrays have no truth value, so that the == that a dataclass writes by itself
# would raise; two splits are the same when they are the same object.
@dataclasses.dataclass(frozen=True, eq=False)
class Split:
  """One split of a dataset, decoded; the arrays are read-only.

  Attributes:
    images: uint8 `[N, H, W, C]`, C in (1, 3).
    labels: int32 `[N]`, numbered as in the dataset, whatever was filtered.
    indices: int64 `[N]`, where each example stands in `origin`.
    origin: the prepared TFDS split that the examples were read from; the pair
      (origin, index) names an example for good.
    center: (y, x) in pixels about which the images are to be turned; None is
      the canvas centre, ((H - 1) / 2, (W - 1) / 2).
    angle_deg: float64 `[N]`, how far each image is turned already, counter-
      clockwise; None where all are upright.
  """

  images: np.ndarray
  labels: np.ndarray
  indices: np.ndarray
  origin: str
  center: tuple[float, float] | None = None
  angle_deg: np.ndarray | None = None

  def __len__(self) -> int:
    return len(self.images)

  @property
  def shape(self) -> tuple[int, int, int]:
    """Height, width and channels of every image."""
    return self.images.shape[1:]

  def rows(self, indices: np.ndarray) -> "Split":
    """A split of just these rows, positions in this one."""
    return take(self, indices, ("images", *PER_IMAGE))

  def __getitems__(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
    """Returns a batch.

    Args:
      indices: integers `[n]`, positions in this split.

    Returns:
      `image`, uint8 `[n, H, W, C]`, and `label`, int32 `[n]`.

    Raises:
      IndexError: an index is out of range or not an integer.
    """
    rows = positions(indices)
    return {"image": self.images[rows], "label": self.labels[rows]}


# Of every split, resident or streamed.
PER_IMAGE = ("labels", "indices", "angle_deg")


def take(
  split: Any, rows: np.ndarray, fields: Iterable[str] = PER_IMAGE
) -> Any:
  """A split of just some rows.

  Args:
    split: a Split, or another dataclass with these fields.
    rows: integers or bools, positions in it.
    fields: arrays with a row for each image, or None.
  """
  arrays = {name: getattr(split, name) for name in fields}
  return dataclasses.replace(
    split, **{k: v[rows] for k, v in arrays.items() if v is not None}
  )


def positions(indices: Sequence[int]) -> np.ndarray:
  """What was asked for as an array; numpy makes an empty list float."""
  rows = np.asarray(indices)
  return rows if rows.size else rows.astype(np.intp)


def check_name(split: str) -> None:
  """Raises errors.UserError unless `split` is one of SPLITS."""
  errors.choose("split", split, SPLITS)


def class_ids(
  name: str, classes: Iterable[int], num_classes: int | None = None
) -> tuple[int, ...]:
  """Returns the classes to keep, sorted and each once.

  Args:
    name: the dataset, for the message.
    classes: class numbers; empty keeps all.
    num_classes: how many classes the dataset has, if it is known yet.

  Raises:
    errors.UserError: not whole numbers, or a class that does not exist.
  """
  try:
    ids = tuple(sorted({operator.index(c) for c in classes}))
  except TypeError:
    raise errors.UserError(
      f"classes of {name} must be a tuple of whole numbers, such as (3,) or"
      f" () for all, not {classes!r}"
    ) from None
  if num_classes is not None:
    for c in ids:
      if not 0 <= c < num_classes:
        raise errors.UserError(
          f"{name} has no class {c}: valid: 0 to {num_classes - 1}"
        )
  return ids


def part(name: str, prepared: Iterable[str], split: str) -> tuple[str, str]:
  """Says which prepared split a split of ours is read from.

  A dataset with its own validation and test splits is used as it is. Where
  only one of them exists it is the test set, and validation is every 20th
  training example: index % 20 == 19 in the prepared order, which does not
  depend on the classes kept.

  Args:
    name: the dataset, for the message.
    prepared: the splits that it has.
    split: "train", "validation" or "test".

  Returns:
    The prepared split, and "all", "kept" (without every 20th example) or
    "held out" (every 20th).

  Raises:
    errors.UserError: there is no training or no test split.
  """
  prepared = tuple(prepared)
  test = next((n for n in ("test", "validation") if n in prepared), None)
  if test is None or ("train" not in prepared and split != "test"):
    raise errors.UserError(
      "a dataset needs a train split and a test or a validation split:"
      f" {name} has {', '.join(prepared) or 'none'}"
    )
  if split == "test":
    return test, "all"
  if "validation" in prepared and test == "test":
    return split, "all"
  return "train", "kept" if split == "train" else "held out"


def members(indices: np.ndarray, which: str) -> np.ndarray:
  """Returns bool `[N]`: the examples of `indices` that are in `which` part."""
  held_out = indices % 20 == 19
  if which == "all":
    return np.ones_like(held_out)
  return held_out if which == "held out" else ~held_out
