"""A split whose images are as a view turns them: `view.View.finer` of each."""

from collections.abc import Sequence
import dataclasses
import functools
import math

import jax
import numpy as np

from rotjax import angles as angles_lib
from rotjax.data import split as split_lib
from rotjax.data import streamed
from rotjax.image import view as view_lib


@dataclasses.dataclass(frozen=True, eq=False)
class Finer:
  """A split that is resampled on demand, by whoever asks for a batch.

  The face of a `streamed.Streamed`, for evaluations, which show each image
  many times. What trains on such a split reads its source, see `FromSource`.

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


@dataclasses.dataclass(frozen=True)
class FromSource:
  """A view of sources as the dataset has them: what a training step takes.

  It resamples each image in the step, on the device. So no finer image is sent
  there, which at fineness 3 has nine times the bytes.
  """

  view: view_lib.View

  def sample(
    self, key: jax.Array, image: jax.Array, angles: angles_lib.Angles
  ) -> tuple[jax.Array, jax.Array]:
    """See `view.View.sample`."""
    (fine,) = self.view.finer(image[None])
    return self.view.sample(key, fine, angles)


AnySplit = split_lib.Split | streamed.Streamed | Finer


def fits(split: AnySplit, view: view_lib.View, max_resident_mb: int) -> bool:
  """Whether a split is in memory and its finer images may be kept there.

  Args:
    split: as the dataset has it.
    view: its `finer` is meant.
    max_resident_mb: MB (2**20 bytes) that they may take.
  """
  size = len(split) * math.prod(view.finer_shape(split.shape))
  return isinstance(split, split_lib.Split) and size <= max_resident_mb * 2**20


def of(
  split: split_lib.Split | streamed.Streamed,
  view: view_lib.View,
  max_resident_mb: int,
) -> AnySplit:
  """A split as a view turns it; itself where the view's `fineness` is 0.

  Resampled once and kept where it `fits`, else on demand.
  """
  if not view.fineness:
    return split
  if fits(split, view, max_resident_mb):
    return _resident(split, view)
  return Finer(split, view)


# The seeds of a process share them: train, validation and test of one set.
@functools.lru_cache(maxsize=3)
def _resident(split, view):
  images = view.finer(split.images)
  images.setflags(write=False)
  return dataclasses.replace(split, images=images)
