"""The executors' programs as production compiles them: they agree, and how.

What else executors owe is tested in test_executors.py, compiled quickly.
"""

import jax
import numpy as np
import pytest

from rotjax.data import batches
from rotjax.training import executors
from tests import training
from tests.training import BATCH, BATCH_NORM_AND_DROPOUT, SMALL

pytestmark = [
  pytest.mark.optimized,
  pytest.mark.usefixtures("quick_runs"),
]


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize(
  "name,num_devices", [("jit", 4), ("pmap", 1), ("pmap", 4)]
)
def test_executors_agree_with_one_device(name, num_devices, ragged):
  experiment = training.experiment(BATCH_NORM_AND_DROPOUT)
  change = training.ragged if ragged else None
  want, want_metrics = training.run(
    experiment, "jit", jax.devices()[:1], change=change
  )
  got, got_metrics = training.run(
    experiment, name, jax.devices()[:num_devices], change=change
  )
  training.assert_close(got, want, atol=2e-6)
  for a, b in zip(got_metrics, want_metrics, strict=True):
    training.assert_close(a, b, atol=1e-4)


def test_the_compiled_step_on_a_mesh_has_one_all_reduce_group_and_no_gather():
  experiment = training.experiment(SMALL)
  devices = jax.devices()[:4]
  executor = executors.build("jit", experiment.make_step, BATCH, 1, devices)
  images = experiment.split("train").images
  state = executor.place_state(experiment.init_state(0))
  text = executor.compiled(
    state,
    executor.place_images(images),
    np.zeros(1, np.uint32),
    batches.batch(len(images), BATCH, [0], 0, 1),
  ).as_text()
  assert "all-reduce" in text
  assert "all-gather" not in text and "all-to-all" not in text
