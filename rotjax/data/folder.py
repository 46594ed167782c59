"""`folder`: the pictures below a folder, taken as upright."""

import dataclasses
import functools
import pathlib
from typing import ClassVar

from rotjax import errors
from rotjax.data import (
  content,
  folder_files,
  folder_prepare,
  folders,
  hashed,
  read,
  records,
  streamed,
)
from rotjax.data import split as split_lib


@dataclasses.dataclass(frozen=True)
class Folder:
  """The JPEG, PNG, BMP, TIFF and WebP files in a folder and its subfolders.

  One rule for every kind of file: the first frame or page, turned as its EXIF
  orientation says; what is transparent shows white; 16 bits are scaled by
  their full range to 8; grey is the luma of ITU-R 601; colour profiles are
  ignored. Of that the central square, resized to `side` x `side` pixels with
  antialiasing (Lanczos); smaller pictures are enlarged. Names that begin with
  a dot are left out, symbolic links are not followed, files of more pixels
  than Pillow's limit (89 million) or of more than 1 GiB cannot be used.

  Prepared once, in the user's cache folder, and again when the folder's files
  (names, sizes, times of change) or an option change. The split is by hash: an
  image stays in its split when files are added, and exact copies are in the
  same one. There are no labels: all are of class 0.

  Attributes:
    dir: the folder. Nothing is written there, nothing read outside of it.
    side: of the prepared squares, pixels. A view of S pixels with its disc
      needs a little more than S; sqrt(2) S is right for any crop.
    channels: 1 (grey) or 3 (red, green, blue).
    group: what shares a split besides exact copies: "none"; "folder", all in
      the same folder; "prefix", all in the same folder whose names differ only
      in digits and separators at the end, as the frames of a burst do.
    test_share: of the groups, about so many are the test set; 1 for pictures
      that are only to be scored on.
    validation_share: likewise.
    max_broken: the share of files that may be unusable; beyond it preparing
      stops. Up to it they are listed beside the prepared files.
    max_resident_mb: a prepared split whose decoded images take more than so
      many MB (2**20 bytes) stays on disk and is streamed.
  """

  dir: str = ""
  side: int = 96
  channels: int = 3
  group: str = "none"
  test_share: float = 0.1
  validation_share: float = 0.05
  max_broken: float = 0.05
  max_resident_mb: int = 1024

  name: ClassVar[str] = "folder"
  num_classes: ClassVar[int] = 1
  center: ClassVar[tuple[float, float] | None] = None
  overlaps: ClassVar[tuple[str, ...]] = ()
  # Whether its images are turned already, by an angle that is stored.
  turned: ClassVar[bool] = False

  def __post_init__(self):
    if not 1 <= self.side <= 4096:
      raise errors.UserError(f"data.side = {self.side} is not in 1 ... 4096")
    if self.channels not in (1, 3):
      raise errors.UserError(
        f"data.channels = {self.channels} is neither 1 (grey) nor 3 (colour)"
      )
    if self.group not in hashed.GROUPS:
      raise errors.unknown("data.group", self.group, hashed.GROUPS)
    shares = self.test_share, self.validation_share
    if shares[0] != 1 and (min(shares) <= 0 or sum(shares) >= 1):
      raise errors.UserError(
        f"data.test_share = {shares[0]} and data.validation_share ="
        f" {shares[1]} must be positive and leave something to train on; or"
        " data.test_share = 1, only to be scored on"
      )
    if not 0 <= self.max_broken < 1:
      raise errors.UserError(
        f"data.max_broken = {self.max_broken} is not a share: 0 ... 1"
      )

  @property
  def protocol(self) -> str:
    """The split in a sentence."""
    by = {
      "none": "each file's content",
      "folder": "each file's folder",
      "prefix": "each file's folder and the start of its name",
    }[self.group]
    if self.test_share == 1:
      return (
        f"{self.name}: all pictures of"
        f" {folder_files.printable(pathlib.Path(self.dir).name)}, central"
        f" squares at {self.side} px."
      )
    return (
      f"{self.name}: the pictures of"
      f" {folder_files.printable(pathlib.Path(self.dir).name)}, central squares"
      f" at {self.side} px; split by a hash of {by}, about"
      f" {self.test_share:.0%} test, {self.validation_share:.0%} validation;"
      " exact copies in one split."
    )

  def load(self, split: str) -> split_lib.Split | streamed.Streamed:
    """Returns a split: images uint8 `[N, side, side, channels]`, or streamed.

    Prepares the folder if that has not been done; see `prepare`.

    Raises:
      errors.UserError: an unknown split, or as `prepare`.
    """
    split_lib.check_name(split)
    prepared = records.Prepared(
      self.name,
      self.prepare(),
      label="",
      angle="angle_deg" if self.turned else "",
    )
    return read.load(
      prepared, split, (), self.center, max_resident_mb=self.max_resident_mb
    )

  def prepare(self) -> pathlib.Path:
    """Returns the folder of the prepared dataset, made if need be.

    A process looks at the files once: what changes later is for the next.

    Raises:
      errors.UserError: no such folder, nothing in it that can be used, too
        much that cannot, too little for three splits.
    """
    return _prepared(self, folders.cache_root())

  def content(self) -> str:
    """Names what it holds; see `content.of`."""
    prepared = self.prepare()
    try:
      return (prepared / content.FILE).read_text("utf-8")
    except OSError:  # prepared before there was such a file
      return content.of_prepared(prepared)

  def find(self, root: pathlib.Path) -> folder_files.Found:
    """The files to prepare."""
    return folder_files.walk(root)


@functools.lru_cache(maxsize=8)
def _prepared(dataset: Folder, cache_root: pathlib.Path) -> pathlib.Path:
  """`Folder.prepare`, once a process."""
  root = folder_files.folder(dataset.dir)
  return folder_prepare.prepared(
    dataset, root, dataset.find(root), dataset.turned
  )
