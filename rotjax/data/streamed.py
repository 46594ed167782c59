"""A split that is decoded on demand, for what does not fit into memory."""

from collections.abc import Sequence
import dataclasses

import numpy as np

from rotjax import errors
from rotjax.data import split as split_lib
from rotjax.data.store import records


@dataclasses.dataclass(frozen=True, eq=False)
class Streamed:
  """One split of a prepared dataset, left on disk.

  The face of `split.Split`, less its `images`. Files are opened when first
  read, in each process anew: an instance may be pickled, and used from several
  threads at once.

  Attributes:
    prepared: the dataset that the images are read from.
    shape: height, width and channels of every image.
    labels: int32 `[N]`, numbered as in the dataset, whatever was filtered.
    indices: int64 `[N]`, where each example stands in `origin`.
    origin: the prepared TFDS split that the examples are read from; the pair
      (origin, index) names an example for good.
    center: (y, x) in pixels about which the images are to be turned; None is
      the canvas centre, ((H - 1) / 2, (W - 1) / 2).
    angle_deg: float64 `[N]`, how far each image is turned already, counter-
      clockwise; None where all are upright.
  """

  prepared: records.Prepared
  shape: tuple[int, int, int]
  labels: np.ndarray
  indices: np.ndarray
  origin: str
  center: tuple[float, float] | None = None
  angle_deg: np.ndarray | None = None

  def __len__(self) -> int:
    return len(self.indices)

  def rows(self, indices: np.ndarray) -> "Streamed":
    """A split of just these rows, positions in this one."""
    return split_lib.take(self, indices)

  def __getitems__(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
    """Reads and decodes a batch.

    Args:
      indices: integers `[n]`, positions in this split.

    Returns:
      `image`, uint8 `[n, H, W, C]`, and `label`, int32 `[n]`.

    Raises:
      IndexError: an index is out of range or not an integer.
      errors.UserError: the files are gone or damaged.
    """
    rows = split_lib.positions(indices)
    wanted = self.indices[rows].tolist()
    images = np.empty((len(wanted), *self.shape), np.uint8)
    try:
      source = self.prepared.source(self.origin)
      for image, example in zip(images, source.__getitems__(wanted)):
        pixels = records.pixels(example[self.prepared.image], self.shape[-1])
        if pixels.shape != self.shape:  # a smaller one would be repeated
          raise ValueError(f"an image of {pixels.shape}, not {self.shape}")
        image[:] = pixels
    except errors.UserError:
      raise
    except records.DAMAGE as error:
      raise self.prepared.unreadable(error) from error
    return {"image": images, "label": self.labels[rows]}
