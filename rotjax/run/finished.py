"""What a finished run's folder holds, for whatever goes on from it."""

from collections.abc import Callable
import dataclasses
import logging
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rotjax import distributed, errors, files, heads, models
from rotjax.config import load, named
from rotjax.evaluation import calibration as calibration_lib
from rotjax.run import checkpoint, summary
from rotjax.training import step as step_lib

_log = logging.getLogger("rotjax")


def config_of(workdir: pathlib.Path) -> Any:
  """The config of the finished run of one seed in a folder.

  Raises:
    UserError: there is none.
  """
  if not workdir.exists():
    raise errors.UserError(f"{workdir}: no such run folder or model file")
  if not (workdir / "config.json").is_file():
    raise errors.UserError(f"{workdir} is not a run folder (no config.json)")
  seeds = sorted(p.name for p in workdir.glob("seed-*") if p.is_dir())
  if seeds:
    raise errors.UserError(
      f"{workdir} holds {len(seeds)} runs: name one of them, such as"
      f" {workdir / seeds[0]}"
    )
  if not any((workdir / "checkpoints" / "best").glob("[0-9]*")):
    raise errors.UserError(f"{workdir} holds no checkpoint: train it first")
  if not (workdir / "summary.json").exists():
    raise errors.UserError(
      f"{workdir} is not finished: the command that trains it resumes it"
    )
  return load.read(workdir / "config.json")


def source_of(workdir: pathlib.Path) -> tuple[int, int, int]:
  """Height, width and channels of the images that a run was trained on.

  Raises:
    UserError: its summary does not say.
  """
  try:
    height, width, channels = summary.read(workdir)["protocol"]["source"]
    return int(height), int(width), int(channels)
  except (KeyError, TypeError, ValueError) as error:
    if isinstance(error, errors.UserError):  # a ValueError that says more
      raise
    raise errors.UserError(
      f"{workdir / 'summary.json'} does not state the size of the training"
      " images: the run's own command with --mode eval writes it anew"
    ) from None


def calibration_of(workdir: pathlib.Path) -> calibration_lib.Calibration:
  """What was fitted to a run's validation set.

  Raises:
    UserError: it cannot be read.
  """
  file = workdir / "calibration.json"
  stored = files.read_json(file)
  try:
    return calibration_lib.Calibration.from_dict(stored)
  except (ValueError, KeyError, TypeError) as error:
    raise errors.UserError(f"{file} cannot be read: {error}") from None


def _best(config, workdir, head, shape):
  """The model and the best state of a run; `shape` of the network's input."""
  model = models.build(
    named.build("model", config.model),
    head.num_outputs,
    shape,
    jnp.dtype(config.dtype),
  )
  optimizer = named.build("optim", config.optim)
  # Shapes alone: what they hold comes from the checkpoint.
  shapes = jax.eval_shape(
    lambda: step_lib.init_state(model, optimizer, config.num_steps, 0)
  )
  fresh = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
  checkpoints = checkpoint.Checkpoints(
    workdir / "checkpoints", keep=1, read_only=True
  )
  try:
    restored = checkpoints.restore("best", fresh)
  finally:
    checkpoints.close()
  if restored is None:
    raise errors.UserError(f"{workdir} holds no checkpoint: train it first")
  return model, restored.state


def network_of(
  config: Any,
  workdir: pathlib.Path,
  head: heads.Head,
  shape: tuple[int, int, int],
) -> Callable[[jax.Array], jax.Array]:
  """The best network of a run: `[N, *shape]` -> `[N, num_outputs]`.

  Raises:
    UserError: there is none, or it is damaged.
  """
  model, state = _best(config, workdir, head, shape)
  return lambda x: model.apply(state.eval_params, state.eval_model_state, x)[0]


def start_from(
  fresh: step_lib.TrainState, workdir: pathlib.Path
) -> step_lib.TrainState:
  """A fresh state with the parameters of another run, where they fit.

  What the other network has not, or in another shape (the last layer, under
  another head), stays as it was initialised, and is named. In a job of several
  processes, process 0 reads.

  Args:
    fresh: the state before the first step.
    workdir: a finished run of one seed.

  Raises:
    UserError: no such run, or one whose network has nothing in common.
  """
  found = None

  def read():
    nonlocal found
    config = config_of(workdir)
    size = named.build_view(config).size
    head = named.build("head", config.head)
    _, best = _best(config, workdir, head, (size, size, source_of(workdir)[2]))
    params, kept = _fitting(fresh.params, best.eval_params)
    if len(kept) == len(jax.tree.leaves(fresh.params)):
      raise errors.UserError(
        f"init_from = {workdir}: no parameter of that run fits this network"
        f" (model.name is {config.model.name!r} there)"
      )
    state, _ = _fitting(fresh.model_state, best.eval_model_state)
    found = params, state
    return kept

  kept = distributed.on_main(read)
  if kept:
    _log.warning("init_from: initialised anew: %s", ", ".join(kept))
  found = distributed.from_main(found or (fresh.params, fresh.model_state))
  params, model_state = found
  return dataclasses.replace(
    fresh,
    params=params,
    model_state=model_state,
    ema_params=None if fresh.ema_params is None else params,
    ema_model_state=None if fresh.ema_model_state is None else model_state,
  )


def _fitting(fresh: Any, other: Any) -> tuple[Any, list[str]]:
  """`fresh` with the leaves of `other` that fit; the names of those kept."""
  there = dict(jax.tree_util.tree_leaves_with_path(other))
  kept = []

  def choose(path, leaf):
    found = there.get(path)
    if found is not None and found.shape == leaf.shape:
      return np.asarray(found, leaf.dtype)
    kept.append(jax.tree_util.keystr(path, simple=True, separator="."))
    return np.asarray(leaf)

  return jax.tree_util.tree_map_with_path(choose, fresh), kept
