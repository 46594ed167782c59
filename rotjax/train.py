"""A run, top to bottom, in the order in which it happens."""

import dataclasses
import logging
import pathlib
from typing import Any

import jax.numpy as jnp
import numpy as np

from rotjax import angles as angles_lib
from rotjax import config as config_lib
from rotjax import (
  data,
  errors,
  evaluate,
  executors,
  heads,
  metrics,
  models,
  optim,
  processes,
  recording,
  run_folder,
  stopping,
  summary,
  trained,
)
from rotjax import step as step_lib
from rotjax import view as view_lib
from rotjax.data import feed as feeds

_log = logging.getLogger("rotjax")


@dataclasses.dataclass(frozen=True)
class Experiment:
  """The objects that a config describes, bound to its dataset."""

  config: Any
  dataset: Any
  view: view_lib.View
  angles: angles_lib.Angles
  head: heads.Head
  model: models.Model
  optimizer: optim.Optimizer

  @classmethod
  def from_config(cls, config: Any, split: str = "train") -> "Experiment":
    """Builds everything; loads the training images.

    Args:
      config: resolved and validated.
      split: the split to load: its size and centre are the others', too.

    Raises:
      UserError: a dataset that is not there, values that do not fit.
    """
    dataset = config_lib.build("data", config.data)
    images = dataset.load(split)
    view = config_lib.build_view(config)
    view = view.resolve(images.center, images.shape[:2])
    head = config_lib.build("head", config.head)
    model = models.build(
      config_lib.build("model", config.model),
      head.num_outputs,
      (view.size, view.size, images.shape[-1]),
      jnp.dtype(config.dtype),
    )
    angles = config_lib.build_angles(config)
    optimizer = config_lib.build("optim", config.optim)
    return cls(config, dataset, view, angles, head, model, optimizer)

  def training_split(self) -> data.Split:
    """What is trained on: the training split, or a part of it.

    Raises:
      UserError: more images are asked for than there are.
    """
    split, wanted = self.dataset.load("train"), self.config.num_train_images
    if wanted > len(split):
      raise errors.UserError(
        f"num_train_images = {wanted}, but there are {len(split)}"
      )
    if not wanted:
      return split
    return split.rows(np.arange(wanted) * len(split) // wanted)

  def view_leaks(self) -> list[str]:
    """What this view is known to give away, in words."""
    view = config_lib.build_view(self.config)
    return view.leaks(self.dataset.center)

  def make_step(self, axis_name: str | None = None) -> step_lib.TrainStep:
    """The pure train step; see `step.make_train_step`."""
    return step_lib.make_train_step(
      self.view,
      self.angles,
      self.model,
      self.head,
      self.optimizer,
      self.config.num_steps,
      axis_name,
      self.config.log.every_steps,
    )

  def init_state(self, seed: int) -> step_lib.TrainState:
    """The state before the first step."""
    return step_lib.init_state(
      self.model, self.optimizer, self.config.num_steps, seed
    )

  def evaluator(self, interpolator: str = "own") -> evaluate.Evaluator:
    """The evaluation that `config.eval` describes."""
    options = self.config.eval
    return evaluate.Evaluator(
      self.view,
      self.angles,
      self.model,
      self.head,
      options.num_angles,
      options.tta,
      options.batch_views,
      interpolator,
    )


def train(
  config: Any,
  seeds: list[int],
  folders: list[pathlib.Path],
  read_test: bool = True,
) -> list[float]:
  """Trains one seed, or several together, and leaves finished run folders.

  Args:
    config: resolved and validated.
    seeds: R of them; with R > 1 they train in one program.
    folders: the run folder of each.
    read_test: False leaves the test set alone, and the runs unfinished.

  Returns:
    The best validation error of each seed, degrees.

  Raises:
    UserError: wrong input; nothing was overwritten.
    stopping.Stopped: a signal came; the run can be resumed.
  """
  with stopping.on_signals() as stop:
    experiment = processes.together(lambda: Experiment.from_config(config))
    for leak in experiment.view_leaks():
      _log.warning("leaking view: %s", leak)
    executor = executors.build(
      config.executor, experiment.make_step, config.batch_size, len(seeds)
    )
    train_split = processes.together(experiment.training_split)
    # All that can be wrong with the input is checked: now write.
    runs = [
      run_folder.RunFolder(folder, seed, config.checkpoint.keep)
      for folder, seed in zip(folders, seeds)
    ]
    try:
      _fit(experiment, executor, train_split, runs, stop)
      for run in runs if read_test else ():
        _finish(experiment, run, stop)
      return [run.best_mae_deg for run in runs]
    finally:
      for run in runs:
        run.close()


def _fit(experiment, executor, train_split, runs, stop):
  """The loop: {evaluate, save if due or told to stop, step}.

  Whatever is due at a step happens at the top, before the next step: a run
  resumed at that step finds there what it still owes.
  """
  config, num_seeds = experiment.config, len(runs)
  validation = experiment.dataset.load("validation")
  evaluator = experiment.evaluator()

  states = [_first_state(experiment, run) for run in runs]
  step = _common_step(states)
  if step:
    _log.info("resuming at step %d of %d", step, config.num_steps)
  state = executor.place_state(executors.stack_seeds(states))
  seeds = np.asarray([run.seed for run in runs], np.uint32)
  feed = feeds.of(
    train_split,
    config.batch_size,
    seeds.tolist(),
    executor.local,
    range(step, config.num_steps),
    **config.stream,
  )
  images = executor.place_images(feed.images)
  recorder = recording.Recorder(runs, step, config, feed)
  # Several processes learn from the step's own sums that one was told to stop:
  # all at the same step, and without waiting for each other.
  together = processes.count() > 1

  def singles():
    return executors.unstack_seeds(executor.fetch_state(state), num_seeds)

  def validate():
    for run, single in zip(runs, singles()):
      if run.validated_step >= step:
        continue
      predictions = evaluator(
        single.eval_params,
        single.model_state,
        validation,
        between_calls=stop.check,
      )
      scalars = metrics.quick(predictions)
      recorder.write(run, step, {f"val/{k}": v for k, v in scalars.items()})
      run.validated_step = step
      if scalars["mae_deg"] < run.best_mae_deg:
        run.best_mae_deg = scalars["mae_deg"]
        run.save("best", single)

  def save():
    for run, single in zip(runs, singles()):
      if run.saved_step < step:
        run.save("latest", single)

  def due(every):
    return step == config.num_steps or (step > 0 and step % every == 0)

  try:
    while True:
      if due(config.eval.every_steps or config.num_steps):
        recorder.flush()
        validate()
      if due(config.checkpoint.every_steps):
        recorder.flush()
        save()
      if recorder.told if together else stop.up:
        stop.stop()
      if step == config.num_steps:
        break
      count = _steps_until_due(config, step)
      batch = feed.take(count)
      if together:
        batch["stop"] = np.full_like(batch["mask"], stop.up)
      state, scalars = executor.run(state, images, seeds, batch)
      recorder.push(step, scalars)
      step += count
  except stopping.Stopped:
    recorder.flush()
    save()
    raise
  finally:
    recorder.close()
    feed.close()


def _first_state(experiment, run):
  """Where the run goes on, or begins."""
  fresh = experiment.init_state(run.seed)
  state = run.restore(fresh)
  other = experiment.config.init_from
  if state is fresh and other:
    return trained.start_from(fresh, pathlib.Path(other).absolute())
  return state


def _common_step(states) -> int:
  steps = {int(state.step) for state in states}
  if len(steps) > 1:
    # They save one after another, so that a kill can part them.
    raise errors.UserError(
      f"the seeds' checkpoints are at different steps {sorted(steps)}:"
      " resume with --config.seeds_together=off"
    )
  return steps.pop()


def _steps_until_due(config, step) -> int:
  """Steps of the next call: never past a validation, a save or the end."""
  limits = [config.eval.every_steps, config.checkpoint.every_steps]
  left = [every - step % every for every in limits if every]
  return min(config.steps_per_call, config.num_steps - step, *left)


def _finish(experiment, run, stop):
  """Recalibrates the best network on validation; scores it on the test set."""
  best = run.best(experiment.init_state(run.seed))
  network = best.eval_params, best.model_state
  validation = experiment.dataset.load("validation")
  fitted = experiment.evaluator().calibrate(*network, validation, stop.check)
  if processes.is_main():
    run_folder.write_json(run.path / "calibration.json", fitted.to_dict())
  _test(experiment, run, best, fitted, run.path, stop)


def _test(experiment, run, best, fitted, path, stop):
  """Reads the test set, once; writes the results."""
  network = best.eval_params, best.model_state
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
    experiment = processes.together(lambda: Experiment.from_config(config))
    run = run_folder.RunFolder(folder, seed, config.checkpoint.keep)
    try:
      _finish(experiment, run, stop)
    finally:
      run.close()


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
      lambda: Experiment.from_config(config, "test")
    )
    fitted = processes.together(lambda: trained.calibration_of(folder))
    run = run_folder.RunFolder(folder, seed, config.checkpoint.keep)
    try:
      best = run.best(experiment.init_state(seed))
      _test(experiment, run, best, fitted, into, stop)
    finally:
      run.close()
