"""Paths as people write them, and files written whole or not at all."""

import contextlib
import json
import os
import pathlib
import re
import secrets
from typing import Any

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
    whole = pathlib.Path(path).absolute()
  except OSError:  # of os.getcwd
    raise errors.UserError(
      f"{what} = {text} is relative and the working directory is gone: change"
      " to another one, or write an absolute path"
    ) from None
  try:
    os.lstat(whole)
  except (FileNotFoundError, NotADirectoryError):
    pass  # that is for the caller to judge
  except OSError as error:
    raise errors.UserError(f"{what} = {text}: {error.strerror}") from None
  return whole


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
  """An absolute path at which a folder is there or can be made.

  Raises:
    UserError: as `to_write`, or a file is there.
  """
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


# What a kill leaves of a file that was not whole yet.
PARTS = ".rotjax-*.part"


def part(path: pathlib.Path) -> pathlib.Path:
  """A free name beside another, for what is not whole yet.

  With a dot before it, it is no input, should a kill leave it.
  """
  return path.with_name(PARTS.replace("*", secrets.token_hex(8)))


def write(path: pathlib.Path, content: str | bytes) -> None:
  """Writes a file so that a kill leaves the old one or the new one.

  Args:
    path: replaced if it exists.
    content: text is written as UTF-8.

  Raises:
    OSError: it cannot be written.
  """
  new = part(path)
  data = content.encode() if isinstance(content, str) else content
  try:
    new.write_bytes(data)
    os.replace(new, path)
  finally:
    with contextlib.suppress(OSError):
      new.unlink()


def write_json(path: pathlib.Path, value: Any) -> None:
  """Writes sorted, indented JSON in the way of `write`."""
  write(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def read_json(path: pathlib.Path) -> Any:
  """What a JSON file holds.

  Raises:
    UserError: it is missing or broken.
  """
  try:
    return json.loads(path.read_text("utf-8"))
  except (OSError, ValueError) as error:
    raise errors.UserError(f"{path} cannot be read: {error}") from None
