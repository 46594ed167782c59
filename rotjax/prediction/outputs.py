"""What is written for pictures: whole or not at all, never over anything."""

import contextlib
import functools
import io
import json
import os
import pathlib
from typing import Any

import PIL.Image

from rotjax import errors, files
from rotjax.image import pictures

# In a folder of results: the names of those that were written, a JSON string a
# line. What is named there is never turned again, and what else lies there is.
_LIST = ".rotjax-written"


def check_new(path: pathlib.Path) -> None:
  """Refuses a name that is taken.

  Raises:
    UserError: something is there, be it a link to nothing.
  """
  if os.path.lexists(path):
    raise errors.UserError(f"{path} exists already and is not overwritten")


def write_bytes(path: pathlib.Path, data: bytes | memoryview) -> None:
  """Writes a new file; a kill at any time leaves all of it or nothing.

  Raises:
    FileExistsError: neither an input nor an earlier output is ever replaced.
    OSError: it cannot be written.
  """
  part = files.part(path)
  try:
    with open(part, "xb") as file:
      file.write(data)
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


class Folder:
  """A folder of results, which remembers what was written into it."""

  def __init__(self, path: pathlib.Path):
    self.path = path
    self._sources: dict[str, str] = {}

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

  def write(self, name: pathlib.PurePath, data: bytes, source: str) -> None:
    """Writes a new result.

    Args:
      name: in this folder, with subfolders.
      data: all of it.
      source: what it was made from, for messages.

    Raises:
      Unusable: the name is taken, or it cannot be written.
    """
    path = self.path / name
    self.check_new(name)
    try:
      path.parent.mkdir(parents=True, exist_ok=True)
      # Before the file: a result that is not listed would be an input. On a
      # line of its own, even if the last one was cut.
      with open(self.path / _LIST, "a", encoding="ascii") as file:
        file.write(f"\n{json.dumps(name.as_posix())}")
      write_bytes(path, data)
    except OSError as error:
      if isinstance(error, FileExistsError):
        self.check_new(name)
      raise pictures.Unusable(
        f"cannot be written: {pictures.reason(error)}"
      ) from None
    self._sources[str(path).casefold()] = source
    _listed(pathlib.Path(os.path.realpath(self.path))).add(name.as_posix())


def is_result(path: str) -> bool:
  """Whether a file is what this or an earlier call wrote into a `Folder`."""
  real = pathlib.Path(os.path.realpath(path))
  return any(
    real.relative_to(folder).as_posix() in _listed(folder)
    for folder in real.parents
  )


@functools.cache
def _listed(folder: pathlib.Path) -> set[str]:
  """The results in a folder."""
  names: set[str] = set()
  try:
    text = (folder / _LIST).read_text("ascii", "replace")
  except OSError:
    return names
  for line in text.splitlines():
    with contextlib.suppress(ValueError, TypeError):
      names.add(json.loads(line))
  return names
