"""Paths as people write them: made absolute, or refused in one line."""

import os
import pathlib
import re

from rotjax import errors

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def absolute(given: str | os.PathLike, what: str) -> pathlib.Path:
  """The absolute path that a person's words stand for; it may not exist.

  Args:
    given: relative to the working directory, or "~" and on.
    what: the flag, field or variable, for messages.

  Raises:
    UserError: no path, or one that the system can never open.
  """
  text = os.fspath(given)
  if not text or "\0" in text:
    raise errors.UserError(f"{what} is {text!r}, not a path")
  if _ADDRESS.match(text):
    raise errors.UserError(
      f"{what} = {text} is an address, and rotjax reads and writes local paths"
      " only: mount it, or copy from and to it"
    )
  path = os.path.expanduser(text)
  if path.startswith("~"):
    raise errors.UserError(
      f"{what} = {text}: the home folder is not known (no HOME, no such user):"
      f" write the path out, or ./{text} for a folder of that name"
    )
  try:
    found = pathlib.Path(path).absolute()
  except OSError:  # of os.getcwd
    raise errors.UserError(
      f"{what} = {text} is relative and the working directory is gone: change"
      " to another one, or write an absolute path"
    ) from None
  try:
    os.lstat(found)
  except (FileNotFoundError, NotADirectoryError):
    pass  # that is for the caller to judge
  except OSError as error:
    raise errors.UserError(f"{what} = {text}: {error.strerror}") from None
  return found


def to_write(given: str | os.PathLike, what: str) -> pathlib.Path:
  """An absolute path at which something is there or can be made.

  Nothing is made. What is there is not asked whether it can be written: a
  finished run can be shown from a read-only folder.

  Raises:
    UserError: as `absolute`, or nothing can be made there.
  """
  path = absolute(given, what)
  if os.path.lexists(path):
    return path
  folder = path
  while not os.path.lexists(folder):
    folder = folder.parent
  if not os.path.isdir(folder):
    raise errors.UserError(
      f"{what} = {given} cannot be made: {folder} is not a folder"
    )
  if not writable(folder):
    raise errors.UserError(
      f"{what} = {given} cannot be made: {folder} cannot be written to"
    )
  return path


def folder_to_write(given: str | os.PathLike, what: str) -> pathlib.Path:
  """The same for a folder; UserError where a file is there."""
  path = to_write(given, what)
  if os.path.lexists(path) and not path.is_dir():
    raise errors.UserError(f"{what} = {given} is not a folder")
  return path


def writable(folder: str | os.PathLike) -> bool:
  """Whether something can be made in a folder, or the folder itself.

  A folder without any write bit counts as read-only for root too: whoever
  took the bits away meant it.
  """
  # os.path, because pathlib raises where a parent may not be looked into.
  folder = os.path.abspath(folder)
  while not os.path.exists(folder) and folder != os.path.dirname(folder):
    folder = os.path.dirname(folder)
  # Not what the kernel makes up: there even root makes nothing.
  if folder.split("/")[1] in ("proc", "sys"):
    return False
  return (
    os.path.isdir(folder)
    and bool(os.stat(folder).st_mode & 0o222)
    and os.access(
      folder,
      os.W_OK | os.X_OK,
      effective_ids=os.access in os.supports_effective_ids,
    )
  )
