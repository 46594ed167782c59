"""`csv`: pictures that are turned already, by angles that a table states."""

import csv
import dataclasses
import io
import os
import pathlib
from typing import ClassVar

from rotjax import errors
from rotjax.data import folder
from rotjax.data.ingest import folder_files
from rotjax.image import pictures

HEADER = ["path", "angle_deg"]


@dataclasses.dataclass(frozen=True)
class Csv(folder.Folder):
  """Pictures of a CSV file with the columns `path,angle_deg`.

  Paths are relative to `dir`, with slashes, and lead to no place outside of
  it. An angle says how far the picture is turned away from upright, counter-
  clockwise as seen on the screen, in degrees from -360 to 360: a picture that
  was turned a quarter to the left is 90, and turning it by -angle_deg sets it
  upright. Angles are kept to 2e-5 degrees.

  Files are read, prepared and split as those of `folder`.

  Attributes:
    dir: the folder of the CSV file and the pictures.
    file: the CSV file's name in it, UTF-8.
    side, channels, group, test_share, validation_share: see `folder.Folder`.
    max_broken, max_resident_mb: see `folder.Folder`.
  """

  file: str = "angles.csv"

  name: ClassVar[str] = "csv"
  turned: ClassVar[bool] = True

  def __post_init__(self):
    super().__post_init__()
    if self.file in ("", ".", "..") or "/" in self.file or "\0" in self.file:
      raise errors.UserError(
        f"data.file = {self.file!r} is not the name of a file in data.dir"
      )

  def find(self, root: pathlib.Path) -> folder_files.Found:
    """The files of the table, by name.

    Raises:
      errors.UserError: no such table, or a row that is wrong, by its number.
    """
    shown = folder_files.printable(self.file)
    try:
      text = folder_files.contents(root, self.file).decode("utf-8-sig")
    except pictures.Unusable as error:
      where = folder_files.printable(str(root))
      raise errors.UserError(
        f"data.file = {shown} in data.dir = {where}: {error}"
      ) from None
    except UnicodeDecodeError:
      raise errors.UserError(f"{shown} is not a text file in UTF-8") from None
    files = {}
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
      header = next(rows, [])
      if header != HEADER:
        raise errors.UserError(
          f"{shown}: the first row must be {','.join(HEADER)}, not"
          f" {folder_files.printable(','.join(header))[:80]}"
        )
      for row in rows:
        if not row:
          continue  # an empty line
        try:
          file = _file(root, row)
          if file.name in files:
            raise ValueError(f"{file.name} is in an earlier row too")
        except ValueError as error:
          why = folder_files.printable(str(error))
          raise errors.UserError(
            f"{shown}, line {rows.line_num}: {why}"
          ) from None
        files[file.name] = file
    except csv.Error as error:
      raise errors.UserError(
        f"{shown}, line {rows.line_num}: {error}"
      ) from None
    if not files:
      raise errors.UserError(f"{shown} has no row below its header")
    names = sorted(files, key=os.fsencode)
    return folder_files.Found(tuple(files[name] for name in names))


def _file(root: pathlib.Path, row: list[str]) -> folder_files.File:
  """The file of a row; ValueError says what is wrong with the row."""
  if len(row) != len(HEADER):
    raise ValueError(f"{len(row)} values, not the two of path,angle_deg")
  path, angle = row
  try:
    angle_deg = float(angle)
  except ValueError:
    raise ValueError(f"angle_deg = {angle!r} is not a number") from None
  if not abs(angle_deg) <= 360:  # NaN is not either
    raise ValueError(f"angle_deg = {angle!r} is not in -360 ... 360")
  # "a/./b", "a//b" would name the same file again.
  parts = path.split("/")
  if "\0" in path or any(part in ("", ".", "..") for part in parts):
    raise ValueError(
      f"path = {path!r} must be relative and lead straight down from the"
      " folder of the table"
    )
  try:
    file = folder_files.describe(path, os.lstat(root / path))
  except OSError as error:
    file = folder_files.File(path, reason=pictures.reason(error))
  return file._replace(angle_deg=angle_deg)
