"""What the loop records of its steps, one call late."""

import time
from typing import Any

import jax
import numpy as np

from rotjax import distributed
from rotjax.data import input_pipeline as feeds
from rotjax.run import run_folder
from rotjax.run.writers import progress


class Recorder:
  """Reads each call's scalars one call late, so that logging never waits.

  The device works on the next call while the host reads, checks and writes
  the last one's.

  Attributes:
    told: whether a process of the job was told to stop, as the scalars say.
  """

  def __init__(self, runs: list, step: int, config: Any, feed: feeds.Feed):
    self._feed = feed
    self._runs, self._every = runs, config.log.every_steps
    self._images = config.batch_size * len(runs)
    label = runs[0].path.name if len(runs) == 1 else f"{len(runs)} seeds"
    self._progress = progress.Progress(step, config.num_steps, label)
    self._pending: tuple[int, dict] | None = None
    self.told = False
    self._step, self._waited = step, 0.0
    self._since: float | None = None
    self._rates: dict[str, float] = {}

  def push(self, first_step: int, scalars: dict) -> None:
    """Takes the scalars `[S, R]` of the call that began at `first_step`."""
    self._read()
    self._pending = (first_step, scalars)

  def flush(self) -> None:
    """Reads what is pending; the pause that follows is not training time."""
    self._read()
    self._since = None

  def _read(self):
    if self._pending is None:
      return
    first, scalars = self._pending
    self._pending = None
    scalars = jax.device_get(scalars)
    self.told |= bool(np.any(scalars.pop("stop", False)))
    finite = scalars.pop("finite").all(axis=1)
    if not finite.all():
      bad = first + int(np.argmin(finite)) + 1
      raise run_folder.not_finite("the loss or its gradient", bad)
    self._measure(first + len(finite))
    for s in range(len(finite)):
      if (first + s + 1) % self._every:
        continue
      for r, run in enumerate(self._runs):
        row = {f"train/{k}": float(v[s, r]) for k, v in scalars.items()}
        self.write(run, first + s + 1, row | self._rates)

  def _measure(self, step):
    # The first call after a pause holds compilation or a refilled pipeline.
    now = time.monotonic()
    if self._since is None:
      self._since, self._step, self._waited = now, step, self._feed.waited
    elif now > self._since:
      seconds = now - self._since
      images = (step - self._step) * self._images
      self._rates["time/images_per_second"] = images / seconds
      if self._feed.images is None:  # it streams
        waited = self._feed.waited - self._waited
        self._rates["time/waiting_for_data"] = waited / seconds

  def write(self, run: Any, step: int, scalars: dict[str, float]) -> None:
    """Writes scalars of one run, and shows those of the first."""
    run.write(step, scalars)
    if run is self._runs[0] and distributed.is_main():
      self._progress.write(step, scalars)

  def close(self) -> None:
    self._progress.close()
