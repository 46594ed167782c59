"""A batch in parts: the numbers of the whole, and less memory."""

import jax
import numpy as np
import pytest

from rotjax import errors
from rotjax.config import base, resolve
from rotjax.data import batches
from rotjax.run import experiment as experiment_lib
from rotjax.training import executors
from tests import training
from tests.training import SMALL

# Of one layer, dropout and averages; no statistics of a batch.
TINY = {
  **SMALL,
  "model.widths": (8,),
  "model.kernels": (3,),
  "model.hidden": 128,
  "model.norm": "group",
  "model.dropout": 0.4,
  "optim.ema_decay": 0.9,
}


@pytest.fixture(scope="module")
def want():
  """State and metrics of one device, each batch at once."""
  return training.run(
    training.experiment(TINY), "jit", jax.devices()[:1], change=training.ragged
  )


@pytest.mark.parametrize(
  "name,num_devices,parts",
  [
    ("fsdp", 4, 2),
    pytest.param("pmap", 2, 4, marks=pytest.mark.slow),
    pytest.param("jit", 1, 16, marks=pytest.mark.slow),
    pytest.param("jit", 4, 4, marks=pytest.mark.slow),
  ],
)
def test_parts_add_up_to_the_batch(want, name, num_devices, parts):
  # Padding rows lie unevenly in the parts.
  got, metrics = training.run(
    training.experiment({**TINY, "microbatches": parts}),
    name,
    jax.devices()[:num_devices],
    change=training.ragged,
  )
  assert got.step == 3  # a step is an update, whatever it is made of
  training.assert_close(got, want[0], atol=2e-6)
  for a, b in zip(metrics, want[1], strict=True):
    training.assert_close(a, b, atol=1e-4)


def _temporary(parts):
  """Bytes beside the arguments of the program of a step on many images."""
  size, images = 128, (28, 28, 1)
  wide = {"model.widths": (64,), "model.hidden": 8, "view.fineness": 0.0}
  overrides = {**TINY, **wide, "batch_size": size, "microbatches": parts}
  config = resolve.apply(base.base(), overrides)
  experiment = experiment_lib.Experiment.bound_to(config, images)
  executor = executors.build(
    "jit", experiment.make_step, size, 1, jax.devices()[:1]
  )
  program = executor.compiled(
    jax.eval_shape(lambda: experiment.init_state(0)),
    jax.ShapeDtypeStruct((size, *images), np.uint8),
    np.zeros(1, np.uint32),
    batches.batch(size, size, [0], 0, 1),
  )
  return program.memory_analysis().temp_size_in_bytes


@pytest.mark.slow
def test_a_part_at_a_time_takes_less_memory():
  assert _temporary(parts=8) < _temporary(parts=1) / 3


def test_statistics_of_a_part_are_refused():
  overrides = {**TINY, "model.norm": "batch", "microbatches": 2}
  experiment = training.experiment(overrides)
  with pytest.raises(errors.UserError, match="microbatches = 2.*norm=group"):
    training.run(experiment, "jit", jax.devices()[:1])


def test_devices_share_every_part():
  make_step = training.experiment(SMALL).make_step
  for name in executors.EXECUTORS:
    with pytest.raises(
      errors.UserError, match="16 .* microbatches = 3 times the 4 devices.*=12"
    ):
      executors.build(name, make_step, 16, 1, jax.devices()[:4], 3)
