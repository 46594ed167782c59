"""A split whose images are as a view turns them: `view.View.finer` of each."""

from collections.abc import Sequence
import dataclasses
import functools

import numpy as np

from rotjax.data import split as split_lib
from rotjax.data import streamed
from rotjax.image import view as view_lib


@dataclasses.dataclass(frozen=True, eq=False)
class Finer:
  """A split that is resampled on demand, by whoever asks for a batch.

  The face of a `streamed.Streamed`: what feeds the training reads it with
  threads, some steps ahead.

  Attributes:
    source: the split as the dataset has it.
    view: whose `finer` it is.
  """

  source: split_lib.Split | streamed.Streamed
  view: view_lib.View

  def __len__(self) -> int:
    return len(self.source)

  @property
  def shape(self) -> tuple[int, int, int]:
    """Height, width and channels of every finer image."""
    return self.view.finer_shape(self.source.shape)

  @property
  def labels(self) -> np.ndarray:
    """See `split.Split`, and so the others."""
    return self.source.labels

  @property
  def indices(self) -> np.ndarray:
    return self.source.indices

  @property
  def origin(self) -> str:
    return self.source.origin

  @property
  def center(self) -> tuple[float, float] | None:
    """In pixels of the source, as a view's `resolve` takes it."""
    return self.source.center

  @property
  def angle_deg(self) -> np.ndarray | None:
    return self.source.angle_deg

  def rows(self, indices: np.ndarray) -> "Finer":
    """A split of just these rows, positions in this one."""
    return dataclasses.replace(self, source=self.source.rows(indices))

  def __getitems__(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
    """Reads a batch and resamples it; see the source's own."""
    batch = self.source.__getitems__(indices)
    return {**batch, "image": self.view.finer(batch["image"])}


AnySplit = split_lib.Split | streamed.Streamed | Finer


def of(
  split: split_lib.Split | streamed.Streamed,
  view: view_lib.View,
  max_resident_mb: int,
) -> AnySplit:
  """A split as a view turns it; itself where the view's `fineness` is 0.

  Args:
    split: as the dataset has it.
    view: its `finer` is meant.
    max_resident_mb: a split in memory whose finer images take no more than so
      many MB (2**20 bytes) is resampled once and kept; others on demand.
  """
  if not view.fineness:
    return split
  fits = len(split) * np.prod(view.finer_shape(split.shape), dtype=np.int64)
  if isinstance(split, split_lib.Split) and fits <= max_resident_mb * 2**20:
    return _resident(split, view)
  return Finer(split, view)


# The seeds of a process share them: train, validation and test of one set.
@functools.lru_cache(maxsize=3)
def _resident(split, view):
  images = view.finer(split.images)
  images.setflags(write=False)
  return dataclasses.replace(split, images=images)
