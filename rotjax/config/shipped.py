"""The models that come with rotjax: their names, and where they lie."""

import pathlib

import rotjax
from rotjax import errors, files

# A folder each, see `rotjax.run.ready`.
FOLDER = pathlib.Path(rotjax.__file__).parent / "prediction" / "ready"
# Where a path is expected: init_from = ready:NAME.
PREFIX = "ready:"


def names() -> list[str]:
  """The models that come with rotjax, in order."""
  return sorted(file.parent.name for file in FOLDER.glob("*/digest"))


def place(given: str, what: str) -> pathlib.Path:
  """The folder that "ready:NAME" or a path stands for.

  Args:
    given: by a person.
    what: the field, for messages.

  Raises:
    UserError: no model of that name comes with rotjax, or as
      `files.absolute`.
  """
  if not given.startswith(PREFIX):
    return files.absolute(given, what)
  name = given.removeprefix(PREFIX)
  if name in names():
    return FOLDER / name
  if not names():
    raise errors.UserError(
      f"{what} = {given}: no model comes with this rotjax; name a finished"
      " run's folder"
    )
  raise errors.unknown(f"model in {what} = {PREFIX}NAME:", name, names())
