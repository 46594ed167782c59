"""A finished run, opened: to predict, to evaluate it anew, to start from it."""

import dataclasses
import logging
import pathlib
from typing import Any

import jax
import numpy as np

from rotjax import distributed, errors, files
from rotjax.config import load
from rotjax.evaluation import calibration as calibration_lib
from rotjax.run import checkpoint, layout, ready, summary
from rotjax.run import experiment as experiment_lib
from rotjax.training import step as step_lib

_log = logging.getLogger("rotjax")


@dataclasses.dataclass(frozen=True)
class FinishedRun:
  """A finished run of one seed, or a ready model that was made of one.

  What is large is read when it is asked for.

  Attributes:
    path: its folder.
    config: its config.json.
  """

  path: pathlib.Path
  config: Any

  @property
  def source(self) -> tuple[int, int, int]:
    """Height, width and channels of the images that it was trained on.

    Raises:
      UserError: its summary does not say.
    """
    stored = summary.read(self.path)
    try:
      height, width, channels = stored["protocol"]["source"]
      return int(height), int(width), int(channels)
    except (KeyError, TypeError, ValueError):
      raise errors.UserError(
        f"{self.path / layout.SUMMARY} does not state the size of the training"
        " images: the run's own command with --mode eval writes it anew"
      ) from None

  @property
  def calibration(self) -> calibration_lib.Calibration:
    """What was fitted to its validation set.

    Raises:
      UserError: it cannot be read.
    """
    file = self.path / layout.CALIBRATION
    stored = files.read_json(file)
    try:
      return calibration_lib.Calibration.from_dict(stored)
    except (ValueError, KeyError, TypeError) as error:
      raise errors.UserError(f"{file} cannot be read: {error}") from None

  def experiment(self) -> experiment_lib.Experiment:
    """The objects that its config describes; its dataset is not needed."""
    return experiment_lib.Experiment.bound_to(self.config, self.source)

  def best(self, experiment: experiment_lib.Experiment) -> step_lib.TrainState:
    """Its best state by validation error, NumPy leaves.

    Args:
      experiment: its own.

    Raises:
      UserError: there is none, or it is damaged.
    """
    if ready.is_one(self.path):
      return ready.read_state(self.path, experiment)
    folder = self.path / layout.CHECKPOINTS
    restored = checkpoint.read(folder, "best", experiment.blank_state())
    if restored is None:
      raise errors.UserError(f"{self.path} holds no checkpoint: train it first")
    return restored.state


def open_run(folder: pathlib.Path) -> FinishedRun:
  """Opens the finished run of one seed, or the ready model, in a folder.

  Raises:
    UserError: there is none, or a model that is not as it was written.
  """
  if not folder.exists():
    raise errors.UserError(f"{folder}: no such run folder or model file")
  if ready.is_one(folder):
    ready.check(folder)
    return FinishedRun(folder, load.read(folder / layout.CONFIG))
  if not (folder / layout.CONFIG).is_file():
    raise errors.UserError(f"{folder} is not a run folder (no config.json)")
  seeds = list(layout.seeds_there(folder).values())
  if seeds:
    raise errors.UserError(
      f"{folder} holds {len(seeds)} runs: name one of them, such as {seeds[0]}"
    )
  if not any((folder / layout.CHECKPOINTS / "best").glob("[0-9]*")):
    raise errors.UserError(f"{folder} holds no checkpoint: train it first")
  if not layout.is_tested(folder):
    raise errors.UserError(
      f"{folder} is not finished: the command that trains it resumes it"
    )
  return FinishedRun(folder, load.read(folder / layout.CONFIG))


def start_from(
  fresh: step_lib.TrainState, workdir: pathlib.Path
) -> step_lib.TrainState:
  """A fresh state with the parameters of another run, where they fit.

  What the other network has not, or in another shape (the last layer, under
  another head), stays as it was initialised, and is named. In a job of several
  processes, process 0 reads.

  Args:
    fresh: the state before the first step.
    workdir: a finished run of one seed, or a ready model.

  Raises:
    UserError: no such run, or one whose network has nothing in common.
  """

  def read():
    run = open_run(workdir)
    best = run.best(run.experiment())
    params, anew = _fitting(fresh.params, best.eval_params)
    if len(anew) == len(jax.tree.leaves(fresh.params)):
      raise errors.UserError(
        f"init_from = {workdir}: no parameter of that run fits this network"
        f" (model.name is {run.config.model.name!r} there)"
      )
    model_state, _ = _fitting(fresh.model_state, best.eval_model_state)
    return anew, (params, model_state)

  anew, (params, model_state) = distributed.arrays_on_main(
    read, like=(fresh.params, fresh.model_state)
  )
  if anew:
    _log.warning("init_from: initialised anew: %s", ", ".join(anew))
  return dataclasses.replace(
    fresh,
    params=params,
    model_state=model_state,
    ema_params=None if fresh.ema_params is None else params,
    ema_model_state=None if fresh.ema_model_state is None else model_state,
  )


def _fitting(fresh: Any, other: Any) -> tuple[Any, list[str]]:
  """`fresh` with the leaves of `other` that fit; the names of those kept."""
  others = dict(jax.tree_util.tree_leaves_with_path(other))
  kept = []

  def choose(path, leaf):
    trained = others.get(path)
    if trained is not None and trained.shape == leaf.shape:
      return np.asarray(trained, leaf.dtype)
    kept.append(jax.tree_util.keystr(path, simple=True, separator="."))
    return np.asarray(leaf)

  return jax.tree_util.tree_map_with_path(choose, fresh), kept
