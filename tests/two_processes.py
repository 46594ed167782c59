"""What test_distributed.py starts twice: one job of two processes.

Each has two CPU devices. Process 0 leaves what it found in the file named, of
the executor named and the seeds after it.
"""

import os
import sys

import jax
import numpy as np

from rotjax import distributed, errors
from rotjax.training.executors import fsdp
from tests import training

STEPS = 20


def _train(name, seeds):
  experiment = training.experiment(training.BATCH_NORM_AND_DROPOUT)
  state, metrics = training.run(
    experiment,
    name,
    jax.devices(),
    seeds,
    change=training.ragged,
    steps=STEPS,
    # Each process brings the images of its own devices.
    streamed=len(seeds) > 1,
  )
  leaves = jax.tree.leaves(state.ema_params)
  return {
    "loss": [m["loss"][0] for m in metrics],
    "params": np.concatenate([x.ravel() for x in leaves]),
  }


def _evaluate():
  experiment = training.experiment(training.BATCH_NORM_AND_DROPOUT)
  state = jax.device_get(experiment.init_state(0))
  network = state.params, state.model_state
  evaluator = experiment.evaluator()
  asked = []
  # More calls than processes, and an odd number of them.
  split = experiment.split("test").rows(np.arange(70))
  fitted = evaluator.calibrate(*network, split)
  p = evaluator(*network, split, fitted, lambda: asked.append(1))
  return {
    "decoded": p.predicted_deg,
    "crps": p.scores["recalibrated_crps_deg"],
    "asked": distributed.gather(np.int32(len(asked))),
  }


def _agree():
  index = distributed.index()
  tree = {
    "a": np.float32([-0.0, np.nan, 1.5 + index]),
    "b": (np.int8(3 + index), np.arange(5) + index),
    "c": np.full((2, 3), bool(index)),
  }
  told = distributed.from_main(tree)
  np.testing.assert_array_equal(told["a"], np.float32([0.0, np.nan, 1.5]))
  assert np.signbit(told["a"][0])
  assert told["b"][0] == 3 and told["b"][0].dtype == np.int8
  assert told["b"][1].tolist() == list(range(5)) and not told["c"].any()
  assert distributed.any_of(index == 1) and not distributed.any_of(False)
  assert distributed.on_main(lambda: [index, "ä"]) == [0, "ä"]
  assert distributed.on_main(lambda: None) is None
  value, told = distributed.arrays_on_main(lambda: ([index], tree), like=tree)
  assert value == [0] and told["b"][1].tolist() == list(range(5))

  def wrong():
    if index == 1:
      raise errors.UserError("no data on this host")
    return "fine"

  try:
    distributed.together(wrong)
  except errors.UserError as error:
    assert str(error) == "no data on this host"
    assert isinstance(error, errors.ToldElsewhereError) == (index == 0)
  else:
    raise AssertionError("the other's mistake was not told")


def main():
  jax.config.update("jax_numpy_rank_promotion", "raise")
  distributed.start("auto")
  fsdp.SMALLEST = 2**8  # so that this small network lies in parts, too
  assert distributed.count() == 2 and jax.device_count() == 4
  _agree()
  file, name, *seeds = sys.argv[1:]
  found = {**_train(name, tuple(map(int, seeds))), **_evaluate()}
  if distributed.is_main():
    np.savez(file, **found)


if __name__ == "__main__":
  os.environ.setdefault("JAX_PLATFORMS", "cpu")
  main()
