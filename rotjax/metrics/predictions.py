"""What an evaluation leaves on the host: the input of every metric."""

from collections.abc import Mapping
import dataclasses
import functools

import numpy as np

from rotjax import angles as angles_lib


@dataclasses.dataclass(frozen=True)
class Predictions:
  """n images, each turned by A angles, and what was predicted.

  A "view" is one image at one angle. Degrees are counter-clockwise.

  Attributes:
    true_deg: `[n, A]` the angle that was applied.
    predicted_deg: `[n, A]` the prediction, in [-period/2, period/2).
    example: `[n]` index of the image in its dataset. Rows with the same index
      are views of one image and are never counted as independent.
    label: `[n]` class of the image.
    angles: the circle on which the predictions are scored.
    scores: `[n, A]` numbers of each view, by name: `probabilistic.in_degrees`
      lists them. Present only where the head states a density; the names with
      the prefix "recalibrated_" are there for every head, and what
      `heads.diagnostics` names for some.
  """

  true_deg: np.ndarray
  predicted_deg: np.ndarray
  example: np.ndarray
  label: np.ndarray
  angles: angles_lib.Angles
  scores: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

  def __post_init__(self):
    # NumPy would broadcast a wrong shape into a plausible, wrong metric.
    shape = np.shape(self.true_deg)
    if len(shape) != 2 or not all(shape):
      raise ValueError(f"true_deg has shape {shape}, not [images, angles]")
    views = {"predicted_deg": self.predicted_deg, **self.scores}
    images = {"example": self.example, "label": self.label}
    wanted = {name: shape for name in views} | {k: shape[:1] for k in images}
    for name, value in (views | images).items():
      if np.shape(value) != wanted[name]:
        raise ValueError(
          f"{name} has shape {np.shape(value)} beside true_deg {shape}:"
          f" {wanted[name]} is needed"
        )

  @functools.cached_property
  def residual_deg(self) -> np.ndarray:
    """`[n, A]` prediction less truth, wrapped to [-period/2, period/2)."""
    return angles_lib.difference(
      np.asarray(self.predicted_deg, np.float64),
      np.asarray(self.true_deg, np.float64),
      self.angles.period_deg,
    )

  @property
  def error_deg(self) -> np.ndarray:
    """`[n, A]` the shortest turn from truth to prediction, in [0, period/2]."""
    return np.abs(self.residual_deg)

  @functools.cached_property
  def cluster(self) -> np.ndarray:
    """`[n]` each row's image, numbered 0, 1, ... without gaps."""
    return np.unique(self.example, return_inverse=True)[1].reshape(-1)

  @property
  def num_clusters(self) -> int:
    """How many different images there are."""
    return int(self.cluster.max()) + 1

  def sum_by_image(self, values: np.ndarray) -> np.ndarray:
    """`[n, A, ...]` a number of each view -> `[num_clusters, ...]` sums."""
    rows = values.sum(axis=1)
    total = np.zeros((self.num_clusters, *rows.shape[1:]), rows.dtype)
    np.add.at(total, self.cluster, rows)
    return total
