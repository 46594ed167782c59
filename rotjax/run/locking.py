"""One process at a time in a folder: an advisory lock on a file in it."""

import contextlib
import fcntl
import os
import pathlib
from typing import Any

from rotjax import errors

FILE = ".lock"


class HeldError(errors.UserError):
  """Another process is at work in the folder."""


class Lock:
  """Keeps other processes out of a folder, which is made if need be.

  The system lets go of it with the process, however that ends.
  """

  def __init__(self, folder: pathlib.Path, shared: bool = False):
    """Takes the lock.

    Args:
      folder: to be locked.
      shared: others may hold it at the same time, shared too.

    Raises:
      UserError: another process holds it (HeldError), or the folder cannot be
        made, written or locked.
    """
    check_path(folder)
    # os.path, because pathlib raises where a parent may not be looked into.
    if os.path.exists(folder) and not folder.is_dir():
      raise errors.UserError(f"workdir {folder} is a file, not a folder")
    self.folder = folder
    self._made: list[pathlib.Path] = []
    self._new = False
    try:
      folders = (folder, *folder.parents)
      self._made = [f for f in folders if not os.path.exists(f)]
      self._handle = self._take(shared)
    except BlockingIOError:
      raise HeldError(
        f"another process is at work in {folder}: wait for it, or choose"
        " another --workdir"
      ) from None
    except OSError as error:
      self._undo()
      raise errors.UserError(
        f"workdir {folder} cannot be made, written or locked"
        f" ({error.strerror or error}): choose another --workdir"
      ) from None

  def _take(self, shared: bool) -> int:
    file = self.folder / FILE
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
      self.folder.mkdir(parents=True, exist_ok=True)
      self._new = not file.exists()
      try:
        handle = os.open(file, flags, 0o666)
      except FileNotFoundError:  # whoever had made the folder removed it
        continue
      try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
        # Whoever held it before may have removed the file meanwhile.
        if file.exists() and os.path.samestat(os.fstat(handle), file.stat()):
          return handle
      except BaseException:
        os.close(handle)
        raise
      os.close(handle)

  def __enter__(self) -> "Lock":
    return self

  def __exit__(self, *_: Any) -> None:
    self.release()

  def share(self) -> None:
    """Lets others in that share it too; no longer exclusive."""
    fcntl.flock(self._handle, fcntl.LOCK_SH | fcntl.LOCK_NB)

  def release(self, undo: bool = False) -> None:
    """Lets go.

    Args:
      undo: removes what taking the lock had to make, as far as it is empty.
    """
    if undo:
      self._undo()
    os.close(self._handle)

  def _undo(self):
    if self._new:
      with contextlib.suppress(OSError):
        (self.folder / FILE).unlink()
    for folder in self._made:
      try:
        folder.rmdir()
      except OSError:  # not empty, or never made
        return


def check_path(folder: pathlib.Path) -> None:
  """Raises UserError for a path in which checkpoints could not be read again.

  A dependency takes it for a pattern of names, or for an address.
  """
  text = os.fsencode(folder).decode(errors="replace")
  bad = sorted(set(text) & set("[]*?\\\ufffd"))
  if bad or "\0" in text:
    raise errors.UserError(
      f"workdir {text} cannot hold checkpoints because of"
      f" {' '.join(bad) or 'NUL'} in its path: choose another --workdir"
    )
