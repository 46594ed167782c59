"""After training: the best network recalibrated, the test set read."""

import pathlib
from typing import Any

from rotjax import errors, processes, run_folder, stopping, summary, trained
from rotjax import experiment as experiment_lib


def finish(
  experiment: experiment_lib.Experiment,
  run: run_folder.RunFolder,
  stop: stopping.Flag,
) -> None:
  """Recalibrates the best network on validation; scores it on the test set.

  Raises:
    UserError: there is no checkpoint.
    stopping.Stopped: a signal came.
  """
  best = run.best(experiment.init_state(run.seed))
  network = best.eval_params, best.eval_model_state
  validation = experiment.dataset.load("validation")
  fitted = experiment.evaluator().calibrate(*network, validation, stop.check)
  if processes.is_main():
    run_folder.write_json(run.path / "calibration.json", fitted.to_dict())
  _test(experiment, run, best, fitted, run.path, stop)


def _test(experiment, run, best, fitted, path, stop):
  """Reads the test set, once; writes the results."""
  network = best.eval_params, best.eval_model_state
  test = experiment.dataset.load("test")
  predictions = experiment.evaluator()(*network, test, fitted, stop.check)
  other = None
  if experiment.config.eval.warp != "own":
    evaluator = experiment.evaluator(interpolator=experiment.config.eval.warp)
    other = evaluator(*network, test, fitted, stop.check)
  if processes.is_main():
    summary.write(experiment, run, path, int(best.step), predictions, other)


def evaluate_best(config: Any, seed: int, folder: pathlib.Path) -> None:
  """`--mode eval`: the test set again, with the best checkpoint of a run.

  Raises:
    UserError: there is no such checkpoint, or it does not fit the config.
  """
  with stopping.on_signals() as stop:
    experiment = processes.together(
      lambda: experiment_lib.Experiment.from_config(config)
    )
    run = run_folder.RunFolder(folder, seed, config.checkpoint.keep)
    try:
      finish(experiment, run, stop)
    finally:
      run.close()


def _check_channels(experiment, folder):
  here = experiment.dataset.load("test").shape[2]
  there = trained.source_of(folder)[2]
  if here != there:
    raise errors.UserError(
      f"the run was trained on images of {there} channel(s), those of"
      f" {experiment.config.data.name} have {here}: choose other data"
      f" (a folder's or a table's: data.channels={there})"
    )


def evaluate_elsewhere(
  config: Any, seed: int, folder: pathlib.Path, into: pathlib.Path
) -> None:
  """`--mode eval` on other data: the best network, calibrated as it was.

  Args:
    config: the run's own, but for `data`, `angles` and `eval`.
    seed: of the run.
    folder: the run's; it is left as it is.
    into: for the results.

  Raises:
    UserError: there is no such run, or the data do not fit its network.
  """
  with stopping.on_signals() as stop:
    experiment = processes.together(
      lambda: experiment_lib.Experiment.from_config(config, "test")
    )
    fitted = processes.together(lambda: trained.calibration_of(folder))
    processes.together(lambda: _check_channels(experiment, folder))
    run = run_folder.RunFolder(folder, seed, config.checkpoint.keep)
    try:
      best = run.best(experiment.init_state(seed))
      _test(experiment, run, best, fitted, into, stop)
    finally:
      run.close()
