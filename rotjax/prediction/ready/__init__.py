"""The models that come with rotjax, a folder each beside this file.

What such a folder holds, and how it is read, is told in `rotjax.run.ready`;
`make` writes one from a finished run.
"""

import os
import pathlib

from rotjax import errors, files
from rotjax.config import shipped

# Which model is for what.
PAGES, PHOTOS = "documents", "photos"


def choose(given: str | None) -> list[pathlib.Path]:
  """The models that `--model` names: a shipped one's name before a path.

  A file or folder of a shipped model's name is `./NAME`.

  Args:
    given: by a person.

  Returns:
    One; where none is given, the only one that there is, or those for pages
    and for photos, of which each picture has its own, see `choice.of`.

  Raises:
    UserError: nothing of that name, or nothing to be taken.
  """
  there = shipped.names()
  if given is not None:
    return [place(files.absolute(given, "--model"), given)]
  if len(there) == 1:
    return [shipped.FOLDER / there[0]]
  if {PAGES, PHOTOS} <= set(there):
    return [shipped.FOLDER / PAGES, shipped.FOLDER / PHOTOS]
  one = (
    f"name one of those that come with rotjax, --model {' or '.join(there)}"
    if there
    else "none comes with this rotjax: give --workdir DIR, a finished run, or"
    " --model FILE, of rotjax.export"
  )
  raise errors.UserError(f"no model is chosen: {one}")


def place(path: pathlib.Path, given: str | os.PathLike) -> pathlib.Path:
  """Where a model lies: shipped under the name `given`, or at a path.

  Raises:
    UserError: neither.
  """
  name = os.fspath(given)
  if name in shipped.names():
    return shipped.FOLDER / name
  if not path.exists() and path.name == name:
    known = ", ".join(shipped.names()) or "none comes with this version"
    raise errors.UserError(
      f"{path}: no such run folder or model file, nor a model of that name that"
      f" comes with rotjax ({known})"
    )
  return path


def listing() -> str:
  """A line for each model that comes with rotjax."""
  from rotjax.run import ready  # which takes seconds

  lines = []
  for name in shipped.names():
    folder = shipped.FOLDER / name
    card = (folder / ready.CARD).read_text("utf-8")
    size = (folder / ready.WEIGHTS).stat().st_size / 1e6
    lines.append(f"{name}: {_first_paragraph(card)} ({size:.1f} MB)\n")
  return "".join(lines) or "No model comes with this rotjax.\n"


def _first_paragraph(card: str) -> str:
  """Of a model's card, on one line: what the model is for."""
  paragraphs = [part for part in card.split("\n\n") if part[:1] not in "#"]
  return " ".join(paragraphs[0].split()) if paragraphs else ""
