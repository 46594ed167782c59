"""Going on from a finished run: other data, another run's parameters."""

import json
import logging

import numpy as np
import pytest

from rotjax import checkpoint, config_files, errors, launch, trained
from rotjax import config as config_lib
from tests import training

TINY = {
  **training.SMALL,
  "num_steps": 6,
  "model.widths": (8, 8, 8),
  "model.hidden": 16,
  "eval.num_angles": 4,
  "eval.warp": "own",
}


def _config(**overrides):
  overrides = {k.replace("__", "."): v for k, v in overrides.items()}
  return config_lib.resolve(config_lib.base(), {**TINY, **overrides})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  folder = tmp_path_factory.mktemp("trained") / "run"
  assert launch.train(_config(optim__ema_decay=0.5), folder) == 0
  return folder


def _snapshot(folder):
  return {
    p: (p.stat().st_mtime_ns, p.read_bytes())
    for p in folder.rglob("*")
    if p.is_file() and p.name != ".lock" and "eval-" not in str(p)
  }


def test_other_data_are_scored_beside_the_run(finished, capsys):
  before = _snapshot(finished)
  other = _config(optim__ema_decay=0.5, data__classes=(5, 8))
  assert launch.evaluate(other, finished) == 0
  assert _snapshot(finished) == before
  (folder,) = finished.glob("eval-mnist_5k-*")
  summary = json.loads((folder / "summary.json").read_text())
  assert summary["protocol"]["classes"] == [5, 8]
  assert set(np.load(folder / "predictions.npz")["label"]) == {5, 8}
  assert str(folder) in capsys.readouterr().out
  # Asked again, it is the same place; other angles are another one.
  assert launch.evaluate(other, finished) == 0
  narrow = _config(optim__ema_decay=0.5, angles__range_deg=(-10.0, 10.0))
  assert launch.evaluate(narrow, finished) == 0
  assert len(list(finished.glob("eval-*"))) == 2
  # The folder explains itself.
  stored = config_files.read(folder / "config.json")
  assert stored.data.classes == (5, 8)


def test_what_a_network_was_trained_on_is_not_its_test(finished, tmp_path):
  # mnist_5k holds digits of MNIST's training set.
  stored = config_files.read(finished / "config.json")
  stored.data = config_lib.defaults("data", "mnist")
  (tmp_path / "config.json").write_text(config_lib.to_json(stored))
  config = _config(optim__ema_decay=0.5)
  with pytest.raises(errors.UserError, match="not to be scored on mnist_5k"):
    launch.evaluate(config, tmp_path)
  assert [p.name for p in tmp_path.iterdir()] == ["config.json"]


def test_another_circle_or_network_is_refused(finished):
  config = _config(optim__ema_decay=0.5, angles__period_deg=180.0)
  with pytest.raises(errors.UserError, match="trained on the circle of 360"):
    launch.evaluate(config, finished)
  config = _config(optim__ema_decay=0.5, model__hidden=17)
  with pytest.raises(errors.UserError, match="holds another experiment"):
    launch.evaluate(config, finished)


def _first_params(folder):
  """Parameters after one step of almost no length."""
  config = config_files.read(folder / "config.json")
  from rotjax import experiment

  fresh = experiment.Experiment.from_config(config).init_state(config.seed)
  found = checkpoint.Checkpoints(folder / "checkpoints", 1, read_only=True)
  state = found.restore("latest", fresh).state
  found.close()
  return state, fresh


def test_a_run_starts_from_another_s_best_network(finished, tmp_path, caplog):
  still = {"num_steps": 1, "optim__learning_rate": 1e-12}
  from_it = {"init_from": str(finished), "seed": 5, **still}
  assert launch.train(_config(**from_it), tmp_path / "same") == 0
  state, fresh = _first_params(tmp_path / "same")
  best, _ = _first_params(finished)  # its last step is its only validation
  import jax

  leaves = zip(
    jax.tree.leaves(state.params),
    jax.tree.leaves(best.ema_params),
    jax.tree.leaves(fresh.params),
  )
  moved = 0
  for got, want, initial in leaves:
    np.testing.assert_allclose(got, want, atol=1e-6)
    moved += not np.allclose(got, initial, atol=1e-6)
  assert moved > 3  # of another seed, so not by chance
  # Another head: all but the last layer.
  with caplog.at_level(logging.WARNING, "rotjax"):
    config = _config(head__name="bins", **from_it)
    assert launch.train(config, tmp_path / "bins") == 0
  (line,) = [r.message for r in caplog.records if "init_from" in r.message]
  assert "initialised anew" in line and len(line.split(",")) == 2
  state, _ = _first_params(tmp_path / "bins")
  shared = 0
  there = dict(jax.tree_util.tree_leaves_with_path(best.ema_params))
  for path, leaf in jax.tree_util.tree_leaves_with_path(state.params):
    if leaf.shape == there[path].shape:
      np.testing.assert_allclose(leaf, there[path], atol=1e-6)
      shared += 1
  assert shared == len(there) - 2


def test_a_run_that_is_not_there_is_one_line(finished, tmp_path):
  config = _config(init_from=str(tmp_path / "nowhere"))
  with pytest.raises(errors.UserError, match="no such run folder"):
    launch.train(config, tmp_path / "run")
  # As wide as no layer of that run's.
  config = _config(init_from=str(finished), model__widths=(5, 6, 7))
  config = config_lib.resolve(
    config, {"model.hidden": 9, "head.name": "bins", "model.norm": "none"}
  )
  with pytest.raises(errors.UserError, match="no parameter of that run fits"):
    launch.train(config, tmp_path / "other")


def test_fitting_keeps_what_differs():
  fresh = {"a": np.zeros((2, 3), np.float32), "b": np.ones(4, np.float32)}
  other = {"a": np.full((2, 3), 7.0), "b": np.full(5, 7.0), "c": np.ones(1)}
  got, kept = trained._fitting(fresh, other)
  assert kept == ["b"]
  np.testing.assert_array_equal(got["a"], other["a"])
  assert got["a"].dtype == np.float32
  np.testing.assert_array_equal(got["b"], fresh["b"])
