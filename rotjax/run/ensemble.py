"""The seeds of a run as an ensemble, scored beside each of them."""

from collections.abc import Mapping
import dataclasses
import pathlib
from typing import Any

import jax.numpy as jnp

from rotjax import distributed, stopping
from rotjax.config import resolve
from rotjax.evaluation import ensemble
from rotjax.run import experiment as experiment_lib
from rotjax.run import finished, layout, run_folder, scoring
from rotjax.training import step as step_lib


def of(
  experiment: experiment_lib.Experiment, members: int
) -> experiment_lib.Experiment:
  """The experiment of one seed, of so many networks at once."""
  return dataclasses.replace(
    experiment,
    model=ensemble.model_of(experiment.model, members),
    head=ensemble.Mixture(experiment.head, members),
  )


def state_of(states: list[step_lib.TrainState]) -> step_lib.TrainState:
  """What evaluation uses of the members' states, as one."""
  return step_lib.TrainState(
    step=jnp.asarray(max(int(state.step) for state in states)),
    params=ensemble.stacked([state.eval_params for state in states]),
    model_state=ensemble.stacked([s.eval_model_state for s in states]),
    opt_state=(),
  )


def evaluate(
  config: Any,
  there: Any,
  folders: Mapping[int, pathlib.Path],
  workdir: pathlib.Path,
  into: pathlib.Path,
  seconds: float,
) -> None:
  """Recalibrates the ensemble of a run's seeds, and scores it on the test set.

  Args:
    config: to be evaluated by, of one seed.
    there: the run's own, of one seed.
    folders: seed -> finished run folder.
    workdir: that holds them.
    into: for the results: `workdir`, or one of `--mode eval` on other terms.
    seconds: of the seeds.

  Raises:
    errors.Stopped: a signal came.
  """
  with stopping.on_signals() as stop:
    single = distributed.together(
      lambda: experiment_lib.Experiment.from_config(config, "test")
    )
    blank = single.blank_state()
    best = state_of(
      [run_folder.RunFolder(f, n).best(blank) for n, f in folders.items()]
    )
    path, before = into / layout.ENSEMBLE, workdir / layout.ENSEMBLE
    if distributed.is_main():
      path.mkdir(exist_ok=True)
    own = into == workdir or config.eval.tta != there.eval.tta
    if own or not distributed.on_main(lambda: layout.is_finished(before)):
      terms = resolve.apply(there, {"eval.tta": config.eval.tta})
      validated = distributed.together(
        lambda: experiment_lib.Experiment.from_config(terms, "validation")
      )
      validated = of(validated, len(folders))
      fitted = scoring.calibrate(validated, best, path, stop)
    else:
      fitted = distributed.together(
        lambda: finished.FinishedRun(before, there).calibration
      )
    run = scoring.Trained(min(folders), seconds)
    scoring.test(of(single, len(folders)), run, best, fitted, path, stop)


@dataclasses.dataclass(frozen=True)
class FinishedEnsemble:
  """Finished seeds of a run, opened as one network; see `FinishedRun`.

  Attributes:
    whole: the ensemble's own results.
    members: the runs.
  """

  whole: finished.FinishedRun
  members: tuple[finished.FinishedRun, ...]

  @property
  def config(self) -> Any:
    """Of its first seed."""
    return self.whole.config

  @property
  def source(self) -> tuple[int, int, int]:
    """See `FinishedRun`, and so the others."""
    return self.whole.source

  @property
  def calibration(self) -> Any:
    return self.whole.calibration

  def experiment(self) -> experiment_lib.Experiment:
    return of(self.whole.experiment(), len(self.members))

  def best(self, experiment: experiment_lib.Experiment) -> step_lib.TrainState:
    """The members' best states, as one."""
    del experiment  # that of all
    return state_of([run.best(run.experiment()) for run in self.members])


def open_any(folder: pathlib.Path) -> finished.FinishedRun | FinishedEnsemble:
  """Opens a finished run, a ready model, or the ensemble of a run's seeds.

  Raises:
    UserError: see `finished.open_run`.
  """
  path = folder / layout.ENSEMBLE
  members = layout.seeds_there(folder).values()
  if not (members and layout.is_finished(path)):
    return finished.open_run(folder)
  runs = tuple(finished.open_run(member) for member in members)
  return FinishedEnsemble(finished.FinishedRun(path, runs[0].config), runs)
