"""Picture files: found in folders, one's own output and the like left out."""

from collections.abc import Collection, Iterable, Iterator, Mapping
import dataclasses
import os
import pathlib
from typing import NamedTuple

import PIL.Image

from rotjax.image import pictures

# Formats of pictures that are read nowhere: what a user may well have meant.
UNREAD = frozenset(
  (
    *(".heic", ".heif", ".hif", ".jxl", ".jxr", ".svg", ".svgz", ".pdf"),
    *(".eps", ".ps", ".ai", ".psd", ".psb", ".xcf", ".kra", ".djvu", ".ico"),
    *(".emf", ".wmf", ".exr", ".hdr", ".dcm", ".fits", ".pic", ".pict"),
    # Of cameras.
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".kdc"),
    *(".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".srw"),
    *(".x3f",),
  )
)
# Lies in a folder that was made for pictures turned back.
UPRIGHT_MARK = ".rotjax-upright"
# What of ours lies in a folder with the first name and one of the others, and
# whether nothing but ours can: other results may be written beside photos.
_OWN = (
  (
    "the folder of a run",
    "config.json",
    {"checkpoints", "summary.json", "metrics.jsonl"},
    True,
  ),
  ("the folder of a sweep", "sweep.json", {"sweep.json"}, True),
  ("the folder of an audit", "audit.json", {"audit.png"}, False),
  (
    "the folder of tables",
    "table.json",
    {"intervals.png", "donuts.png"},
    False,
  ),
  ("pictures turned back by rotjax", UPRIGHT_MARK, {UPRIGHT_MARK}, False),
)
LINK = "a symbolic link, which is not followed"


@dataclasses.dataclass(frozen=True)
class Found:
  """A picture file.

  Attributes:
    path: to open.
    name: where it lies below the folder that was named; its bare name if it
      was named itself.
  """

  path: str
  name: pathlib.PurePath


class LeftOut(NamedTuple):
  """What was not taken from a folder.

  Attributes:
    path: a file or a folder.
    reason: in one line.
    wanted: whether it may hold pictures that were meant.
  """

  path: str
  reason: str
  wanted: bool = True


def find(
  paths: Iterable[str],
  also: Collection[str] = (),
  extras: Mapping[str, str] | None = None,
) -> Iterator[Found | LeftOut]:
  """Files, and the pictures in folders and their subfolders, each once.

  Files are taken whatever they are called; in folders the name has to end like
  a picture's, and what begins with a dot is left out. So are, below a folder,
  the folders of runs and sweeps and those of `predict --upright`.

  Args:
    paths: of files and folders; `~` is the home folder.
    also: endings that are read beside `endings()`.
    extras: ending -> what to install for it to be read.

  Yields:
    What was found, by name within a folder; what of it was left out.
  """
  seen = set()
  for path in map(expanded, paths):
    if not os.path.isdir(path):
      inside: Iterable = [Found(path, pathlib.PurePath(os.path.basename(path)))]
    else:
      inside = _walk(path, endings().union(also), extras or {})
    for found in inside:
      if isinstance(found, LeftOut):
        yield found
      elif found.path not in seen:
        seen.add(found.path)
        yield found


def expanded(path: str) -> str:
  """A path with the home folder for `~`, unless there is such a file."""
  if path.startswith("~") and not os.path.lexists(path):
    return os.path.expanduser(path)
  return path


def own_output(names: Collection[str], named: bool = False) -> str:
  """What of rotjax's own lies in a folder with these names in it; "" if not.

  Args:
    names: of all that lies in the folder.
    named: whether the user named this very folder, who then means what is in
      it, unless it is a run's or a sweep's.
  """
  for kind, first, others, alone in _OWN:
    if first in names and not others.isdisjoint(names) and (alone or not named):
      return kind
  return ""


def mark_upright(folder: pathlib.Path) -> None:
  """Makes a folder for pictures turned back, known as such ever after.

  One that holds something already stays as it is: it may be the user's own.

  Raises:
    OSError: it cannot be made.
  """
  folder.mkdir(parents=True, exist_ok=True)
  if not any(folder.iterdir()):
    mark = folder / UPRIGHT_MARK
    mark.write_text("Written by rotjax.predict --upright.\n", "utf-8")


def _walk(
  folder: str, readable: set[str], extras: Mapping[str, str]
) -> Iterator[Found | LeftOut]:
  unread: dict[str, int] = {}
  unreadable: list[OSError] = []
  count = 0
  for root, folders, files in os.walk(folder, onerror=unreadable.append):
    if own := own_output({*folders, *files}, root == folder):
      folders.clear()
      yield LeftOut(root, f"{own}, left out", root == folder)
      continue
    folders[:] = sorted(name for name in folders if name[0] != ".")
    for name in folders:
      if os.path.islink(os.path.join(root, name)):
        yield LeftOut(os.path.join(root, name), LINK, False)
    for name in sorted(files):
      ending = os.path.splitext(name)[1].lower()
      if name[0] != "." and ending in readable:
        count += 1
        path = os.path.join(root, name)
        yield Found(path, pathlib.PurePath(os.path.relpath(path, folder)))
      elif name[0] != "." and ending in UNREAD:
        unread[ending] = unread.get(ending, 0) + 1
  for error in unreadable:
    yield LeftOut(error.filename, f"cannot be read: {pictures.reason(error)}")
  if unread:
    needed = sorted({extras[e] for e in unread if e in extras})
    advice = f" (pip install {' '.join(map(repr, needed))})" if needed else ""
    yield LeftOut(folder, unread_counts(unread) + advice)
  elif not (count or unreadable):
    yield LeftOut(folder, "no picture in this folder")


def unread_counts(counts: dict[str, int]) -> str:
  """How many files of which formats are not read, by their endings."""
  listed = ", ".join(f"{n} {ending}" for ending, n in sorted(counts.items()))
  return f"left out, of formats that are not read: {listed}"


def endings() -> set[str]:
  """What the names of files end in that are read, lower case."""
  readable = pictures.formats()
  known = PIL.Image.registered_extensions()
  found = {ending for ending, name in known.items() if name in readable}
  return found | {".mpo", ".dib"}  # JPEGs in one; what is a BMP as a rule
