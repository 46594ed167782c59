"""Checkpoints: the latest states to resume from, and the best to evaluate.

The only file that imports orbax. Two managers, `latest/` and `best/`, so that
neither ever deletes the other's. Every save carries a digest of its arrays:
orbax restores a flipped byte without a word.
"""

import dataclasses
import hashlib
import itertools
import logging
import pathlib
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from rotjax import errors
from rotjax.run import late_reports

_log = logging.getLogger("rotjax")


# Where `save` moves what it must not delete.
SET_ASIDE = "set_aside"


class DamagedError(Exception):
  """A checkpoint that cannot be read, or not as it was written."""


class OtherModelError(errors.UserError):
  """A checkpoint with other arrays than those of this config."""


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

  Reading changes nothing. With `read_only` nothing is created either.
  """

  def __init__(self, folder: pathlib.Path, keep: int, read_only: bool = False):
    if "\\" in str(folder.absolute()):
      raise errors.UserError(
        f"the checkpoints in {folder} cannot be read: rename the folder with a"
        " backslash in its path"
      )
    late_reports.ignore()
    self._folder = folder
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

    What lies there under this step or a later one and is not this very state,
    intact, is of a life that the run has gone back from: it is moved aside.

    Args:
      which: "latest" or "best".
      state: a pytree with an integer leaf `step`.
      meta: JSON-able notes.

    Raises:
      UserError: this save or the one before failed.
    """
    # A copy: the next step donates the buffers that a view would show.
    state = jax.tree.map(lambda x: np.array(x, copy=True), state)
    meta = {**meta, "digest": digest(state)}
    step = int(state.step)
    for other in self.steps(which):
      # A killed run has come here before, by the same numbers.
      if other == step and self._holds(which, state, meta["digest"]):
        return
      if other >= step:
        self._set_aside(which, other)
    try:
      self._managers[which].save(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta)
        ),
        # "best" may return to a step that "latest" has passed.
        force=True,
      )
    except Exception as error:
      raise _save_error(error) from error

  def _holds(self, which: str, state: Any, wanted: str) -> bool:
    """Whether the state is saved already, and intact."""
    self.wait()
    try:
      saved = self._restore_step(which, int(state.step), state)
    except (DamagedError, OtherModelError):
      return False
    return saved.meta["digest"] == wanted

  def _set_aside(self, which: str, step: int) -> None:
    self.wait()
    aside = self._folder / SET_ASIDE
    numbers = itertools.count(1)
    names = (f"{which}-{step}-{number}" for number in numbers)
    target = next(t for t in (aside / n for n in names) if not t.exists())
    try:
      aside.mkdir(exist_ok=True)
      (self._folder / which / str(step)).rename(target)
    except OSError as error:
      raise _save_error(error) from error
    self._managers[which].reload()
    _log.warning(
      "the old %s checkpoint of step %d is now %s", which, step, target
    )

  def steps(self, which: str) -> list[int]:
    """The steps that are there, newest first."""
    if which not in self._managers:
      return []
    return sorted(self._managers[which].all_steps(), reverse=True)

  def _restore_step(self, which: str, step: int, target: Any) -> Restored:
    # Without a target: what the file holds, and not what it is taken for.
    args = ocp.args.Composite(
      state=ocp.args.StandardRestore(), meta=ocp.args.JsonRestore()
    )
    try:
      got = self._managers[which].restore(step, args=args)
      meta = dict(got["meta"])
      stored = _by_name(got["state"])
      wanted_digest = meta["digest"]
    # Truncated, deleted and zeroed files raise a dozen types, Exception
    # itself among them.
    except Exception as error:
      raise DamagedError(_first_line(error)) from error
    wanted = _by_name(target)
    _check_fits(stored, wanted)
    leaves = [stored[name] for name in wanted]
    state = jax.tree.unflatten(jax.tree.structure(target), leaves)
    if digest(state) != wanted_digest:
      raise DamagedError("its arrays do not have the digest that was saved")
    return Restored(state, meta)

  def restore(self, which: str, target: Any) -> Restored | None:
    """The newest intact checkpoint; None where there is none at all.

    Where no "best" one is intact the newest "latest" one stands in for it, and
    the other way round; either is said.

    Args:
      which: "latest" or "best".
      target: a state whose shapes and types the checkpoint must have.

    Raises:
      UserError: there are checkpoints and none of them can be read, or they
        are of another model.
    """
    if not self.steps(which):
      return None
    other = "latest" if which == "best" else "best"
    failed: list[tuple[str, int, Exception]] = []
    for kind, step in [(w, s) for w in (which, other) for s in self.steps(w)]:
      try:
        restored = self._restore_step(kind, step, target)
      except (DamagedError, OtherModelError) as error:
        failed.append((kind, step, error))
        continue
      _tell(failed, which, kind, step)
      return restored
    for _, _, reason in failed:
      if isinstance(reason, OtherModelError):
        raise reason
    raise errors.UserError(
      f"the {which} checkpoint of step {failed[0][1]} is damaged"
      f" ({failed[0][2]}) and there is no other one: start again with"
      " --overwrite"
    ) from failed[0][2]


def read(folder: pathlib.Path, which: str, target: Any) -> Restored | None:
  """`Checkpoints.restore`, of a folder in which nothing is created."""
  checkpoints = Checkpoints(folder, keep=1, read_only=True)
  try:
    return checkpoints.restore(which, target)
  finally:
    checkpoints.close()


def _tell(failed, which, kind, step) -> None:
  """Says what stands in for what."""
  for (bad, bad_step, error), (_, next_step, _) in zip(
    failed, [*failed[1:], (kind, step, None)]
  ):
    if bad == which == kind:
      _log.warning(
        "checkpoint of step %d is damaged (%s): going back to step %d",
        bad_step,
        error,
        next_step,
      )
    else:
      _log.warning(
        "%s checkpoint of step %d is damaged (%s): the %s one of step %d stands"
        " in for it",
        bad,
        bad_step,
        error,
        kind,
        step,
      )


def _by_name(tree: Any) -> dict[str, np.ndarray]:
  """The arrays of a tree by their paths, whatever its containers are."""
  return {
    jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf)
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


def _check_fits(
  stored: dict[str, np.ndarray], wanted: dict[str, np.ndarray]
) -> None:
  def described(arrays, name):
    if name not in arrays:
      return "not"
    return f"{arrays[name].dtype} {list(arrays[name].shape)}"

  for name in [*wanted, *(n for n in stored if n not in wanted)]:
    there, here = described(stored, name), described(wanted, name)
    if there != here:
      raise OtherModelError(
        f"the checkpoint is of another model: {name} is {there} there and"
        f" {here} in this config"
      )


def _first_line(error: Exception) -> str:
  lines = str(error).splitlines() or [type(error).__name__]
  return lines[0] if len(lines[0]) <= 200 else lines[0][:200] + "..."


def _save_error(error: Exception) -> errors.UserError:
  return errors.UserError(
    f"a checkpoint could not be saved ({_first_line(error)}): the last good one"
    " stays; free some space and run the same command again"
  )
