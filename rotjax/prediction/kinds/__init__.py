"""Kinds of files that hold pictures: how each is read, and written upright.

An entry is a module with a class `Document`, which is that of `picture` but for
what is said there. What needs an extra of rotjax names it in `EXTRA`, and the
packages that come with it in `NEEDS`.
"""

import importlib.util
import os
import types

from rotjax.prediction.kinds import heic, pdf, picture, tiff

# By the end of a file's name; any other is a picture that Pillow reads itself.
KINDS: dict[str, types.ModuleType] = {
  ".tif": tiff,
  ".tiff": tiff,
  ".pdf": pdf,
  ".heic": heic,
  ".heif": heic,
  ".hif": heic,
}


def opened(path: str) -> picture.Document:
  """The document that a file holds.

  Raises:
    Unusable: it cannot be read, or a package for it is missing.
  """
  kind = KINDS.get(os.path.splitext(path)[1].lower(), picture)
  return kind.Document(path)


def extras() -> dict[str, str]:
  """Ending -> the extra of rotjax that reads it, of those that have one."""
  return {
    ending: kind.EXTRA
    for ending, kind in KINDS.items()
    if hasattr(kind, "EXTRA")
  }


def readable() -> frozenset[str]:
  """The endings that are read beside Pillow's own, as far as installed."""
  return frozenset(
    ending
    for ending, kind in KINDS.items()
    if all(map(importlib.util.find_spec, getattr(kind, "NEEDS", ())))
  )
