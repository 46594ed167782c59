"""A few steps of small experiments, for tests that compare executors."""

import jax
import numpy as np

from rotjax.config import base, resolve
from rotjax.data import batches
from rotjax.run import experiment as experiment_lib
from rotjax.training import executors

BATCH = 16

SMALL = {
  "batch_size": BATCH,
  "num_steps": 50,
  # SGD: Adam hides a gradient that is wrong by a constant factor.
  "optim.name": "sgd",
  "optim.learning_rate": 0.05,
  "optim.warmup": 0.0,
}
BATCH_NORM_AND_DROPOUT = {
  **SMALL,
  "model.norm": "batch",
  "model.dropout": 0.4,
  "model.widths": (8, 8, 8),
  "model.hidden": 16,
  "optim.ema_decay": 0.9,
}


def experiment(overrides):
  """The experiment of a config with these overrides."""
  return experiment_lib.Experiment.from_config(
    resolve.apply(base.base(), overrides)
  )


def ragged(batch):
  """The same batch with padding rows, unevenly spread over four devices."""
  mask = batch["mask"].copy()
  mask[..., [1, 2, 3, 9]] = False
  return {**batch, "mask": mask}


def run(
  an_experiment,
  name,
  devices,
  seeds=(0,),
  change=None,
  scan=1,
  steps=3,
  state=None,
):
  """Trains up to a step; the state on the host and each call's metrics.

  From a state on the host, if one is given, else from the start.
  """
  executor = executors.build(
    name, an_experiment.make_step, BATCH, len(seeds), devices
  )
  images = an_experiment.split("train").images
  if state is None:
    state = executors.program.stack_seeds(
      [an_experiment.init_state(s) for s in seeds]
    )
  first = int(np.ravel(state.step)[0])
  state = executor.place_state(state)
  placed = executor.place_images(images)
  metrics = []
  for step in range(first, steps * scan, scan):
    batch = batches.batch(len(images), BATCH, list(seeds), step, scan)
    batch = change(batch) if change else batch
    state, scalars = executor.run(
      state, placed, np.asarray(seeds, np.uint32), batch
    )
    metrics.append(jax.device_get(scalars))
  return executor.fetch_state(state), metrics


def assert_close(a, b, atol):
  """Trees that agree leaf by leaf."""
  for (path, x), y in zip(
    jax.tree_util.tree_leaves_with_path(a), jax.tree.leaves(b), strict=True
  ):
    np.testing.assert_allclose(
      x, y, rtol=1e-4, atol=atol, err_msg=jax.tree_util.keystr(path)
    )
