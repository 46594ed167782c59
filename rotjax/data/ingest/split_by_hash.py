"""Splits by hash: where an image goes depends on nothing but itself.

So nothing moves when files are added, renamed (`group="none"`) or copied.
"""

from collections.abc import Iterable, Sequence
import hashlib
import math
import posixpath

from rotjax.data import split as split_lib

GROUPS = ("none", "folder", "prefix")

# What separates the number of a frame from the rest of its name.
_SEPARATORS = "0123456789 _-.()#"


def group_of(name: str, digest: str, group: str) -> str:
  """What is kept together with an image.

  Args:
    name: its file, relative, with slashes.
    digest: of the file's content.
    group: "none": exact copies; "folder": all in the same folder; "prefix":
      all in the same folder whose names differ only in the digits and
      separators before the ending ("burst_001.jpg", "burst (2).jpg").

  Returns:
    A name of the group.
  """
  if group == "none":
    return digest
  folder, file = posixpath.split(name)
  if group == "folder":
    return folder
  return posixpath.join(folder, posixpath.splitext(file)[0].rstrip(_SEPARATORS))


def place(key: str) -> float:
  """A fixed pseudo-random number in [0, 1) for a name."""
  data = key.encode("utf-8", "surrogateescape")
  return int.from_bytes(hashlib.sha256(data).digest()[:6], "big") / 2**48


def least_share(split: str, groups: Iterable[str]) -> float:
  """The smallest share, in thousandths, with which a split is not empty.

  Args:
    split: "test", which has the smallest numbers, or else the largest.
    groups: of the images, from `group_of`.
  """
  places = [place(group) for group in groups]
  least = min(places) if split == "test" else 1 - max(places)
  # Just above: a place equal to the test's share is outside of it.
  return (math.floor(1000 * least) + 1) / 1000


def assign(
  groups: Sequence[str],
  digests: Sequence[str],
  test_share: float,
  validation_share: float,
) -> list[str]:
  """The split of each image.

  Exact copies are never in two splits: where they lie in groups of different
  splits, all of them are in test if one is, else in validation.

  Args:
    groups: of each image, from `group_of`.
    digests: of each image's file.
    test_share: of all groups; those with the smallest numbers.
    validation_share: those with the largest numbers.

  Returns:
    "train", "validation" or "test" for each.
  """
  ranks = []
  for group in groups:
    at = place(group)
    ranks.append(
      2 if at < test_share else 1 if at >= 1 - validation_share else 0
    )
  highest: dict[str, int] = {}
  for digest, rank in zip(digests, ranks, strict=True):
    highest[digest] = max(rank, highest.get(digest, 0))
  return [split_lib.SPLITS[highest[digest]] for digest in digests]
