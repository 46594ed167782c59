"""What is written for pictures: whole or not at all, never over anything."""

from collections.abc import Iterator, Sequence
import contextlib
import io
import os
import pathlib
from typing import Any, BinaryIO

import PIL.Image

from rotjax import errors, files
from rotjax.image import pictures
from rotjax.prediction import journal


def check_new(path: pathlib.Path) -> None:
  """Refuses a name that is taken.

  Raises:
    UserError: something is there, be it a link to nothing.
  """
  if os.path.lexists(path):
    raise errors.UserError(f"{path} exists already and is not overwritten")


def write_bytes(path: pathlib.Path, data: bytes | memoryview) -> None:
  """Writes a new file; a kill at any time leaves all of it or nothing.

  Args:
    path: must not exist.
    data: all of it; on the disk when this returns.

  Raises:
    FileExistsError: neither an input nor an earlier output is ever replaced.
    OSError: it cannot be written.
  """
  part = files.part(path)
  try:
    with open(part, "xb") as file:
      file.write(data)
      settle(file)
    try:
      os.link(part, path)
    except FileExistsError:
      raise
    except OSError:  # a file system without hard links
      open(path, "xb").close()
      os.replace(part, path)
  finally:
    with contextlib.suppress(OSError):
      part.unlink()


def settle(file: BinaryIO) -> None:
  """Waits until the disk has what was written into a file."""
  file.flush()
  os.fsync(file.fileno())


def write_picture(
  picture: PIL.Image.Image, path: pathlib.Path, **options: Any
) -> None:
  """Writes a new picture file, by Pillow's `save`.

  Raises:
    Unusable: it cannot be written, or is there.
  """
  data = io.BytesIO()
  try:
    picture.save(data, **options)
    write_bytes(path, data.getbuffer())
  except FileExistsError:
    raise pictures.Unusable("exists already and is not overwritten") from None
  except (OSError, ValueError) as error:
    raise pictures.Unusable(
      f"cannot be written: {pictures.reason(error)}"
    ) from None


def check_table(folder: pathlib.Path, name: str) -> None:
  """Refuses a folder that has a file of that name which is not ours.

  Raises:
    UserError: it has.
  """
  if os.path.lexists(folder / name) and name not in journal.of(folder):
    check_new(folder / name)


def write_table(folder: pathlib.Path, name: str, data: bytes) -> None:
  """Writes a table of the results, over that of an earlier call.

  Raises:
    Unusable: it cannot be written.
  """
  with pictures.refusing():
    folder.mkdir(parents=True, exist_ok=True)
    if name not in journal.of(folder):
      journal.of(folder).add(pathlib.PurePath(name))
    files.write(folder / name, data)


class Folder:
  """A folder of results, which remembers what was written into it.

  Attributes:
    path: of the folder; made when the first result is written.
    settings: whatever else than the source makes a result what it is.
  """

  def __init__(self, path: pathlib.Path, settings: str = ""):
    self.path, self.settings = path, settings
    self._sources: dict[str, str] = {}

  def done(self, source: str) -> list[dict[str, Any]] | None:
    """The rows of a file that an earlier call has finished; None if none has.

    It has if the result is there, whole, and was made from this file as it is
    now (path, size, time of change), with the same settings.
    """
    with contextlib.suppress(OSError):
      now = {**journal.stamp(source), "settings": self.settings}
      for entry in journal.of(self.path).of_source(source):
        if {key: entry.get(key) for key in now} == now:
          if self._is_whole(entry):
            return entry["rows"]
    return None

  def rows(self) -> Iterator[dict[str, Any]]:
    """Of all results with these settings, what was told of them."""
    for entry in journal.of(self.path):
      # A result is noted before it is written: a call may have been stopped
      # between the two.
      if entry.get("settings") == self.settings and self._is_whole(entry):
        yield from entry.get("rows", ())

  def _is_whole(self, entry) -> bool:
    with contextlib.suppress(OSError, KeyError):
      return (self.path / entry["name"]).stat().st_size == entry["bytes"]
    return False

  def check_new(self, name: pathlib.PurePath) -> None:
    """Refuses a result whose name is taken, before any work is done for it.

    Raises:
      Unusable: an earlier result or another file has it.
    """
    path = self.path / name
    if os.path.lexists(path):
      # Names that differ in case alone are one on some file systems.
      source = self._sources.get(str(path).casefold())
      why = f"; in this call {source} has that name too" if source else ""
      raise pictures.Unusable(f"exists already and is not overwritten{why}")

  def write(
    self,
    name: pathlib.PurePath,
    data: bytes,
    source: str,
    rows: Sequence[dict[str, Any]] = (),
  ) -> None:
    """Writes a new result.

    Args:
      name: in this folder, with subfolders.
      data: all of it.
      source: the file that it was made from.
      rows: what is told of the source, JSON-able; `done` gives them back.

    Raises:
      Unusable: the name is taken, or it cannot be written.
    """
    path = self.path / name
    self.check_new(name)
    try:
      path.parent.mkdir(parents=True, exist_ok=True)
      # Before the file: a result that is not listed would be an input.
      journal.of(self.path).add(
        name,
        **journal.stamp(source),
        settings=self.settings,
        bytes=len(data),
        rows=list(rows),
      )
      write_bytes(path, data)
    except OSError as error:
      if isinstance(error, FileExistsError):
        self.check_new(name)
      raise pictures.Unusable(
        f"cannot be written: {pictures.reason(error)}"
      ) from None
    self._sources[str(path).casefold()] = source
