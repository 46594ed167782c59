"""After training: the best network recalibrated, the test set read.

`loop` calls `finish`; `train` calls `evaluate`, for a run finished before.
"""

import pathlib
from typing import Any, NamedTuple

from rotjax import distributed, errors, files, stopping
from rotjax.config import resolve
from rotjax.evaluation import calibration as calibration_lib
from rotjax.run import claim, finished, layout, run_folder, summary
from rotjax.run import experiment as experiment_lib
from rotjax.training import step as step_lib


def finish(
  experiment: experiment_lib.Experiment,
  run: run_folder.RunFolder,
  stop: stopping.Flag,
) -> None:
  """Recalibrates the best network on validation; scores it on the test set.

  Raises:
    UserError: there is no checkpoint.
    errors.Stopped: a signal came.
  """
  best = run.best(experiment.blank_state())
  fitted = calibrate(experiment, best, run.path, stop)
  test(experiment, run, best, fitted, run.path, stop)


def calibrate(
  experiment: experiment_lib.Experiment,
  best: step_lib.TrainState,
  path: pathlib.Path,
  stop: stopping.Flag,
) -> calibration_lib.Calibration:
  """Fits what states the densities to the validation set, and stores it.

  Args:
    experiment: of the network.
    best: its state.
    path: the folder for it.
    stop: asked between calls.

  Raises:
    errors.Stopped: a signal came.
  """
  network = best.eval_params, best.eval_model_state
  validation: Any = experiment.split("validation")
  fitted = experiment.evaluator().calibrate(*network, validation, stop.check)
  if distributed.is_main():
    files.write_json(path / layout.CALIBRATION, fitted.to_dict())
  return fitted


def test(
  experiment: experiment_lib.Experiment,
  run: Any,
  best: step_lib.TrainState,
  fitted: calibration_lib.Calibration,
  path: pathlib.Path,
  stop: stopping.Flag,
) -> None:
  """Reads the test set, once; writes the results.

  Args:
    experiment: of the network.
    run: its `RunFolder`, or `Trained`.
    best: its state.
    fitted: of its densities.
    path: the folder for the results.
    stop: asked between calls.

  Raises:
    errors.Stopped: a signal came.
  """
  network = best.eval_params, best.eval_model_state
  images: Any = experiment.split("test")
  predictions = experiment.evaluator()(*network, images, fitted, stop.check)
  second = experiment.config.eval.warp != "own"
  if distributed.is_main():
    # Before the second test, which may fail or be stopped.
    step = int(best.step)
    summary.write(experiment, run, path, step, predictions, pending=second)
  if not second:
    return
  evaluator = experiment.evaluator(interpolator=experiment.config.eval.warp)
  images = experiment.dataset.load("test")
  other = evaluator(*network, images, fitted, stop.check)
  if distributed.is_main():
    summary.add_other_warp(path, other)


class Trained(NamedTuple):
  """What a summary states of the run itself."""

  seed: int
  seconds: float


def _check_channels(experiment, trained):
  here = experiment.dataset.load("test").shape[2]
  there = trained.source[2]
  if here != there:
    raise errors.UserError(
      f"the run was trained on images of {there} channel(s), those of"
      f" {experiment.config.data.name} have {here}: choose other data"
      f" (a folder's or a table's: data.channels={there})"
    )


def evaluate(
  config: Any,
  there: Any,
  folder: pathlib.Path,
  into: pathlib.Path,
  held: claim.Claim,
) -> None:
  """`--mode eval`: scores the best network of one seed's finished run.

  On the run's own terms it is recalibrated and its results are written anew.
  On others it is calibrated as it was, but where the predictions themselves
  are made in another way (`eval.tta`): then on the run's validation set.

  Args:
    config: the run's own, but for `data`, `angles` and `eval`.
    there: the run's own.
    folder: the run's; only read, unless `into` is the same.
    into: for the results.
    held: the claim on `into`, entered.

  Raises:
    UserError: there is no such run, or the data do not fit its network.
    errors.Stopped: a signal came.
  """
  own = into == folder
  with stopping.on_signals() as stop:
    trained = distributed.together(lambda: finished.open_run(folder))
    experiment = distributed.together(
      lambda: experiment_lib.Experiment.from_config(config, "test")
    )
    if not own:
      distributed.together(lambda: _check_channels(experiment, trained))
    before = distributed.together(lambda: summary.read(folder))
    reader = run_folder.RunFolder(folder, config.seed)
    best = reader.best(experiment.blank_state())
    if own:
      calibrated = experiment
    elif config.eval.tta != there.eval.tta:
      terms = resolve.apply(there, {"eval.tta": config.eval.tta})
      calibrated = distributed.together(
        lambda: experiment_lib.Experiment.from_config(terms, "validation")
      )
    else:
      fitted = distributed.together(lambda: trained.calibration)
      calibrated = None
    held.begin(experiment.dataset)
    if calibrated is not None:
      fitted = calibrate(calibrated, best, into, stop)
    run = Trained(config.seed, before.get("seconds", 0.0))
    test(experiment, run, best, fitted, into, stop)
