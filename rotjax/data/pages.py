"""`pages`: pages of text, drawn; upright by construction, free of licences."""

from collections.abc import Iterator
import dataclasses
import hashlib
import io
import logging
import os
import pathlib
from typing import ClassVar

import numpy as np
import PIL.Image
import tqdm

from rotjax import errors, files, stopping
from rotjax.data import content, streamed
from rotjax.data import split as split_lib
from rotjax.data.ingest import fonts, page_layout, page_wear
from rotjax.data.store import location, prepare, read, records

# To be raised whenever the same options would give other pages.
_FORMAT = 3
# Pages are drawn so many times larger than they are kept.
_SCALE = 3

_log = logging.getLogger("rotjax")


@dataclasses.dataclass(frozen=True)
class Pages:
  """Rendered pages of text, grey, as a scanner sees them.

  Random words in the scripts that the fonts can write; columns, headings,
  lists, tables, rules and figures; paper, blur, noise, bleed-through, JPEG and
  thresholds. Each shows what is in sight of a page that was turned and kept
  whole: a part of it, or all of it and white around it.

  Prepared once, about 2,000 pages a minute. A page depends on the seed, its
  split and its number alone: more of them leave the first as they are.

  Attributes:
    dir: TFDS data directory in which they are prepared at first use; "" is
      rotjax's folder in the user's cache folder.
    fonts: a folder of fonts, searched with all below it; "" takes those of
      matplotlib, which write Latin, Cyrillic, Greek, Armenian, Georgian,
      Hebrew and Arabic.
    count: training pages.
    held_out: validation pages, and as many test pages.
    side: of the squares, pixels.
    seed: of the pages.
    max_resident_mb: a prepared split whose decoded images take more than so
      many MB (2**20 bytes) stays on disk and is streamed.
  """

  dir: str = ""
  fonts: str = ""
  count: int = 4000
  held_out: int = 200
  side: int = 144
  seed: int = 0
  max_resident_mb: int = 1024

  name: ClassVar[str] = "pages"
  center: ClassVar[tuple[float, float] | None] = None
  overlaps: ClassVar[tuple[str, ...]] = ()

  def __post_init__(self):
    errors.check_range("data.count", self.count, 1, 10**7)
    errors.check_range("data.held_out", self.held_out, 1, 10**6)
    # Smaller, and letters are specks.
    errors.check_range("data.side", self.side, 32, 2048)
    errors.check_range("data.seed", self.seed, 0, 2**31 - 1)

  @property
  def protocol(self) -> str:
    """The split in a sentence."""
    own = _shown(self.fonts) if self.fonts else "matplotlib's fonts"
    return (
      f"pages: {self.count} rendered pages to train on, {self.held_out} each"
      f" for validation and test, at {self.side} px, from {own} and seed"
      f" {self.seed}; splits by the random numbers that draw them."
    )

  def load(self, split: str) -> split_lib.Split | streamed.Streamed:
    """Returns a split: images uint8 `[N, side, side, 1]`, or streamed.

    Raises:
      errors.UserError: an unknown split, or as `prepare`.
    """
    split_lib.check_name(split)
    prepared = records.Prepared(self.name, self.prepare(), label="")
    return read.load(
      prepared, split, (), self.center, max_resident_mb=self.max_resident_mb
    )

  def prepare(self) -> pathlib.Path:
    """Returns the folder of the prepared dataset, made if need be.

    Raises:
      errors.UserError: no fonts that can write, no folder to write.
    """
    faces = fonts.find(self.fonts)
    parts = (_FORMAT, self.count, self.held_out, self.side, self.seed)
    name = f"{self.name}/{content.digest((*parts, _identity(faces)))}"
    cache = location.cache_root() / "tfds"
    root = location.tfds_root(self.dir) if self.dir else cache
    for place in (root, cache):
      folder = location.newest(place, name)
      if folder is not None:
        return folder
    root = root if files.writable(root) else cache
    return prepare.publish(
      root, name, lambda scratch: self._build(scratch, name, faces)
    )

  def content(self) -> str:
    """Names what it holds; see `content.of`."""
    return content.of_prepared(self.prepare())

  def _build(self, scratch, name, faces) -> None:
    """Prepares the dataset in a data directory."""
    import tensorflow_datasets as tfds

    from rotjax.data.ingest import tfds_builder

    _log.info("drawing %d pages, once", self.count + 2 * self.held_out)
    with prepare.quiet():
      builder = tfds_builder.Squares(
        dataset=self.name,
        splits=split_lib.SPLITS,
        shape=(self.side, self.side, 1),
        examples=lambda split: self._examples(split, faces),
        turned=False,
        data_dir=scratch,
        file_format="array_record",
        config=tfds.core.BuilderConfig(name=name.split("/")[1]),
      )
      builder.download_and_prepare()

  def _examples(self, split, faces) -> Iterator[tuple[bytes, bytes, float]]:
    """Key, PNG and angle of each page of a split."""
    count = self.count if split == "train" else self.held_out
    for number in tqdm.trange(
      count, desc=split, unit="page", leave=False, disable=None
    ):
      stopping.check()
      key = (self.seed, split_lib.SPLITS.index(split), number)
      file = io.BytesIO()
      draw(np.random.default_rng(key), faces, self.side).save(
        file, "PNG", compress_level=1
      )
      yield str(number).encode(), file.getvalue(), 0.0


def draw(
  rng: np.random.Generator, faces: tuple[fonts.Face, ...], side: int
) -> PIL.Image.Image:
  """A page as `Pages` holds them.

  Args:
    rng: of this page.
    faces: see `fonts.find`.
    side: of the square, pixels.
  """
  page = page_layout.page(rng, faces, _SCALE * side)
  return page_wear.worn(rng, page, _SCALE).reduce(_SCALE)


def _shown(path: str) -> str:
  """A folder's own name."""
  return f"the fonts of {os.path.basename(os.path.normpath(path))}"


def _identity(faces: tuple[fonts.Face, ...]) -> tuple:
  """What the pages owe to the fonts: their bytes, by name, not their place."""
  return tuple(
    (os.path.basename(path), hashlib.sha256(data).hexdigest())
    for path in sorted({face.path for face in faces})
    for data in [pathlib.Path(path).read_bytes()]
  )
