"""A picture file that Pillow reads: one page."""

from collections.abc import Sequence
import dataclasses
import os
from typing import Literal

import PIL.ExifTags
import PIL.Image

from rotjax.image import pictures
from rotjax.prediction import jpeg_orientation, rewrite, turns, upright

Changed = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class How:
  """How a picture is turned back, see `upright.turn_back`."""

  fit: Literal["expand", "crop", "same"] = "expand"
  fill: Literal["auto", "black", "white", "edge"] = "auto"


class Document:
  """What a file holds.

  Attributes:
    path: the file.
    pages: how many it has, at least one.
    notes: what of it is not seen, in words.
  """

  def __init__(self, path: str):
    self.path = path
    self.pages = 1
    self.notes: tuple[str, ...] = ()
    with pictures.strict(), pictures.opened(path) as stream:
      frames = pictures.count_frames(stream, self._formats())
    if frames > 1:
      self.notes = (f"only the first of its {frames} frames is seen",)

  def _formats(self) -> Sequence[str]:
    """Pillow's names of what the file may be."""
    return pictures.formats()

  def read(self, page: int) -> PIL.Image.Image:
    """A page, counted from 0, as a person sees it; see `pictures.decode`.

    Raises:
      Unusable: it is damaged or too large.
    """
    del page  # the only one
    with pictures.strict(), pictures.opened(self.path) as stream:
      return pictures.decode(stream, self._formats())

  def upright(self, angles: Sequence[float], how: How) -> tuple[bytes, Changed]:
    """The file with its pages turned back.

    Args:
      angles: of each page, the degrees that it has been turned by, counter-
        clockwise as seen on the screen; of a page that stays, 0.
      how: of what is no quarter turn.

    Returns:
      The new file, and what of the old one was left out, in words. A JPEG that
      was turned by quarters keeps its pixels as they are stored: its EXIF
      orientation says how they are shown.

    Raises:
      Unusable: it cannot be written as it was; see `rewrite.original`.
    """
    (angle_deg,) = angles
    quarters = turns.quarters(angle_deg)
    if how.fit == "same" and quarters in (1, 3):
      quarters = None  # on its side it would have another size
    if quarters is not None and (data := self._lossless(quarters)):
      return data, ()
    kind = rewrite.original(self.path, names=self._formats())
    turned = upright.turn_back(self.read(0), angle_deg, how.fit, how.fill)
    return rewrite.encode(turned, kind)

  def _lossless(self, quarters: int) -> bytes | None:
    """The same JPEG shown otherwise; None for another format, or a damaged."""
    with pictures.strict(), pictures.opened(self.path) as stream:
      data = stream.read()
      try:
        with PIL.Image.open(stream, formats=("JPEG", "MPO")) as file:
          before = file.getexif().get(PIL.ExifTags.Base.Orientation, 1)
        return jpeg_orientation.turned_back(data, before, quarters)
      except Exception:  # of a dozen types, by what is wrong with it
        return None


def extra_needed(kind: str, extra: str) -> pictures.Unusable:
  """The refusal of a file whose reader is not installed."""
  return pictures.Unusable(f"{kind} needs an extra: pip install '{extra}'")


def whole(path: str | os.PathLike) -> bytes:
  """All of a file.

  Raises:
    Unusable: it cannot be read.
  """
  with pictures.opened(path) as stream, pictures.refusing():
    return stream.read()
