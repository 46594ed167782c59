"""What feeds the training loop: a resident set, or one that streams off disk.

Both give the same batches, in an order that is a pure function of (seed, step):
resuming needs the step alone.
"""

import functools
import os
import time
from typing import Any, Protocol

import numpy as np

from rotjax.data import batches, streamed
from rotjax.data import split as split_lib


class Feed(Protocol):
  """Batches, one call's after another.

  Attributes:
    images: uint8 `[N, H, W, C]`, to be put on the devices once; None where
      batches bring their own.
    waited: seconds that `take` has waited for images so far.
  """

  @property
  def images(self) -> np.ndarray | None: ...

  @property
  def waited(self) -> float: ...

  def take(self, num_steps: int) -> dict[str, np.ndarray]:
    """The batch of the next steps, as `batches.batch` describes it."""

  def blank(self, num_steps: int) -> dict[str, np.ndarray]:
    """A batch of zeros, shaped as `take` gives them; nothing is read."""

  def close(self) -> None:
    """Ends what works ahead."""


class Resident:
  """A set that lies on the devices: batches are indices into it."""

  waited = 0.0

  def __init__(
    self, split: split_lib.Split, batch_size: int, seeds: list[int], step: int
  ):
    self.images, self._step = split.images, step
    self._known_deg = split.angle_deg
    self._batch_size, self._seeds = batch_size, seeds

  def take(self, num_steps: int) -> dict[str, np.ndarray]:
    first, self._step = self._step, self._step + num_steps
    batch = batches.batch(
      len(self.images), self._batch_size, self._seeds, first, num_steps
    )
    return _with_known(batch, self._known_deg)

  def blank(self, num_steps: int) -> dict[str, np.ndarray]:
    shape = num_steps, len(self._seeds), self._batch_size
    return _blank(shape, self._known_deg, index=np.zeros(shape, np.int32))

  def close(self) -> None:
    pass


class Streaming:
  """A set that is decoded on the host, some steps ahead of their use.

  grain's threads read and decode (Pillow lets go of the interpreter while it
  does); each process decodes only what its own devices will work on. The
  transfer needs no thread: the host hands a step to the device while the one
  before is being computed.
  """

  images = None

  def __init__(
    self,
    split: streamed.Streamed,
    batch_size: int,
    seeds: list[int],
    local: np.ndarray,
    steps: range,
    threads: int,
    prefetch: int,
  ):
    """Starts reading.

    Args:
      split: what is trained on.
      batch_size: B.
      seeds: R of them.
      local: bool `[R, B]`, see `executors.program.Executor`.
      steps: those left of the run.
      threads: that decode; 0 for one a core.
      prefetch: steps that may lie decoded in memory.
    """
    self._split, self._batch_size, self._seeds = split, batch_size, seeds
    self._step, self.waited = steps.start, 0.0
    load = functools.partial(_load, split, batch_size, seeds, local)
    self._num_local = int(np.sum(local))
    self._images = _ahead(load, steps, threads or os.cpu_count(), prefetch)

  def take(self, num_steps: int) -> dict[str, np.ndarray]:
    first, self._step = self._step, self._step + num_steps
    batch = batches.batch(
      len(self._split), self._batch_size, self._seeds, first, num_steps
    )
    batch = _with_known(batch, self._split.angle_deg)
    del batch["index"]
    began = time.monotonic()
    images = [next(self._images) for _ in range(num_steps)]
    self.waited += time.monotonic() - began
    # Stacked only where there is something to stack: a copy takes as long as
    # a small network's step.
    image = images[0][None] if num_steps == 1 else np.stack(images)
    return {**batch, "image": image}

  def blank(self, num_steps: int) -> dict[str, np.ndarray]:
    shape = num_steps, len(self._seeds), self._batch_size
    own = num_steps, self._num_local, *self._split.shape
    image = np.zeros(own, np.uint8)
    return _blank(shape, self._split.angle_deg, image=image)

  def close(self) -> None:
    self._images.close()


def _blank(shape, known_deg, **pictures) -> dict[str, np.ndarray]:
  batch = {"slot": np.zeros(shape, np.int32), "mask": np.zeros(shape, bool)}
  if known_deg is not None:
    batch["known_deg"] = np.zeros(shape, np.float32)
  return batch | pictures


def _with_known(batch, known_deg) -> dict[str, np.ndarray]:
  """The batch, and how far its images are turned already, if they are."""
  if known_deg is None:
    return batch
  return {**batch, "known_deg": np.float32(known_deg[batch["index"]])}


def _load(split, batch_size, seeds, local, step) -> np.ndarray:
  """uint8 `[n, H, W, C]`, the local rows of one step in their order."""
  (index,) = batches.batch(len(split), batch_size, seeds, step, 1)["index"]
  return split.__getitems__(index[local])["image"]


def _ahead(load, steps, threads, prefetch) -> Any:
  """grain's iterator over `load(step)`; it can be closed."""
  import grain  # takes a second; a resident set does not need it

  options = grain.ReadOptions(
    num_threads=min(threads, prefetch), prefetch_buffer_size=prefetch
  )
  loaded = grain.MapDataset.range(steps.start, steps.stop).map(load)
  return iter(loaded.to_iter_dataset(options))


def of(
  split: split_lib.Split | streamed.Streamed,
  batch_size: int,
  seeds: list[int],
  local: np.ndarray,
  steps: range,
  threads: int,
  prefetch: int,
) -> Feed:
  """The feed that suits a split; see `Streaming` for the arguments."""
  if isinstance(split, split_lib.Split):
    return Resident(split, batch_size, seeds, steps.start)
  return Streaming(split, batch_size, seeds, local, steps, threads, prefetch)
