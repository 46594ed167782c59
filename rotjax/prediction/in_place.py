"""Files replaced by their upright versions, once a copy of each is safe."""

from collections.abc import Iterator, Sequence
import contextlib
import hashlib
import os
import pathlib
import shutil
from typing import Any

from rotjax import files
from rotjax.image import pictures
from rotjax.prediction import journal, outputs
from rotjax.prediction.kinds import picture


class Backup:
  """A folder with the originals of what was replaced.

  Attributes:
    path: of the folder.
  """

  def __init__(self, path: pathlib.Path):
    self.path = path

  def done(self, source: str) -> list[dict[str, Any]] | None:
    """The rows of a file that was replaced already, and has not changed since.

    Whatever the settings were: turned twice, it would be turned too far.
    """
    found = journal.of(self.path).of_source(source)
    if found:
      with contextlib.suppress(pictures.Unusable):
        digest = _digest(picture.whole(source))
        for entry in found:
          if entry["result_sha256"] == digest:
            return entry["rows"]
    return None

  def rows(self) -> Iterator[dict[str, Any]]:
    """Of all files that were replaced, what was told of them."""
    for entry in journal.of(self.path):
      yield from entry.get("rows", ())

  def write(
    self,
    name: pathlib.PurePath,
    data: bytes,
    source: str,
    rows: Sequence[dict[str, Any]],
  ) -> None:
    """Copies a file into the backup, reads the copy, and replaces the file.

    Killed at any time it leaves the old file or the new one, and of the old
    one a copy before the new one is there.

    Args:
      name: of the copy, in this folder.
      data: the new file.
      source: the file to replace.
      rows: what is told of it, JSON-able.

    Raises:
      Unusable: a link, another copy under that name, or it cannot be written.
    """
    if os.path.islink(source):
      raise pictures.Unusable("a symbolic link, which is not replaced")
    old, copy = picture.whole(source), self.path / name
    if os.path.lexists(copy):
      if os.path.samefile(copy, source):
        raise pictures.Unusable("lies in the backup itself: not replaced")
      if picture.whole(copy) != old:
        raise pictures.Unusable(
          f"the backup has another {name}: not replaced; use a new --backup"
        )
    if not files.writable(os.path.dirname(os.path.abspath(source))):
      raise pictures.Unusable("its folder cannot be written to: not replaced")
    try:
      copy.parent.mkdir(parents=True, exist_ok=True)
      # Before both: neither is an input of another call.
      journal.of(self.path).add(
        name,
        source=os.path.realpath(source),
        result_sha256=_digest(data),
        rows=list(rows),
      )
      if not os.path.lexists(copy):
        outputs.write_bytes(copy, old)
        shutil.copystat(source, copy)
      if picture.whole(copy) != old:
        raise pictures.Unusable("its copy differs from it: not replaced")
      _replace(pathlib.Path(source), data)
    except OSError as error:
      raise pictures.Unusable(
        f"not replaced: {pictures.reason(error)}"
      ) from None


def _digest(data: bytes) -> str:
  return hashlib.sha256(data).hexdigest()


def _replace(path: pathlib.Path, data: bytes) -> None:
  part = files.part(path)
  try:
    with open(part, "xb") as file:
      file.write(data)
      outputs.settle(file)
    shutil.copymode(path, part)
    os.replace(part, path)
  finally:
    with contextlib.suppress(OSError):
      part.unlink()
