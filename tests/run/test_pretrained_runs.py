"""Runs that begin with foreign weights: begun, resumed, opened without them."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from rotjax import errors
from rotjax.config import base, resolve, validate
from rotjax.run import experiment as experiment_lib
from rotjax.run import finished, train
from tests import torch_files
from tests.models import test_pretrained

OPTIONS = {
  "num_steps": 2,
  "batch_size": 8,
  "num_train_images": 16,
  "view.size": 32,
  "view.crop": "none",
  "model.name": "efficientnet_lite0",
  "model.head_blocks": (0,),
  "model.pool": 2,
  "model.hidden": 8,
  "optim.learning_rate": 1e-6,
  "eval.num_angles": 1,
  "eval.warp": "own",
  "eval.every_steps": 2,
  "checkpoint.every_steps": 1,
}
# Without the second block.
ARRAYS = test_pretrained.drawn(test_pretrained.LITE0_NAMES)


def config(weights, **overrides):
  made = resolve.apply(
    base.base(), {**OPTIONS, "model.weights": str(weights), **overrides}
  )
  validate.check(made)
  return made


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
  """A finished run, and its weights' file, which is gone since."""
  folder = tmp_path_factory.mktemp("pretrained")
  weights = folder / "weights.pth"
  torch_files.write(weights, ARRAYS)
  assert train.train(config(weights), folder / "run") == 0
  weights.rename(folder / "moved.pth")
  return folder / "run", weights


def kernel(state):
  return np.asarray(state.params["block0"]["depthwise"]["kernel"])


def test_a_run_begins_with_them_and_notes_their_digest(begun):
  folder, _ = begun
  identity = json.loads((folder / "identity.json").read_text())
  assert len(identity["weights"]) == 64
  run = finished.open_run(folder)
  expected = ARRAYS["blocks.0.0.conv_dw.weight"][:, 0].transpose(1, 2, 0)
  # Two steps of a tiny learning rate have hardly moved it.
  best = run.best(run.experiment())
  np.testing.assert_allclose(kernel(best), expected, atol=1e-4)
  assert not np.array_equal(kernel(best), expected)


@pytest.mark.slow
def test_neither_resuming_nor_starting_from_it_needs_the_file(begun, tmp_path):
  folder, weights = begun
  resumed = tmp_path / "run"
  shutil.copytree(folder, resumed)
  shutil.rmtree(resumed / "checkpoints" / "latest" / "2")
  (resumed / "summary.json").unlink()
  assert train.train(config(weights), resumed) == 0
  identity = json.loads((resumed / "identity.json").read_text())
  assert identity == json.loads((folder / "identity.json").read_text())
  other = config(weights, **{"init_from": str(folder), "head.name": "bins"})
  built = experiment_lib.Experiment.from_config(other)
  fresh = built.init_state(0, pretrained=False)
  state = finished.start_from(fresh, folder)
  run = finished.open_run(folder)
  best = run.best(run.experiment())
  np.testing.assert_array_equal(kernel(state), kernel(best))


def test_a_new_run_without_the_file_is_refused_and_leaves_nothing(
  begun, tmp_path
):
  _, weights = begun
  with pytest.raises(errors.UserError, match="cannot be read"):
    train.train(config(weights), tmp_path / "run")
  assert not (tmp_path / "run").exists()


def test_a_path_does_not_depend_on_where_one_is(begun, monkeypatch):
  _, weights = begun
  monkeypatch.chdir(weights.parent)
  made = resolve.absolute(config(weights.name))
  assert pathlib.Path(made.model.weights) == weights
  named = resolve.absolute(config("imagenet"))
  assert named.model.weights == "imagenet"
