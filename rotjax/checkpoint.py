"""Checkpoints: the latest states to resume from, and the best to evaluate.

The only file that imports orbax. Two managers, `latest/` and `best/`, so that
neither ever deletes the other's. Every save carries a digest of its arrays:
orbax restores a flipped byte without a word.
"""

from collections.abc import Callable
import dataclasses
import hashlib
import logging
import pathlib
import sys
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from rotjax import errors

_log = logging.getLogger("rotjax")


class DamagedError(Exception):
  """A checkpoint that cannot be read, or not as it was written."""


class _NoLateReports:
  """An unraisablehook for all but reports to a loop that is closed."""

  def __init__(self, before: Callable[[Any], Any]):
    self._before = before

  def __call__(self, report: Any) -> None:
    if str(report.exc_value) != "Event loop is closed":
      self._before(report)


def _ignore_late_reports() -> None:
  """Silences the reads and writes that a failed call leaves behind.

  Orbax reads or writes all arrays at once on an event loop and closes it at the
  first failure; the others then report to a closed loop, each with a traceback
  on stderr, whenever they end.
  """
  if not isinstance(sys.unraisablehook, _NoLateReports):
    sys.unraisablehook = _NoLateReports(sys.unraisablehook)


def digest(tree: Any) -> str:
  """SHA-256 over the paths, types, shapes and bytes of a tree's arrays."""
  total = hashlib.sha256()
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  for path, leaf in leaves:
    array = np.asarray(leaf)
    head = f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape};"
    total.update(head.encode())
    total.update(np.ascontiguousarray(array).tobytes())
  return total.hexdigest()


def _manager(
  folder: pathlib.Path, keep: int, read_only: bool
) -> ocp.CheckpointManager:
  policies = ocp.checkpoint_managers
  if not read_only:
    folder.mkdir(parents=True, exist_ok=True)
  options = ocp.CheckpointManagerOptions(
    preservation_policy=policies.LatestN(keep),
    create=False,
    # Whoever opens it works alone: of several processes, the first.
    multiprocessing_options=ocp.options.MultiprocessingOptions(
      primary_host=0,
      active_processes={0},
      barrier_sync_key_prefix=folder.name,
    ),
  )
  registry = ocp.handlers.DefaultCheckpointHandlerRegistry()
  for args in (ocp.args.StandardSave, ocp.args.StandardRestore):
    registry.add("state", args)
  for args in (ocp.args.JsonSave, ocp.args.JsonRestore):
    registry.add("meta", args)
  # A relative path would fail later, in the saving thread.
  return ocp.CheckpointManager(
    folder.absolute(), options=options, handler_registry=registry
  )


@dataclasses.dataclass(frozen=True)
class Restored:
  """What a checkpoint held: the state, NumPy leaves, and its notes."""

  state: Any
  meta: dict[str, Any]


class Checkpoints:
  """The checkpoints of one run; `close` it, or the last save may be lost.

  With `read_only` nothing in the folder is created, changed or deleted.
  """

  def __init__(self, folder: pathlib.Path, keep: int, read_only: bool = False):
    _ignore_late_reports()
    self._read_only = read_only
    self._managers = {
      which: _manager(folder / which, number, read_only)
      for which, number in (("latest", keep), ("best", 1))
      if not read_only or (folder / which).is_dir()
    }

  def wait(self) -> None:
    """Waits for the saves under way; the only place where a failure shows.

    Raises:
      UserError: a save failed, for example on a full disk.
    """
    for manager in self._managers.values():
      try:
        manager.wait_until_finished()
      except Exception as error:
        raise _save_error(error) from error

  def close(self) -> None:
    """Waits as `wait` does, and lets go of the folder."""
    try:
      self.wait()
    finally:
      for manager in self._managers.values():
        manager.close()

  def save(self, which: str, state: Any, meta: dict[str, Any]) -> None:
    """Saves a state under its own step, in the background.

    Args:
      which: "latest" or "best".
      state: a pytree with an integer leaf `step`.
      meta: JSON-able notes.

    Raises:
      UserError: this save or the one before failed.
    """
    if int(state.step) in self._managers[which].all_steps():
      # A killed run has come here before, by the same numbers.
      return
    # A copy: the next step donates the buffers that a view would show.
    state = jax.tree.map(lambda x: np.array(x, copy=True), state)
    meta = {**meta, "digest": digest(state)}
    try:
      self._managers[which].save(
        int(state.step),
        args=ocp.args.Composite(
          state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta)
        ),
        # "best" may return to a step that "latest" has passed.
        force=True,
      )
    except Exception as error:
      raise _save_error(error) from error

  def steps(self, which: str) -> list[int]:
    """The steps that are there, newest first."""
    if which not in self._managers:
      return []
    return sorted(self._managers[which].all_steps(), reverse=True)

  def _restore_step(self, which: str, step: int, target: Any) -> Restored:
    abstract = jax.tree.map(
      lambda x: np.empty(np.shape(x), np.asarray(x).dtype), target
    )
    try:
      got = self._managers[which].restore(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardRestore(abstract),
          meta=ocp.args.JsonRestore(),
        ),
      )
      meta = dict(got["meta"])
      intact = digest(got["state"]) == meta["digest"]
    # Truncated, deleted and zeroed files raise a dozen types, Exception
    # itself among them.
    except Exception as error:
      first = str(error).splitlines()[0] if str(error) else type(error).__name__
      raise DamagedError(first) from error
    if not intact:
      raise DamagedError("its arrays do not have the digest that was saved")
    _check_fits(got["state"], target)
    return Restored(got["state"], meta)

  def restore(self, which: str, target: Any) -> Restored | None:
    """The newest intact checkpoint; None where there is none at all.

    Args:
      which: "latest" or "best".
      target: a state whose shapes and types the checkpoint must have.

    Raises:
      UserError: there are checkpoints and none of them can be read, or they
        are of another model.
    """
    steps = self.steps(which)
    for step, before in zip(steps, [*steps[1:], None]):
      try:
        return self._restore_step(which, step, target)
      except DamagedError as error:
        if before is None:
          raise errors.UserError(
            f"the {which} checkpoint of step {step} is damaged ({error}) and"
            " there is no earlier one: start again with --overwrite"
          ) from error
        _log.warning(
          "checkpoint of step %d is damaged (%s): going back to step %d",
          step,
          error,
          before,
        )
        # Its number must be free again for the run to save it anew.
        if not self._read_only:
          self._managers[which].delete(step)
    return None


def _check_fits(state: Any, target: Any) -> None:
  """Orbax restores another shape into a NumPy target without a word."""
  stored = jax.tree_util.tree_leaves_with_path(state)
  wanted = jax.tree.leaves(target)
  for (path, a), b in zip(stored, wanted, strict=True):
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
      raise errors.UserError(
        f"the checkpoint is of another model:"
        f" {jax.tree_util.keystr(path, simple=True, separator='.')} is"
        f" {a.dtype} {list(a.shape)} there and {b.dtype} {list(b.shape)} in"
        " this config"
      )


def _save_error(error: Exception) -> errors.UserError:
  first = str(error).splitlines()[0] if str(error) else type(error).__name__
  return errors.UserError(
    f"a checkpoint could not be saved ({first}): the last good one stays;"
    " free some space and run the same command again"
  )
