"""Rows of a call of the evaluation: their truth, padding and devices."""

from typing import Any

import jax
import numpy as np

from rotjax.data import Split


def known_deg(split: Split) -> np.ndarray:
  """`[n, 1]` degrees by which each image is turned already."""
  if split.angle_deg is None:
    return np.zeros((len(split), 1), np.float32)
  return split.angle_deg.astype(np.float32)[:, None]


def spread(views: Any) -> Any:
  """The views of a call, their rows spread over this process's devices."""
  devices = jax.local_devices()
  if len(devices) == 1:
    return views
  mesh = jax.sharding.Mesh(
    np.asarray(devices), ("image",), axis_types=(jax.sharding.AxisType.Auto,)
  )
  by_row = jax.sharding.PartitionSpec("image")
  return jax.device_put(views, jax.sharding.NamedSharding(mesh, by_row))


def pad(rows: np.ndarray, count: int) -> np.ndarray:
  """The rows, and the first of them so many times more."""
  return np.concatenate([rows, np.repeat(rows[:1], count, axis=0)])
