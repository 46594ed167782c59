"""What was written into a folder, so that a call that was stopped goes on.

A line of JSON for each result, appended before the result itself: what is named
there is never taken for an input. One that was cut by a kill says nothing.
"""

from collections.abc import Iterator
import contextlib
import functools
import json
import os
import pathlib
from typing import Any

NAME = ".rotjax-written"


class Journal:
  """The results in a folder."""

  def __init__(self, folder: pathlib.Path):
    self._file = folder / NAME
    self._entries: dict[str, dict[str, Any]] = {}
    self._by_source: dict[str, list[dict[str, Any]]] = {}
    try:
      text = self._file.read_text("ascii", "replace")
    except OSError:
      return
    for line in text.splitlines():
      with contextlib.suppress(ValueError, TypeError, KeyError):
        entry = json.loads(line)
        # Of a version that wrote names alone.
        self._keep({"name": entry} if isinstance(entry, str) else entry)

  def _keep(self, entry: dict[str, Any]) -> None:
    self._entries[entry["name"]] = entry
    self._by_source.setdefault(entry.get("source", ""), []).append(entry)

  def __contains__(self, name: str) -> bool:
    return name in self._entries

  def __iter__(self) -> Iterator[dict[str, Any]]:
    return iter(self._entries.values())

  def of_source(self, path: str) -> list[dict[str, Any]]:
    """What was written for a file, the last first."""
    return self._by_source.get(os.path.realpath(path), [])[::-1]

  def add(self, name: pathlib.PurePath, **facts: Any) -> None:
    """Notes a result that is about to be written.

    Args:
      name: of the result, in the folder.
      **facts: JSON-able; "source" is the real path that it is made from.

    Raises:
      OSError: it cannot be noted.
    """
    entry = {"name": name.as_posix(), **facts}
    # On a line of its own, even if the last one was cut.
    with open(self._file, "a", encoding="ascii") as file:
      file.write(f"\n{json.dumps(entry)}")
    self._keep(entry)


def stamp(path: str) -> dict[str, Any]:
  """What tells a file from an earlier version of itself."""
  found = os.stat(path)
  return {
    "source": os.path.realpath(path),
    "source_bytes": found.st_size,
    "source_mtime_ns": found.st_mtime_ns,
  }


def of(folder: str | os.PathLike) -> Journal:
  """The journal of a folder, read once."""
  return _of(os.path.realpath(folder))


@functools.cache
def _of(folder: str) -> Journal:
  return Journal(pathlib.Path(folder))


def is_result(path: str) -> bool:
  """Whether a file is what this or an earlier call wrote into a folder."""
  real = pathlib.Path(os.path.realpath(path))
  return any(
    real.relative_to(folder).as_posix() in _of(str(folder))
    for folder in real.parents
  )
