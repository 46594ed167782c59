"""Going on from a finished run: other data, another run's parameters."""

import json
import logging
import shutil

import numpy as np
import pytest

from rotjax import errors, main
from rotjax.config import base, load, named, resolve
from rotjax.evaluation import evaluator
from rotjax.run import checkpoint, experiment, train
from rotjax.run import finished as finished_lib
from tests import npz, training

pytestmark = pytest.mark.usefixtures("quick_runs")

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
  return resolve.apply(base.base(), {**TINY, **overrides})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  folder = tmp_path_factory.mktemp("trained") / "run"
  assert train.train(_config(optim__ema_decay=0.5), folder) == 0
  return folder


def _snapshot(folder):
  return {
    p: (p.stat().st_mtime_ns, p.read_bytes())
    for p in folder.rglob("*")
    if p.is_file() and p.name != ".lock" and "eval-" not in str(p)
  }


@pytest.mark.slow
def test_other_data_are_scored_beside_the_run(finished, capsys):
  before = _snapshot(finished)
  other = _config(optim__ema_decay=0.5, data__classes=(5, 8))
  assert train.evaluate(other, finished) == 0
  assert _snapshot(finished) == before
  (folder,) = finished.glob("eval-mnist_5k-*")
  summary = json.loads((folder / "summary.json").read_text())
  assert summary["protocol"]["classes"] == [5, 8]
  assert set(npz.load(folder / "predictions.npz")["label"]) == {5, 8}
  assert str(folder) in capsys.readouterr().out
  # Asked again, it is the same place; other angles are another one.
  assert train.evaluate(other, finished) == 0
  narrow = _config(optim__ema_decay=0.5, angles__range_deg=(-10.0, 10.0))
  assert train.evaluate(narrow, finished) == 0
  assert len(list(finished.glob("eval-*"))) == 2
  # The folder explains itself.
  stored = load.read(folder / "config.json")
  assert stored.data.classes == (5, 8)


def _main(*argv):
  return main.main(["--mode", "eval", *map(str, argv)])


def _found(folder):
  summary = json.loads((folder / "summary.json").read_text())
  return summary, json.loads((folder / "calibration.json").read_text())


@pytest.mark.slow
def test_other_terms_are_scored_beside_the_run(finished, capsys, monkeypatch):
  before, others = _snapshot(finished), set(finished.glob("eval-*"))
  own, _ = _found(finished)
  real, fitted = evaluator.Evaluator.calibrate, []

  def calibrate(self, *args, **kwargs):
    fitted.append(real(self, *args, **kwargs))
    return fitted[-1]

  monkeypatch.setattr(evaluator.Evaluator, "calibrate", calibrate)
  tta = ["--workdir", finished, "--config.eval.tta=rot90"]
  assert _main(*tta) == 0
  (folder,) = set(finished.glob("eval-*")) - others
  assert str(folder) in capsys.readouterr().out
  summary, calibration = _found(folder)
  assert summary["protocol"]["tta"] == "rot90"
  assert summary["test"]["mae_deg"] != own["test"]["mae_deg"]
  # Averaged predictions are another density, and calibrated as such.
  assert [f.to_dict() for f in fitted] == [calibration]
  # Asked again it is the same place; a second interpolator is another one, and
  # leaves the predictions and their calibration as they were.
  assert _main(*tta) == 0
  fitted.clear()
  assert _main("--workdir", finished, "--config.eval.warp=cubic") == 0
  assert not fitted
  (other,) = set(finished.glob("eval-*")) - others - {folder}
  summary = json.loads((other / "summary.json").read_text())
  assert summary["test"] == pytest.approx(own["test"], nan_ok=True)
  assert "test_other_warp" in summary
  assert _snapshot(finished) == before
  assert load.read(folder / "config.json").eval.tta == "rot90"


def test_a_run_is_scored_again_in_its_own_place(finished):
  others, before = set(finished.glob("eval-*")), _found(finished)
  # Memory is no term; nor is when the run was validated.
  flags = ("--config.eval.batch_views=64", "--config.eval.every_steps=3")
  assert _main("--workdir", finished, *flags) == 0
  assert set(finished.glob("eval-*")) == others
  after = _found(finished)
  # A batch of another size is another program, and rounds otherwise: a view
  # whose sureness ties with its neighbour's changes places with it.
  close = pytest.approx(before[0]["test"], rel=1e-3, abs=1e-5, nan_ok=True)
  assert after[0]["test"] == close
  assert after[0]["seconds"] == before[0]["seconds"]
  assert after[1] == pytest.approx(before[1])


def test_data_that_changed_are_scored_beside_the_run(finished, caplog):
  others, file = set(finished.glob("eval-*")), finished / "identity.json"
  stored = file.read_text()
  before = _snapshot(finished)
  content = json.loads(stored)["data"]
  try:
    file.write_text(stored.replace(content, "40 pictures"))
    with caplog.at_level(logging.WARNING, "rotjax"):
      assert _main("--workdir", finished) == 0
  finally:
    file.write_text(stored)
  assert "have changed since the run was trained (40 pictures" in caplog.text
  assert len(set(finished.glob("eval-*")) - others) == 1
  before.pop(file)
  assert before.items() <= _snapshot(finished).items()


@pytest.mark.slow
def test_seeds_are_scored_again_by_their_parent(tmp_path, capsys):
  run = tmp_path / "run"
  config = _config(optim__ema_decay=0.5, num_seeds=2)
  assert train.train(config, run) == 0
  before = _snapshot(run)
  assert _main("--workdir", run, "--config.data.classes=(5,)") == 0
  (folder,) = run.glob("eval-*")
  assert str(folder) in capsys.readouterr().out
  summary = json.loads((folder / "summary.json").read_text())
  assert summary["seeds"] == [0, 1]
  assert summary["protocol"]["classes"] == [5]
  assert (folder / "seed-1" / "predictions.npz").exists()
  assert _snapshot(run) == before


def test_an_unfinished_run_is_not_made_a_finished_one(finished, tmp_path):
  run = tmp_path / "run"
  shutil.copytree(finished, run)
  (run / "summary.json").unlink()
  before = _snapshot(run)
  for flags in ([], ["--config.eval.tta=rot90"]):
    with pytest.raises(errors.UserError, match="is not finished"):
      _main("--workdir", run, *flags)
  assert _snapshot(run) == before


def test_without_a_config_or_a_folder_nothing_can_be_scored(tmp_path):
  with pytest.raises(errors.UserError, match="--config is needed"):
    _main("--no_compile_cache")
  with pytest.raises(errors.UserError, match="--config is needed"):
    main.main(["--workdir", str(tmp_path)])
  with pytest.raises(errors.UserError, match="not a run folder"):
    _main("--workdir", tmp_path / "none")
  assert list(tmp_path.iterdir()) == []


def test_what_a_network_was_trained_on_is_not_its_test(finished, tmp_path):
  # mnist_5k holds digits of MNIST's training set.
  stored = load.read(finished / "config.json")
  stored.data = named.defaults("data", "mnist")
  (tmp_path / "config.json").write_text(resolve.to_json(stored))
  config = _config(optim__ema_decay=0.5)
  with pytest.raises(errors.UserError, match="not to be scored on mnist_5k"):
    train.evaluate(config, tmp_path)
  assert [p.name for p in tmp_path.iterdir()] == ["config.json"]


def test_another_circle_or_network_is_refused(finished):
  config = _config(optim__ema_decay=0.5, angles__period_deg=180.0)
  with pytest.raises(errors.UserError, match="trained on the circle of 360"):
    train.evaluate(config, finished)
  config = _config(optim__ema_decay=0.5, model__hidden=17)
  with pytest.raises(errors.UserError, match="holds another experiment"):
    train.evaluate(config, finished)


def _first_params(folder):
  """Parameters after one step of almost no length."""
  config = load.read(folder / "config.json")
  fresh = experiment.Experiment.from_config(config).init_state(config.seed)
  found = checkpoint.Checkpoints(folder / "checkpoints", 1, read_only=True)
  state = found.restore("latest", fresh).state
  found.close()
  return state, fresh


def test_a_run_starts_from_another_s_best_network(finished, tmp_path, caplog):
  still = {"num_steps": 1, "optim__learning_rate": 1e-12}
  from_it = {"init_from": str(finished), "seed": 5, **still}
  assert train.train(_config(**from_it), tmp_path / "same") == 0
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
    bins = experiment.Experiment.from_config(_config(head__name="bins"))
    state = finished_lib.start_from(bins.init_state(5), finished)
  (line,) = [r.message for r in caplog.records if "init_from" in r.message]
  assert "initialised anew" in line and len(line.split(",")) == 2
  shared = 0
  there = dict(jax.tree_util.tree_leaves_with_path(best.ema_params))
  for path, leaf in jax.tree_util.tree_leaves_with_path(state.params):
    if leaf.shape == there[path].shape:
      np.testing.assert_array_equal(leaf, there[path])
      shared += 1
  assert shared == len(there) - 2


def test_a_run_that_is_not_there_is_one_line(finished, tmp_path):
  config = _config(init_from=str(tmp_path / "nowhere"))
  with pytest.raises(errors.UserError, match="no such run folder"):
    train.train(config, tmp_path / "run")
  assert list(tmp_path.iterdir()) == []  # the corrected command begins anew
  # As wide as no layer of that run's.
  config = _config(init_from=str(finished), model__widths=(5, 6, 7))
  config = resolve.apply(
    config, {"model.hidden": 9, "head.name": "bins", "model.norm": "none"}
  )
  with pytest.raises(errors.UserError, match="no parameter of that run fits"):
    train.train(config, tmp_path / "other")


def test_fitting_keeps_what_differs():
  fresh = {"a": np.zeros((2, 3), np.float32), "b": np.ones(4, np.float32)}
  other = {"a": np.full((2, 3), 7.0), "b": np.full(5, 7.0), "c": np.ones(1)}
  got, kept = finished_lib._fitting(fresh, other)
  assert kept == ["b"]
  np.testing.assert_array_equal(got["a"], other["a"])
  assert got["a"].dtype == np.float32
  np.testing.assert_array_equal(got["b"], fresh["b"])
