"""Files written upright: the name of each, what of it was lost, the table."""

from collections.abc import Callable, Iterable, Sequence
import os
import pathlib
from typing import Any

from rotjax.image import picture_files, pictures
from rotjax.prediction import in_place, listing, outputs
from rotjax.prediction.kinds import picture

# Below the folder of --upright, where files are sorted.
UPRIGHT, REVIEW, TABLE = "upright", "review", "predictions.csv"
# Of what was left out of a file, so much is named.
_LISTED = 6


class Writer:
  """Writes into a folder, or in place.

  Attributes:
    output: either.
    sort: whether what is not sure is kept apart, and a table written.
    how: of turning back.
  """

  def __init__(
    self,
    output: outputs.Folder | in_place.Backup,
    sort: bool,
    how: picture.How,
    tell: Callable[[str | os.PathLike, object], None],
  ):
    self.output, self.sort, self.how, self._tell = output, sort, how, tell

  def target(self, found: picture_files.Found, review: bool) -> pathlib.Path:
    """Where the result of a file goes."""
    if isinstance(self.output, in_place.Backup):
      return pathlib.Path(found.path)
    return self.output.path / self._name(found, review)

  def _name(self, found, review) -> pathlib.PurePath:
    if self.sort:
      return pathlib.PurePath(REVIEW if review else UPRIGHT, found.name)
    return found.name

  def write(
    self,
    found: picture_files.Found,
    document: picture.Document,
    angles: Sequence[float],
    rows: Sequence[dict[str, Any]],
    review: bool,
  ) -> None:
    """Writes a file turned back, or, where no page is turned, a copy of it.

    Args:
      found: the file.
      document: what it holds.
      angles: of each of its pages, see `picture.Document.upright`.
      rows: what is told of them; "upright" is added: where it is.
      review: whether it is not sure.

    Raises:
      Unusable: it cannot be written.
    """
    output, turned = self.output, any(angles)
    replaces = isinstance(output, in_place.Backup)
    if replaces and not turned:
      return
    name = found.name if replaces else self._name(found, review)
    target = self.target(found, review)
    if isinstance(output, outputs.Folder):
      output.check_new(name)
    data, changed = (
      document.upright(angles, self.how)
      if turned
      else (picture.whole(found.path), ())
    )
    told = [row | {"upright": str(target)} for row in rows]
    self._mark()
    output.write(name, data, found.path, told)
    for row, new in zip(rows, told):
      row.update(new)
    if changed:
      listed = ", ".join([*changed[:_LISTED], "..."][: len(changed)])
      self._tell(target, f"written without {listed}")

  def _mark(self) -> None:
    if isinstance(self.output, outputs.Folder):
      with pictures.refusing():
        picture_files.mark_upright(self.output.path)

  def write_table(
    self, rows: Iterable[dict[str, Any]], within: Sequence[float]
  ) -> None:
    """Writes what is told of all files of this call, and of those before it
    that it goes on with.

    Raises:
      Unusable: it cannot be written.
    """
    whole = {}
    for row in (*self.output.rows(), *rows):
      whole[os.path.realpath(row["path"]), row["page"]] = row
    if whole:
      self._mark()
      data = listing.as_csv(whole.values(), within)
      outputs.write_table(self.output.path, TABLE, data)
