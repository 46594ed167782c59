"""Decoded arrays on disk, so that a second start decodes nothing.

The cache is a convenience: whatever goes wrong with it, the arrays are decoded
again and nobody is told.
"""

import contextlib
import hashlib
import os
import pathlib
import tempfile
from typing import Any, cast
import zipfile

import numpy as np

from rotjax.data import content
from rotjax.data.store import location

# Beyond this, a copy of a dataset costs the user more disk than it saves time.
_MAX_BYTES = 1 << 30

# To be raised whenever what is stored, or how it is decoded, changes.
_FORMAT = 1


def identity(folder: pathlib.Path) -> str:
  """A digest that changes whenever the files of a prepared dataset do.

  It covers the folder, every file's name, size and time of change, and the
  metadata themselves: record files are padded to blocks, so that a size alone
  says little where times have been normalised.
  """
  digest = hashlib.sha256(os.fsencode(folder.resolve()))
  for path in sorted(folder.iterdir()):
    stat = path.stat()
    digest.update(
      f"{path.name} {stat.st_size} {stat.st_mtime_ns}\n".encode(
        errors="surrogateescape"
      )
    )
    if path.suffix == ".json":
      digest.update(path.read_bytes())
  return digest.hexdigest()


def path_for(name: str, *parts: object) -> pathlib.Path:
  """Where the arrays that `parts` identify are kept.

  Args:
    name: a readable start of the file's name.
    *parts: all that the arrays depend on; their repr is hashed.
  """
  stem = f"{name.replace('/', '-')}-{content.digest((_FORMAT, *parts))}.npz"
  return location.cache_root() / "arrays" / stem


def load(path: pathlib.Path) -> dict[str, np.ndarray] | None:
  """Returns what `save` stored, or None if it is absent or damaged."""
  try:
    # The zip container keeps a checksum of each array, which reading verifies.
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
      return {key: stored[key] for key in stored.files}
  except FileNotFoundError:
    return None
  except Exception:  # noqa: BLE001 - damage shows as any kind of error
    return None


def save(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
  """Stores arrays so that a reader finds all of them or none.

  A folder that cannot be written, or a full disk, is tolerated.
  """
  if sum(array.nbytes for array in arrays.values()) > _MAX_BYTES:
    return
  scratch = None
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with os.fdopen(handle, "wb") as file:
      np.savez(file, **cast(dict[str, Any], arrays))
    os.replace(scratch, path)
  except (OSError, zipfile.LargeZipFile):
    pass
  finally:
    if scratch is not None:
      with contextlib.suppress(OSError):
        os.unlink(scratch)  # gone already where the replacement succeeded
