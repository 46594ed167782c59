"""A model as the commands use it: it sees pictures, then answers a batch."""

from collections.abc import Sequence
import dataclasses
import pathlib

import numpy as np
import PIL.Image

from rotjax.image import pictures
from rotjax.prediction import answers as answers_lib
from rotjax.prediction import lines, pages
from rotjax.prediction import predictor as predictor_lib

# What is kept of a picture until its batch is full: the network's square, and
# what its lines are looked for in.
Seen = tuple[np.ndarray, PIL.Image.Image | None]


@dataclasses.dataclass(frozen=True)
class Reader:
  """A predictor, and whether its answers are refined.

  Attributes:
    name: of the model, for people.
    predictor: of the model.
    refine: whether answers are made exact by a page's lines and letters, see
      `pages.refined`.
  """

  name: str
  predictor: predictor_lib.Predictor
  refine: bool

  def see(self, picture: PIL.Image.Image) -> Seen:
    """What is kept of a picture to answer it.

    Raises:
      pictures.Unusable: it cannot be converted.
      MemoryError: as it says.
    """
    square = pictures.square(picture, self.predictor.spec)
    return square, pages.small(picture) if self.refine else None

  def answer(
    self, seen: Sequence[Seen]
  ) -> tuple[answers_lib.Answers, list[lines.Found | None]]:
    """Answers to n pictures, and what the lines of each said, if asked."""
    answers = self.predictor.answer(np.stack([square for square, _ in seen]))
    if not self.refine:
      return answers, [None] * len(seen)
    smalls = [page for _, page in seen if page is not None]
    circle = self.predictor.spec.every_turn
    answers, found = pages.refined(answers, smalls, circle)
    return answers, [*found]


def load(
  model: pathlib.Path, tta: str | None = None, refine: str | None = None
) -> Reader:
  """The reader of a run folder, a model file or a ready model.

  Args:
    model: see `predictor.load`.
    tta: see `predictor.load`.
    refine: "lines" or "none"; None is lines where it was trained on pages.

  Raises:
    UserError: see `predictor.load`.
  """
  predictor = predictor_lib.load(model, tta)
  if refine is None:
    refine = "lines" if predictor.spec.data == "pages" else "none"
  return Reader(model.name, predictor, refine == "lines")
