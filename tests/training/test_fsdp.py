"""The executor fsdp: a state in parts, and the numbers of one device."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest

from rotjax.data import batches
from rotjax.training import executors
from rotjax.training.executors import fsdp
from tests import training
from tests.training import BATCH, BATCH_NORM_AND_DROPOUT

# Its hidden layer is large enough to be shared.
LARGE = {**BATCH_NORM_AND_DROPOUT, "model.hidden": 256}


@pytest.fixture(scope="module")
def experiment():
  return training.experiment(LARGE)


@pytest.fixture(scope="module")
def want(experiment):
  """State and metrics of one device."""
  return training.run(
    experiment, "jit", jax.devices()[:1], change=training.ragged
  )


def _executor(experiment, num_devices=4):
  devices = jax.devices()[:num_devices]
  return executors.build("fsdp", experiment.make_step, BATCH, 1, devices)


def test_an_array_is_shared_along_its_longest_axis_that_devices_divide():
  assert fsdp.split_axis((3, 3, 256, 512), 4) == 3
  assert fsdp.split_axis((3, 3, 512, 255), 4) == 2
  assert fsdp.split_axis((1024, 6), 4) is None  # too small
  assert fsdp.split_axis((255, 255), 4) is None
  assert fsdp.split_axis((256, 256), 4) == 1
  assert fsdp.split_axis((), 4) is None


def test_four_devices_agree_with_one(experiment, want):
  got, metrics = training.run(
    experiment, "fsdp", jax.devices()[:4], change=training.ragged
  )
  training.assert_close(got, want[0], atol=2e-6)
  for a, b in zip(metrics, want[1], strict=True):
    training.assert_close(a, b, atol=1e-4)


def test_the_state_stays_in_parts_and_weights_alone_are_gathered(experiment):
  executor = _executor(experiment)
  images = experiment.split("train").images
  state = executor.place_state(experiment.init_state(0))
  arguments = (
    executor.place_images(images),
    np.zeros(1, np.uint32),
    batches.batch(len(images), BATCH, [0], 0, 1),
  )
  text = executor.compiled(state, *arguments).as_text()
  gathered = [line for line in text.splitlines() if " all-gather(" in line]
  assert len(gathered) == 1 and "f32[128,256]" in gathered[0]
  assert "all-to-all" not in text
  state, _ = executor.run(state, *arguments)
  for tree in (state.params, state.opt_state, state.ema_params):
    (large,) = (x for x in jax.tree.leaves(tree) if x.size == 128 * 256)
    parts = {shard.data.shape for shard in large.addressable_shards}
    assert parts == {(128, 64)}
  network = executor.fetch_state(state, lambda s: s.ema_params)
  np.testing.assert_array_equal(
    network["hidden"]["kernel"],
    jax.device_get(state.ema_params)["hidden"]["kernel"],
  )


@pytest.mark.slow
def test_it_goes_on_where_jit_stopped_and_jit_where_it_did(experiment, want):
  state = None
  for steps, name in ((1, "jit"), (2, "fsdp"), (3, "jit")):
    state, _ = training.run(
      experiment,
      name,
      jax.devices()[:4],
      steps=steps,
      state=state,
      change=training.ragged,
    )
  training.assert_close(state, want[0], atol=5e-6)


@pytest.mark.slow
def test_seeds_with_devices_of_their_own_share_their_states(experiment):
  got, _ = training.run(experiment, "fsdp", jax.devices()[:4], seeds=(3, 4))
  for r, seed in enumerate((3, 4)):
    alone, _ = training.run(experiment, "jit", jax.devices()[:1], seeds=(seed,))
    state = executors.program.unstack_seeds(got, 2)[r]
    training.assert_close(state, alone, atol=5e-6)


@pytest.mark.slow
def test_frozen_stages_are_shared_too(monkeypatch):
  monkeypatch.setattr(fsdp, "SMALLEST", 2**10)
  experiment = training.experiment(
    {
      **training.SMALL,
      "model.name": "efficientnet_lite0",
      "model.weights": "",
      "model.head_blocks": (1, 2),
      "model.pool": 1,
      "model.hidden": 16,
      "view.size": 32,
      "optim.freeze": "block0",
    }
  )
  devices = jax.devices()
  got, _ = training.run(experiment, "fsdp", devices[:4], steps=2)
  want, _ = training.run(experiment, "jit", devices[:1], steps=2)
  training.assert_close(got, want, atol=5e-6)


@pytest.mark.slow
def test_eight_devices_agree_with_one():
  code = (
    "import jax, json, sys; jax.config.update('jax_num_cpu_devices', 8)\n"
    "from tests import training\n"
    "e = training.experiment(json.loads(sys.argv[1]))\n"
    "want, _ = training.run(e, 'jit', jax.devices()[:1])\n"
    "got, _ = training.run(e, 'fsdp', jax.devices())\n"
    "training.assert_close(got, want, atol=2e-6)\n"
  )
  command = [sys.executable, "-c", code, json.dumps(LARGE)]
  subprocess.run(command, check=True, timeout=1200)
