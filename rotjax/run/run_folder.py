"""One seed's run folder: what is read and written there while it trains.

In a job of several processes all of them hold the object and its notes, and
process 0 alone touches the folder.
"""

from collections.abc import Mapping
import pathlib
import time
from typing import Any

import jax
import numpy as np

from rotjax import distributed, errors
from rotjax.config import resolve
from rotjax.run import checkpoint, layout, writers
from rotjax.training import step as step_lib


class NotFiniteError(errors.UserError):
  """Training has diverged."""


class RunFolder:
  """Writers, checkpoints, and the notes that a resumed run goes on from.

  Nothing is written before `open`; whoever opens it holds the folder's lock
  (claim.py).

  Attributes:
    path: the folder.
    seed: of the run.
    best_mae_deg: lowest validation error so far; infinite before the first.
    validated_step: the last step whose validation is on record.
    saved_step: the last step whose state is saved.
  """

  def __init__(self, path: pathlib.Path, seed: int):
    self.path, self.seed = path, seed
    self._checkpoints: checkpoint.Checkpoints | None = None
    self.best_mae_deg = float("inf")
    self.validated_step = self.saved_step = -1
    self._seconds_before, self._opened = 0.0, time.monotonic()
    self._writers: list[writers.Writer] = []

  @property
  def seconds(self) -> float:
    """Wall-clock time that the run has taken, earlier sittings included."""
    return self._seconds_before + time.monotonic() - self._opened

  def restore(self, fresh: step_lib.TrainState) -> step_lib.TrainState:
    """The newest intact state, NumPy leaves, or `fresh`."""
    restored = self._read("latest", fresh)
    if restored is None:
      return fresh
    notes = restored.meta
    self._seconds_before = notes["seconds"]
    self.validated_step = notes["validated_step"]
    self.saved_step = int(restored.state.step)
    if notes["best_mae_deg"] is not None:
      self.best_mae_deg = notes["best_mae_deg"]
    return restored.state

  def open(self, step: int, config: Any) -> None:
    """Opens what is written to.

    Args:
      step: at which the run begins or goes on.
      config: of this seed.

    Raises:
      UserError: one of `log.writers` cannot begin.
    """

    def work():
      if distributed.is_main():
        folder = self.path / layout.CHECKPOINTS
        keep = config.checkpoint.keep
        self._checkpoints = checkpoint.Checkpoints(folder, keep)
        own = resolve.apply(config, {"seed": self.seed})
        self._writers = writers.opened(self.path, step, own)

    # The others hear of it where one cannot begin.
    distributed.together(work)

  def _read(
    self, which: str, fresh: step_lib.TrainState
  ) -> checkpoint.Restored | None:
    """A checkpoint as process 0 finds it, on every process."""

    def read():
      there = checkpoint.read(self.path / layout.CHECKPOINTS, which, fresh)
      return (there.meta, there.state) if there else (None, fresh)

    meta, state = distributed.arrays_on_main(read, fresh)
    return None if meta is None else checkpoint.Restored(state, meta)

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """Records scalars of one step everywhere."""
    for writer in self._writers:
      writer.write(step, scalars)

  def save(self, which: str, state: step_lib.TrainState) -> None:
    """Saves a state as the "latest" or the "best" one.

    Raises:
      UserError: a parameter is not finite (nothing is saved), or the disk
        does not take it.
    """
    state = jax.device_get(state)
    seen = (state.params, state.eval_params, state.eval_model_state)
    for leaf in jax.tree.leaves(seen):
      if not np.isfinite(leaf).all():
        raise not_finite("a parameter", int(state.step))
    best = self.best_mae_deg
    notes = {
      "best_mae_deg": best if np.isfinite(best) else None,
      "seconds": self.seconds,
      "validated_step": self.validated_step,
    }

    def write():
      if self._checkpoints:
        self._checkpoints.save(which, state, notes)

    distributed.together(write)
    if which == "latest":
      self.saved_step = int(state.step)

  def best(self, fresh: step_lib.TrainState) -> step_lib.TrainState:
    """The best state by validation error, once its save has finished.

    Raises:
      UserError: there is none.
    """
    if self._checkpoints:
      self._checkpoints.wait()
    restored = self._read("best", fresh)
    if restored is None:
      raise errors.UserError(
        f"{self.path} holds no checkpoint to evaluate: train it first"
      )
    return restored.state

  def close(self) -> None:
    """Closes the writers and waits for the checkpoints."""
    for writer in self._writers:
      writer.close()
    if self._checkpoints:
      self._checkpoints.close()


def not_finite(what: str, step: int) -> NotFiniteError:
  """The error of a run that has diverged."""
  return NotFiniteError(
    f"{what} is not finite at step {step}: lower optim.learning_rate or set"
    " optim.clip_norm; the last good checkpoint stays"
  )
