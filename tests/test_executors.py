"""One step, every executor: the same parameters to float32 rounding.

SGD throughout: Adam hides a gradient that is wrong by a constant factor.
"""

import jax
import numpy as np
import pytest

from rotjax import config as config_lib
from rotjax import errors, executors, train
from rotjax.data import batches

BATCH = 16
STEPS = 3

SMALL = {
  "batch_size": BATCH,
  "num_steps": 50,
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


def _experiment(overrides):
  return train.Experiment.from_config(
    config_lib.resolve(config_lib.base(), overrides)
  )


def _ragged(batch):
  """The same batch with padding rows, unevenly spread over four devices."""
  mask = batch["mask"].copy()
  mask[..., [1, 2, 3, 9]] = False
  return {**batch, "mask": mask}


def _run(experiment, name, num_devices, seeds=(0,), ragged=False, scan=1):
  executor = executors.build(
    name,
    experiment.make_step,
    BATCH,
    len(seeds),
    jax.devices()[:num_devices],
  )
  images = experiment.dataset.load("train").images
  state = executor.place_state(
    executors.stack_seeds([experiment.init_state(seed) for seed in seeds])
  )
  placed = executor.place_images(images)
  metrics = []
  for step in range(0, STEPS * scan, scan):
    batch = batches.batch(len(images), BATCH, list(seeds), step, scan)
    batch = _ragged(batch) if ragged else batch
    state, scalars = executor.run(
      state, placed, np.asarray(seeds, np.uint32), batch
    )
    metrics.append(jax.device_get(scalars))
  return jax.device_get(state), metrics


def _assert_close(a, b, atol):
  for (path, x), y in zip(
    jax.tree_util.tree_leaves_with_path(a), jax.tree.leaves(b), strict=True
  ):
    np.testing.assert_allclose(
      x, y, rtol=1e-4, atol=atol, err_msg=jax.tree_util.keystr(path)
    )


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize(
  "name,num_devices", [("jit", 4), ("pmap", 1), ("pmap", 4)]
)
def test_executors_agree_with_one_device(name, num_devices, ragged):
  experiment = _experiment(BATCH_NORM_AND_DROPOUT)
  want, want_metrics = _run(experiment, "jit", 1, ragged=ragged)
  got, got_metrics = _run(experiment, name, num_devices, ragged=ragged)
  _assert_close(got, want, atol=2e-6)
  for a, b in zip(got_metrics, want_metrics, strict=True):
    _assert_close(a, b, atol=1e-4)


def test_padding_rows_change_nothing():
  # The reference for the mask: a step on just the rows that are real.
  experiment = _experiment({**SMALL, "model.norm": "batch"})
  step = jax.jit(experiment.make_step())
  images = experiment.dataset.load("train").images
  keep = np.array([0, 4, 5, 7, 8, 10, 11, 12])
  mask = np.zeros(BATCH, bool)
  mask[keep] = True
  whole = {
    "image": images[:BATCH],
    "slot": np.arange(BATCH, dtype=np.int32),
    "mask": mask,
    "seed": np.uint32(0),
  }
  part = {k: v if k == "seed" else v[keep] for k, v in whole.items()}
  got, got_metrics = step(experiment.init_state(0), whole)
  want, want_metrics = step(experiment.init_state(0), part)
  _assert_close(got, want, atol=2e-6)
  _assert_close(got_metrics, want_metrics, atol=1e-4)


@pytest.mark.parametrize(
  "name,num_devices", [("jit", 1), ("jit", 4), ("pmap", 2)]
)
def test_seeds_together_agree_with_single_runs(name, num_devices):
  experiment = _experiment(BATCH_NORM_AND_DROPOUT)
  together, metrics = _run(experiment, name, num_devices, seeds=(3, 4))
  for r, seed in enumerate((3, 4)):
    alone, alone_metrics = _run(experiment, "jit", 1, seeds=(seed,))
    _assert_close(executors.unstack_seeds(together, 2)[r], alone, atol=5e-6)
    for a, b in zip(metrics, alone_metrics, strict=True):
      np.testing.assert_allclose(a["loss"][:, r], b["loss"][:, 0], rtol=1e-4)


@pytest.mark.parametrize("name,num_devices", [("jit", 1), ("pmap", 2)])
def test_scanned_steps_are_the_same_steps(name, num_devices):
  experiment = _experiment(SMALL)
  scanned, metrics = _run(experiment, name, num_devices, scan=2)
  executor = executors.build(
    "jit", experiment.make_step, BATCH, 1, jax.devices()[:1]
  )
  images = experiment.dataset.load("train").images
  placed = executor.place_images(images)
  state = executor.place_state(experiment.init_state(0))
  losses = []
  for step in range(2 * STEPS):
    state, scalars = executor.run(
      state,
      placed,
      np.zeros(1, np.uint32),
      batches.batch(len(images), BATCH, [0], step, 1),
    )
    losses.append(scalars["loss"][0, 0])
  _assert_close(scanned, jax.device_get(state), atol=2e-6)
  got = np.concatenate([m["loss"][:, 0] for m in metrics])
  np.testing.assert_allclose(got, losses, rtol=1e-4)


def test_draws_do_not_depend_on_the_batch_they_share():
  # An example's angle, shift and dropout follow from seed, step and slot.
  experiment = _experiment(SMALL)
  from rotjax import step as step_lib

  slots = np.arange(8, dtype=np.int32)
  whole, _ = step_lib.example_keys(np.uint32(1), np.int32(5), slots)
  half, _ = step_lib.example_keys(np.uint32(1), np.int32(5), slots[4:])
  draw = jax.vmap(experiment.angles.draw)
  np.testing.assert_array_equal(draw(whole)[4:], draw(half))
  others = [
    step_lib.example_keys(np.uint32(2), np.int32(5), slots)[0],
    step_lib.example_keys(np.uint32(1), np.int32(6), slots)[0],
  ]
  for keys in others:
    assert (draw(keys) != draw(whole)).all()


def test_the_compiled_step_on_a_mesh_has_one_all_reduce_group_and_no_gather():
  experiment = _experiment(SMALL)
  devices = jax.devices()[:4]
  executor = executors.build("jit", experiment.make_step, BATCH, 1, devices)
  images = experiment.dataset.load("train").images
  state = executor.place_state(experiment.init_state(0))
  text = executor.compiled_text(
    state,
    executor.place_images(images),
    np.zeros(1, np.uint32),
    batches.batch(len(images), BATCH, [0], 0, 1),
  )
  assert "all-reduce" in text
  assert "all-gather" not in text and "all-to-all" not in text


def test_a_batch_that_devices_do_not_divide_is_refused():
  experiment = _experiment(SMALL)
  for name in executors.EXECUTORS:
    with pytest.raises(errors.UserError, match="batch_size = 15 .* 4 devices"):
      executors.build(name, experiment.make_step, 15, 1, jax.devices()[:4])


def test_mesh_gives_seeds_the_devices_they_divide():
  assert executors.mesh_shape(8, 4, 16) == (4, 2)
  assert executors.mesh_shape(8, 1, 16) == (1, 8)
  assert executors.mesh_shape(4, 3, 16) == (1, 4)


def test_the_state_given_survives_the_donating_step():
  # device_put may share a buffer with its argument; the step then deletes it.
  experiment = _experiment(SMALL)
  first = experiment.init_state(0)
  before = jax.device_get(first.params)
  executor = executors.build(
    "jit", experiment.make_step, BATCH, 1, jax.devices()[:1]
  )
  images = experiment.dataset.load("train").images
  state = executor.place_state(first)
  executor.run(
    state,
    executor.place_images(images),
    np.zeros(1, np.uint32),
    batches.batch(len(images), BATCH, [0], 0, 1),
  )
  _assert_close(first.params, before, atol=0)
