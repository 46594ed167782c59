"""Whole runs: the folder they leave, resuming, seeds, refusals."""

import json
import logging
import os
import pathlib
import shutil
import signal

import jax
import numpy as np
import pytest
import scipy.stats

from rotjax import errors, stopping
from rotjax.config import base, resolve, validate
from rotjax.data import batches, mnist_5k
from rotjax.data.store import prepare, read, records
from rotjax.evaluation import evaluator
from rotjax.figures import plots
from rotjax.image import view
from rotjax.run import layout, train
from rotjax.training import executors
from tests import npz

pytestmark = pytest.mark.usefixtures("quick_runs")

# As it is where `quick_runs` has not replaced it.
WRITE_ALL = plots.write_all

TINY = {
  "num_steps": 12,
  "batch_size": 16,
  "model.widths": (8, 8, 16),
  "model.hidden": 32,
  "model.dropout": 0.3,
  "optim.ema_decay": 0.9,
  "optim.learning_rate": 3e-3,
  "eval.num_angles": 4,
  "eval.every_steps": 6,
  "checkpoint.every_steps": 4,
  "log.every_steps": 2,
}


def _config(**overrides):
  overrides = {k.replace("__", "."): v for k, v in overrides.items()}
  config = resolve.apply(base.base(), {**TINY, **overrides})
  validate.check(config)
  return config


def _summary(folder: pathlib.Path):
  return json.loads((folder / "summary.json").read_text())


def _records(folder: pathlib.Path):
  lines = (folder / "metrics.jsonl").read_text().splitlines()
  records = [json.loads(line) for line in lines]
  for record in records:
    record.pop("time/images_per_second", None)
  return records


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  folder = tmp_path_factory.mktemp("finished") / "run"
  assert train.train(_config(), folder) == 0
  return folder


def test_a_run_leaves_a_folder_that_explains_itself(finished):
  names = {p.name for p in finished.iterdir()}
  assert names == {
    ".lock",
    "calibration.json",
    "checkpoints",
    "config.json",
    "identity.json",
    "metrics.jsonl",
    "predictions.npz",
    "summary.json",
    "tensorboard",
  }
  summary = _summary(finished)
  assert summary["step"] in (6, 12)
  assert {"config_name", "seconds", "versions", "protocol"} <= set(summary)
  assert summary["test"]["chance_mae_deg"] == pytest.approx(90, abs=0.01)
  assert 0 < summary["test"]["mae_deg"] < 180


def test_predictions_and_summary_agree(finished):
  arrays = npz.load(finished / "predictions.npz")
  true, predicted = arrays["true_deg"], arrays["predicted_deg"]
  assert true.shape == predicted.shape == (100, 4)
  assert arrays["log_density"].shape == (100, 4)
  assert len(np.unique(arrays["example"])) == 100
  assert set(arrays["label"]) == {3}
  turn = np.exp(1j * np.deg2rad(np.float64(predicted) - true))
  error = np.rad2deg(np.abs(np.angle(turn)))
  test = _summary(finished)["test"]
  assert test["mae_deg"] == pytest.approx(error.mean(), abs=1e-3)
  assert test["nll"] == pytest.approx(-arrays["log_density"].mean(), abs=1e-4)
  # Intervals over images: SciPy's bootstrap of the images' means.
  low, high = _summary(finished)["test_interval"]["mae_deg"]
  wanted = scipy.stats.bootstrap(
    (error.mean(1),), np.mean, method="percentile", rng=0
  ).confidence_interval
  assert (low, high) == pytest.approx(tuple(wanted), rel=0.03)


def test_a_signal_between_two_runs_of_one_command_stops_the_next():
  with stopping.on_signals() as outer:
    with stopping.on_signals() as inner:
      assert inner is outer
    os.kill(os.getpid(), signal.SIGUSR1)
    with stopping.on_signals() as later, pytest.raises(errors.Stopped):
      later.check()
  with stopping.on_signals() as fresh:
    fresh.check()


def test_metrics_are_logged_when_due(finished):
  records = _records(finished)
  assert [r["step"] for r in records if "train/loss" in r] == [
    2,
    4,
    6,
    8,
    10,
    12,
  ]
  assert [r["step"] for r in records if "val/mae_deg" in r] == [6, 12]


def test_tensorboard_reads_the_events_back(finished):
  from tensorboard.backend.event_processing import event_accumulator

  events = event_accumulator.EventAccumulator(str(finished / "tensorboard"))
  events.Reload()
  logged = {e.step: e.value for e in events.Scalars("train/loss")}
  wanted = {
    r["step"]: r["train/loss"] for r in _records(finished) if "train/loss" in r
  }
  assert logged == pytest.approx(wanted)


def test_a_finished_run_shows_its_table_again(finished, capsys):
  before = (finished / "summary.json").read_bytes()
  assert train.train(_config(), finished) == 0
  shown = capsys.readouterr().out
  assert "finished already" in shown and "chance" in shown
  assert (finished / "summary.json").read_bytes() == before


def test_eval_mode_gives_the_same_test_metrics(finished):
  before = _summary(finished)
  assert train.evaluate(_config(), finished) == 0
  after = _summary(finished)
  assert after["step"] == before["step"]
  for key, value in before["test"].items():
    assert after["test"][key] == pytest.approx(value, abs=1e-9), key


class _StopAt:
  """Sets the stop flag when the loop asks for the batch of some step."""

  def __init__(self, monkeypatch, step):
    real = batches.batch

    def batch(n, size, seeds, first, count):
      if first == step:
        signal.raise_signal(signal.SIGUSR1)
      return real(n, size, seeds, first, count)

    monkeypatch.setattr(batches, "batch", batch)


@pytest.mark.parametrize("step", [3, 5, 11])
def test_a_stopped_run_resumes_bit_exactly(
  finished, tmp_path, monkeypatch, step
):
  with monkeypatch.context() as patched:
    _StopAt(patched, step)
    assert train.train(_config(), tmp_path / "run") == stopping.EXIT_STATUS
  assert not (tmp_path / "run" / "summary.json").exists()
  assert train.train(_config(), tmp_path / "run") == 0
  assert _records(tmp_path / "run") == _records(finished)
  for name in ("true_deg", "predicted_deg", "log_density"):
    np.testing.assert_array_equal(
      npz.load(tmp_path / "run" / "predictions.npz")[name],
      npz.load(finished / "predictions.npz")[name],
    )


def test_a_time_limit_stops_like_a_signal(finished, tmp_path, monkeypatch):
  folder = tmp_path / "run"
  with monkeypatch.context() as patched:
    patched.setattr(stopping, "_deadline", None)
    stopping.limit_minutes(1e-6)
    assert train.train(_config(), folder) == stopping.EXIT_STATUS
  assert not (folder / "summary.json").exists()
  assert train.train(_config(), folder) == 0
  assert _records(folder) == _records(finished)
  for minutes in (0, -1, float("nan"), float("inf")):
    with pytest.raises(errors.UserError, match="--time_limit"):
      stopping.limit_minutes(minutes)


@pytest.mark.slow
def test_a_set_that_streams_trains_like_a_resident_one(
  finished, tmp_path, monkeypatch
):
  def load(self, split):
    prepared = records.Prepared(self.name, self.prepare())
    return read.load(prepared, split, self.classes, self.center, 0)

  monkeypatch.setattr(mnist_5k.Mnist5k, "load", load)
  with monkeypatch.context() as patched:
    _StopAt(patched, 5)
    assert train.train(_config(), tmp_path / "run") == stopping.EXIT_STATUS
  assert train.train(_config(), tmp_path / "run") == 0
  rows = _records(tmp_path / "run")
  waiting = [r.pop("time/waiting_for_data", None) for r in rows]
  assert any(w is not None and 0 <= w <= 1 for w in waiting)
  # Its sources are resampled in the step, where a tie may be rounded to the
  # other of two pixel values.
  for row, same in zip(rows, _records(finished), strict=True):
    assert row == pytest.approx(same, rel=0.02)
  test = [npz.load(f / "predictions.npz") for f in (tmp_path / "run", finished)]
  difference = test[0]["predicted_deg"] - test[1]["predicted_deg"]
  assert np.abs((difference + 180) % 360 - 180).mean() < 0.5


def test_a_run_stopped_inside_the_evaluation_owes_it_after_resuming(
  finished, tmp_path, monkeypatch
):
  with monkeypatch.context() as patched:
    real = evaluator.Evaluator.__call__

    def call(self, *args, **kwargs):
      signal.raise_signal(signal.SIGTERM)
      return real(self, *args, **kwargs)

    patched.setattr(evaluator.Evaluator, "__call__", call)
    assert train.train(_config(), tmp_path / "run") == stopping.EXIT_STATUS
  assert train.train(_config(), tmp_path / "run") == 0
  assert _records(tmp_path / "run") == _records(finished)


def test_a_killed_run_resumes_from_its_last_checkpoint(
  finished, tmp_path, monkeypatch
):
  class Killed(BaseException):
    pass

  with monkeypatch.context() as patched:
    real = batches.batch

    def batch(n, size, seeds, first, count):
      if first == 7:
        raise Killed
      return real(n, size, seeds, first, count)

    patched.setattr(batches, "batch", batch)
    with pytest.raises(Killed):
      train.train(_config(), tmp_path / "run")
  assert train.train(_config(), tmp_path / "run") == 0
  assert _records(tmp_path / "run") == _records(finished)


@pytest.mark.slow
def test_seeds_one_after_another_and_together_have_the_same_folders(tmp_path):
  for mode in ("off", "on"):
    folder = tmp_path / mode
    config = _config(seeds_together=mode, num_seeds=2)
    assert train.train(config, folder) == 0
    assert {p.name for p in folder.iterdir()} == {
      ".lock",
      "config.json",
      "identity.json",
      "ensemble",
      "seed-0",
      "seed-1",
      "summary.json",
    }
    assert "predictions.npz" in {p.name for p in (folder / "seed-1").iterdir()}
  off, on = (_summary(tmp_path / m) for m in ("off", "on"))
  assert off["seeds"] == [0, 1]
  runs = [_summary(tmp_path / "off" / f"seed-{s}")["test"] for s in (0, 1)]
  maes = [run["mae_deg"] for run in runs]
  assert off["test"]["mae_deg"] == pytest.approx(np.mean(maes))
  assert off["test_sd"]["mae_deg"] == pytest.approx(np.std(maes, ddof=1))
  assert maes[0] != maes[1]
  # Few steps in, one program and two still agree to rounding.
  assert on["test"]["mae_deg"] == pytest.approx(
    off["test"]["mae_deg"], rel=1e-2
  )


@pytest.mark.slow
def test_a_seed_of_several_equals_its_own_single_run(tmp_path):
  train.train(_config(num_seeds=2), tmp_path / "two")
  train.train(_config(seed=1), tmp_path / "one")
  a = npz.load(tmp_path / "two" / "seed-1" / "predictions.npz")["predicted_deg"]
  b = npz.load(tmp_path / "one" / "predictions.npz")["predicted_deg"]
  np.testing.assert_array_equal(a, b)


def test_a_run_draws_its_plots(tmp_path, monkeypatch, caplog):
  monkeypatch.setattr(plots, "write_all", WRITE_ALL)
  assert train.train(_config(), tmp_path / "run") == 0
  assert "be drawn" not in caplog.text
  assert sorted(f.stem for f in (tmp_path / "run" / "plots").iterdir()) == [
    *("curves", "donut", "error_by_angle", "gallery"),
    *("predicted_against_true", "reliability"),
  ]


def test_plots_that_cannot_be_drawn_cost_no_result(
  tmp_path, monkeypatch, caplog
):
  def write_all(*_):
    raise ValueError("two\nlines")

  monkeypatch.setattr(plots, "write_all", write_all)
  assert train.train(_config(), tmp_path / "run") == 0
  assert _summary(tmp_path / "run")["test"]["mae_deg"] > 0
  (told,) = [r.message for r in caplog.records if "be drawn" in r.message]
  assert "two lines" in told


def _no_memory(*_, **__):
  raise MemoryError


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize(
  "overrides, words",
  [
    ({"data.name": "folder"}, "data.dir is not set"),
    ({"data.name": "mnist", "data.dir": "none"}, "mnist is not prepared"),
    ({"init_from": "nowhere"}, "no such run folder"),
    ({"num_train_images": 10**6}, "num_train_images"),
    ({"batch_size": 15}, "batch_size = 15 is not a multiple"),
    ({"head.name": "bins", "head.num_bins": 1}, "num_bins"),
    ({"microbatches": 2, "model.norm": "batch"}, "microbatches = 2"),
    ({"out": "of memory"}, "^$"),
  ],
)
def test_a_failed_start_leaves_nothing(
  tmp_path, tmp_path_factory, monkeypatch, overrides, words, seeds
):
  monkeypatch.chdir(tmp_path)
  # Whoever runs the tests may have prepared mnist.
  cache = tmp_path_factory.getbasetemp() / "without_mnist"
  monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
  monkeypatch.setattr(prepare, "reachable", lambda url: False)
  wanted: type[Exception] = errors.UserError
  if "out" in overrides:
    monkeypatch.setattr(executors.program, "stack_seeds", _no_memory)
    overrides, wanted = {}, MemoryError
  config = resolve.apply(_config(num_seeds=seeds), overrides)
  with pytest.raises(wanted, match=words):
    train.train(config, tmp_path / "runs" / "one")
  assert list(tmp_path.iterdir()) == []


def test_a_test_that_cannot_be_built_is_told_before_the_training(
  tmp_path, monkeypatch
):
  real = view.View.render

  def render(self, image, draw, interpolator="own"):
    if interpolator == "cubic":
      raise errors.UserError("no such test")
    return real(self, image, draw, interpolator)

  monkeypatch.setattr(view.View, "render", render)
  # An evaluator that no other test here has built.
  config = _config(eval__batch_views=100)
  with pytest.raises(errors.UserError, match="no such test"):
    train.train(config, tmp_path / "run")
  assert list(tmp_path.iterdir()) == []


def test_a_failed_start_overwrites_nothing(finished, tmp_path):
  run = tmp_path / "run"
  shutil.copytree(finished, run)
  before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
  config = _config(seed=3, init_from=str(tmp_path / "none"))
  with pytest.raises(errors.UserError, match="no such run folder"):
    train.train(config, run, overwrite=True)
  assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before


def test_another_experiment_in_the_folder_is_refused(finished):
  before = (finished / "config.json").read_bytes()
  with pytest.raises(errors.UserError, match="another experiment .*seed is 0"):
    train.train(_config(seed=1), finished)
  assert (finished / "config.json").read_bytes() == before


def test_eval_of_another_head_is_refused(finished):
  with pytest.raises(errors.UserError, match="another experiment .*head"):
    train.evaluate(_config(head__name="bins"), finished)


def test_a_folder_with_foreign_files_is_refused_and_kept(tmp_path):
  (tmp_path / "thesis.tex").write_text("mine")
  for overwrite in (False, True):
    with pytest.raises(errors.UserError, match="holds files but no run"):
      train.train(_config(), tmp_path, overwrite)
  assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_overwrite_deletes_only_what_a_run_writes(finished, tmp_path):
  run = tmp_path / "run"
  shutil.copytree(finished, run)
  (run / "notes.txt").write_text("mine")
  stale = run / "checkpoints" / "latest" / "1"
  shutil.copytree(stale.with_name("12"), stale)
  train.train(_config(seed=5), run, overwrite=True)
  assert not stale.exists()
  assert _summary(run)["seed"] == 5
  assert (run / "notes.txt").read_text() == "mine"


def test_eval_without_a_run_is_refused(tmp_path):
  with pytest.raises(errors.UserError, match="not a run folder"):
    train.evaluate(_config(), tmp_path / "nothing")


def test_a_diverging_run_names_the_step_and_saves_nothing_bad(tmp_path):
  config = _config(
    optim__learning_rate=1e30,
    optim__warmup=0.0,
    head__name="vector",
    head__loss="mse",
  )
  with pytest.raises(errors.UserError, match="not finite at step [0-9]+"):
    train.train(config, tmp_path / "run")
  for folder in ("latest", "best"):
    saved = list((tmp_path / "run" / "checkpoints" / folder).iterdir())
    assert saved == []


def test_a_short_training_beats_chance(tmp_path):
  config = _config(
    num_steps=150,
    batch_size=32,
    eval__every_steps=150,
    checkpoint__every_steps=150,
    optim__learning_rate=1e-2,
    model__dropout=0.0,
    eval__warp="own",
  )
  train.train(config, tmp_path / "run")
  test = _summary(tmp_path / "run")["test"]
  assert test["mae_deg"] < 30
  assert test["nll"] < test["chance_nll"] - 0.5


def test_the_second_test_may_be_scipys(tmp_path):
  train.train(_config(eval__warp="scipy"), tmp_path / "run")
  summary = _summary(tmp_path / "run")
  other, test = summary["test_other_warp"], summary["test"]
  assert other.keys() == test.keys() - {k for k in test if "chance" in k}
  assert 0 < abs(other["mae_deg"] - test["mae_deg"]) < 10


def test_a_second_test_that_fails_costs_nothing_of_the_first(
  tmp_path, monkeypatch, capsys
):
  folder, config = tmp_path / "run", _config(num_steps=2)
  real = evaluator.Evaluator.__call__

  def call(self, *args, **kwargs):
    if self.interpolator != "own":
      raise MemoryError
    return real(self, *args, **kwargs)

  with monkeypatch.context() as patched:
    patched.setattr(evaluator.Evaluator, "__call__", call)
    with pytest.raises(MemoryError):
      train.train(config, folder)
  first = _summary(folder)
  assert first["pending"] == "test_other_warp"
  assert first["test"]["mae_deg"] > 0 and "test_other_warp" not in first
  assert (folder / "predictions.npz").exists()
  assert not layout.is_finished(folder)
  # The same command owes the second test alone.
  assert train.train(config, folder) == 0
  assert "finished already" not in capsys.readouterr().out
  whole = _summary(folder)
  assert whole["test"] == first["test"]
  assert whole["test_other_warp"]["mae_deg"] > 0 and "pending" not in whole
  assert layout.is_finished(folder)


@pytest.mark.slow
def test_classes_and_a_four_way_task_are_broken_down(tmp_path):
  config = _config(
    num_steps=2,
    checkpoint__every_steps=2,
    eval__warp="own",
    data__classes=(3, 7),
    angles__distribution="values",
    angles__values_deg=(0.0, 90.0, 180.0, 270.0),
  )
  train.train(config, tmp_path / "run")
  summary = _summary(tmp_path / "run")
  assert set(summary["by_class"]) == {"3", "7"}
  assert summary["by_class"]["7"]["num_images"] == 100
  counts = np.array(summary["confusion"]["counts"])
  assert counts.shape == (4, 4) and counts.sum() == 200 * 4
  assert summary["test"]["accuracy"] == pytest.approx(
    np.trace(counts) / counts.sum()
  )


@pytest.mark.slow
def test_a_restricted_range_and_period_state_their_own_chance(tmp_path):
  config = _config(
    angles__range_deg=(-45.0, 45.0),
    angles__period_deg=180.0,
    eval__warp="own",
  )
  train.train(config, tmp_path / "run")
  test = _summary(tmp_path / "run")["test"]
  assert test["chance_mae_deg"] == pytest.approx(22.5, abs=0.01)
  assert test["chance_nll"] == pytest.approx(np.log(np.pi / 2))
  assert test["mae_deg"] <= 90
  assert jax.device_count() == 4  # the suite runs on several devices


def test_a_run_is_traced_where_that_is_asked_for(tmp_path, monkeypatch):
  began = []
  monkeypatch.setattr(jax.profiler, "start_trace", began.append)
  monkeypatch.setattr(jax.profiler, "stop_trace", lambda: None)
  train.train(_config(log__profile="1:2"), tmp_path / "run")
  assert began == [str(tmp_path / "run" / "profile")]


def _results(folder):
  summary = _summary(folder)
  return {k: summary[k] for k in ("step", "test")}


# With a constant rate, a longer run begins as a shorter one does.
CONSTANT = {"optim__schedule": "constant", "optim__warmup": 0.0}


@pytest.mark.slow
def test_a_finished_run_goes_on_for_more_steps(tmp_path, caplog):
  folder = tmp_path / "run"
  train.train(_config(num_steps=6, **CONSTANT), folder)
  before = _results(folder)
  longer = _config(num_steps=12, **CONSTANT)
  with caplog.at_level(logging.INFO, "rotjax"):
    assert train.train(longer, folder) == 0
  assert "going on behind step 6" in caplog.text
  assert "resuming at step 6 of 12" in caplog.text
  # Where the schedule is the same for both, so are all the numbers.
  train.train(longer, tmp_path / "whole")
  assert _results(folder) == _results(tmp_path / "whole")
  assert _records(folder) == _records(tmp_path / "whole")
  assert _summary(folder)["extended_from"] == [6]
  kept = json.loads((folder / "summary-of-6-steps.json").read_text())
  assert {k: kept[k] for k in ("step", "test")} == before
  assert train.config_of(folder).num_steps == 12
  # Shorter is another experiment; so is longer with something else besides.
  for other in (
    _config(num_steps=6, **CONSTANT),
    _config(num_steps=20, batch_size=8, **CONSTANT),
  ):
    with pytest.raises(errors.UserError, match="another experiment"):
      train.train(other, folder)
  assert _summary(folder)["step"] == 12
  train.train(longer, folder, overwrite=True)
  assert not (folder / "summary-of-6-steps.json").exists()
  assert "extended_from" not in _summary(folder)


@pytest.mark.slow
def test_seeds_go_on_for_more_steps(tmp_path):
  folder = tmp_path / "run"
  train.train(_config(num_steps=6, num_seeds=2, **CONSTANT), folder)
  train.train(_config(num_steps=12, num_seeds=2, **CONSTANT), folder)
  for name in ("", "seed-0", "seed-1"):
    assert (folder / name / "summary-of-6-steps.json").exists()
    assert train.config_of(folder / name).num_steps == 12
  assert _summary(folder / "seed-1")["extended_from"] == [6]
