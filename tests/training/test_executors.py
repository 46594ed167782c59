"""One step, every executor: the same parameters to float32 rounding.

SGD throughout: Adam hides a gradient that is wrong by a constant factor.
Optimized as in production: test_executors_optimized.py.
Several processes: tests/test_distributed.py.
"""

import jax
import numpy as np
import pytest

from rotjax import errors
from rotjax.data import batches
from rotjax.training import executors
from tests import training
from tests.training import BATCH, BATCH_NORM_AND_DROPOUT, SMALL

pytestmark = pytest.mark.usefixtures("quick_runs")


def _run(experiment, name, num_devices, **how):
  devices = jax.devices()[:num_devices]
  return training.run(experiment, name, devices, **how)


def test_padding_rows_change_nothing():
  # The reference for the mask: a step on just the rows that are real.
  experiment = training.experiment({**SMALL, "model.norm": "batch"})
  step = jax.jit(experiment.make_step())
  images = experiment.split("train").images
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
  training.assert_close(got, want, atol=2e-6)
  training.assert_close(got_metrics, want_metrics, atol=1e-4)


@pytest.mark.parametrize(
  "name,num_devices",
  [
    ("jit", 1),
    pytest.param("jit", 4, marks=pytest.mark.slow),
    pytest.param("pmap", 2, marks=pytest.mark.slow),
  ],
)
def test_seeds_together_agree_with_single_runs(name, num_devices):
  experiment = training.experiment(BATCH_NORM_AND_DROPOUT)
  together, metrics = _run(experiment, name, num_devices, seeds=(3, 4))
  for r, seed in enumerate((3, 4)):
    alone, alone_metrics = _run(experiment, "jit", 1, seeds=(seed,))
    state = executors.program.unstack_seeds(together, 2)[r]
    training.assert_close(state, alone, atol=5e-6)
    if num_devices == 1:  # in turn, by the very program of a single run
      jax.tree.map(np.testing.assert_array_equal, state, alone)
    for a, b in zip(metrics, alone_metrics, strict=True):
      np.testing.assert_allclose(a["loss"][:, r], b["loss"][:, 0], rtol=1e-4)


@pytest.mark.parametrize("name,num_devices", [("jit", 1), ("pmap", 2)])
def test_scanned_steps_are_the_same_steps(name, num_devices):
  experiment = training.experiment(SMALL)
  scanned, metrics = _run(experiment, name, num_devices, scan=2)
  executor = executors.build(
    "jit", experiment.make_step, BATCH, 1, jax.devices()[:1]
  )
  images = experiment.split("train").images
  placed = executor.place_images(images)
  state = executor.place_state(experiment.init_state(0))
  losses = []
  for step in range(2 * 3):
    state, scalars = executor.run(
      state,
      placed,
      np.zeros(1, np.uint32),
      batches.batch(len(images), BATCH, [0], step, 1),
    )
    losses.append(scalars["loss"][0, 0])
  training.assert_close(scanned, jax.device_get(state), atol=2e-6)
  got = np.concatenate([m["loss"][:, 0] for m in metrics])
  np.testing.assert_allclose(got, losses, rtol=1e-4)


def test_draws_do_not_depend_on_the_batch_they_share():
  # An example's angle, shift and dropout follow from seed, step and slot.
  experiment = training.experiment(SMALL)
  from rotjax.training import step as step_lib

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


def test_a_batch_that_devices_do_not_divide_is_refused():
  experiment = training.experiment(SMALL)
  for name in executors.EXECUTORS:
    with pytest.raises(errors.UserError, match="batch_size = 15 .* 4 devices"):
      executors.build(name, experiment.make_step, 15, 1, jax.devices()[:4])


@pytest.mark.slow
def test_a_batch_may_bring_its_own_images():
  # What streams through the host is not resident, and trains alike.
  experiment = training.experiment(BATCH_NORM_AND_DROPOUT)
  for name in executors.EXECUTORS:
    want, want_metrics = _run(experiment, name, 4)
    got, got_metrics = _run(experiment, name, 4, streamed=True)
    training.assert_close(got, want, atol=1e-6)
    for a, b in zip(got_metrics, want_metrics, strict=True):
      training.assert_close(a, b, atol=1e-5)


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_devices():
  # As after a requeue on another machine: four, one, two.
  experiment = training.experiment(BATCH_NORM_AND_DROPOUT)
  want, _ = _run(experiment, "jit", 1, steps=6)
  state = None
  for steps, num_devices in ((2, 4), (4, 1), (6, 2)):
    state, _ = _run(experiment, "jit", num_devices, steps=steps, state=state)
  assert state.step == 6
  training.assert_close(state, want, atol=5e-6)


def test_mesh_gives_seeds_the_devices_they_divide():
  assert executors.jit.mesh_shape(8, 4, 16) == (4, 2)
  assert executors.jit.mesh_shape(8, 1, 16) == (1, 8)
  assert executors.jit.mesh_shape(4, 3, 16) == (1, 4)


def test_the_state_given_survives_the_donating_step():
  # device_put may share a buffer with its argument; the step then deletes it.
  experiment = training.experiment(SMALL)
  first = experiment.init_state(0)
  before = jax.device_get(first.params)
  executor = executors.build(
    "jit", experiment.make_step, BATCH, 1, jax.devices()[:1]
  )
  images = experiment.split("train").images
  state = executor.place_state(first)
  executor.run(
    state,
    executor.place_images(images),
    np.zeros(1, np.uint32),
    batches.batch(len(images), BATCH, [0], 0, 1),
  )
  training.assert_close(first.params, before, atol=0)
