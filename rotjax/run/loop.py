"""A run from its first step to its last: step, validate, save, stop, resume.

`train` calls it with folders that `claim` holds; then `scoring` takes over.
"""

import logging
import math
import pathlib
from typing import Any

import jax
import numpy as np

from rotjax import distributed, errors, metrics, stopping
from rotjax.config import shipped
from rotjax.data import input_pipeline as feeds
from rotjax.models import pretrained
from rotjax.run import claim, finished, run_folder, scoring, writers
from rotjax.run import experiment as experiment_lib
from rotjax.run import recorder as recorder_lib
from rotjax.training import executors, profile

_log = logging.getLogger("rotjax")

# Pixels of a batch whose step takes about as long as a call's start, and steps
# that such calls take at once: a run told to stop stops after them.
_SMALL_BATCH = 2**18
_MOST_AT_ONCE = 32


def train(
  config: Any,
  seeds: list[int],
  folders: list[pathlib.Path],
  held: claim.Claim,
  read_test: bool = True,
) -> list[float]:
  """Trains one seed, or several together, and leaves finished run folders.

  Args:
    config: resolved and validated.
    seeds: R of them; with R > 1 they train in one program.
    folders: the run folder of each.
    held: the claim on these folders, entered.
    read_test: False leaves the test set alone, and the runs unfinished.

  Returns:
    The best validation error of each seed, degrees.

  Raises:
    UserError: wrong input; nothing was overwritten.
    errors.Stopped: a signal came; the run can be resumed.
  """
  with stopping.on_signals() as stop:
    distributed.together(lambda: writers.check(config.log.writers))
    experiment = distributed.together(
      lambda: experiment_lib.Experiment.from_config(config)
    )
    for leak in experiment.view_leaks():
      _log.warning("leaking view: %s", leak)
    executor = executors.build(
      config.executor,
      experiment.make_step,
      config.batch_size,
      len(seeds),
      microbatches=config.microbatches,
    )
    runs = [run_folder.RunFolder(f, seed) for f, seed in zip(folders, seeds)]
    try:
      _fit(experiment, executor, runs, held, stop, read_test)
      for run in runs if read_test else ():
        scoring.finish(experiment, run, stop)
      return [run.best_mae_deg for run in runs]
    finally:
      for run in runs:
        run.close()


def _fit(experiment, executor, runs, held, stop, read_test):
  """The loop: {evaluate, save if due or told to stop, step}.

  Whatever is due at a step happens at the top, before the next step: a run
  resumed at that step finds there what it still owes.
  """
  config, num_seeds = experiment.config, len(runs)
  train_split = distributed.together(experiment.training_split)
  validation = distributed.together(lambda: experiment.split("validation"))
  if read_test:  # is it there? It must not be found missing after the training
    distributed.together(lambda: experiment.dataset.load("test"))
  evaluator = experiment.evaluator()

  states = [_first_state(experiment, run, held, train_split) for run in runs]
  step = _common_step(states)
  if step:
    _log.info("resuming at step %d of %d", step, config.num_steps)
  state = executor.place_state(executors.program.stack_seeds(states))
  del states  # whole, on one device
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
  at_once = _steps_at_once(config, resident=feed.images is not None)
  # One process's is enough: the others' look alike.
  traced = config.log.profile if distributed.is_main() else ""
  trace = profile.Trace(traced, runs[0].path / "profile")
  recorder = recorder_lib.Recorder(runs, step, config, feed)
  # Several processes learn from the step's own sums that one was told to stop:
  # all at the same step, and without waiting for each other.
  together = distributed.count() > 1

  def singles(part=lambda state: state):
    fetched = executor.fetch_state(state, part)
    return executors.program.unstack_seeds(fetched, num_seeds)

  def validate():
    owing = [n for n, run in enumerate(runs) if run.validated_step < step]
    # Without the optimizer's state, most of the whole.
    networks = singles(_network) if owing else []
    for n in owing:
      run = runs[n]
      predictions = evaluator(
        *networks[n], validation, between_calls=stop.check
      )
      scalars = metrics.quick(predictions)
      recorder.write(run, step, {f"val/{k}": v for k, v in scalars.items()})
      run.validated_step = step
      if scalars["mae_deg"] < run.best_mae_deg:
        run.best_mae_deg = scalars["mae_deg"]
        run.save("best", singles()[n])

  def save():
    for run, single in zip(runs, singles()):
      if run.saved_step < step:
        run.save("latest", single)

  def due(every):
    return step == config.num_steps or (step > 0 and step % every == 0)

  try:

    def check_programs():
      if step < config.num_steps:
        blank = feed.blank(_steps_until_due(config, step, at_once))
        if together:
          blank["stop"] = np.zeros_like(blank["mask"])
        executor.check(state, images, seeds, blank)
      if read_test:
        experiment.check_test(validation.shape)

    distributed.together(check_programs)
    # All that can be wrong with the input is checked: now write.
    held.begin(experiment.dataset, _weights_digest(experiment, step))
    for run in runs:
      run.open(step, config)
    while True:
      # What the new layers alone have reached is a result, too, and a kill
      # must not cost it.
      begun = step == 0 and config.head_first.views > 0
      if begun or due(config.eval.every_steps or config.num_steps):
        recorder.flush()
        validate()
      if begun or due(config.checkpoint.every_steps):
        recorder.flush()
        save()
      if recorder.told if together else stop.up:
        stop.stop()
      trace.at(step, state)
      if step == config.num_steps:
        break
      count = _steps_until_due(config, step, at_once)
      batch = feed.take(count)
      if together:
        batch["stop"] = np.full_like(batch["mask"], stop.up)
      state, scalars = executor.run(state, images, seeds, batch)
      recorder.push(step, scalars)
      step += count
  except errors.Stopped:
    recorder.flush()
    save()
    raise
  finally:
    trace.close()
    recorder.close()
    feed.close()


def _network(state):
  """What evaluation needs of a state."""
  return state.eval_params, state.eval_model_state


def _first_state(experiment, run, held, split):
  """Where the run goes on, or begins."""
  if distributed.on_main(lambda: held.continues(run.path)):
    blank = experiment.blank_state()
    state = run.restore(blank)
    if state is not blank:
      return state
  other = experiment.config.init_from
  if other:  # whose weights win: those of a pretrained backbone are not read
    fresh = experiment.init_state(run.seed, pretrained=False)
    fresh = finished.start_from(fresh, shipped.place(other, "init_from"))
  else:
    fresh = distributed.together(lambda: experiment.init_state(run.seed))
  if not experiment.config.head_first.views:
    return fresh

  # Process 0 trains it: the same numbers everywhere. Nothing is written yet:
  # told to stop, it begins again.
  def work():
    told = stopping.check
    trained = experiment.train_head(fresh, run.seed, split, told)
    return None, jax.device_get(trained)

  return distributed.arrays_on_main(work, jax.device_get(fresh))[1]


def _weights_digest(experiment, step) -> str:
  """Of the file that a run begins with; "" where it needs none, or no more."""
  foreign = experiment.model.foreign
  if foreign is None or step or experiment.config.init_from:
    return ""
  return pretrained.digest(foreign)


def _common_step(states) -> int:
  steps = {int(state.step) for state in states}
  if len(steps) > 1:
    # They save one after another, so that a kill can part them.
    raise errors.UserError(
      f"the seeds' checkpoints are at different steps {sorted(steps)}:"
      " resume with --config.seeds_together=off"
    )
  return steps.pop()


def _steps_at_once(config, resident) -> int:
  """Steps of a call, where nothing is due before.

  By itself more than one where to start a call takes longer than a step: small
  batches on an accelerator. As many as divide all that is due, so that one
  program serves throughout and no call holds up what is due. A batch that
  brings its images would bring those of all these steps.
  """
  if config.steps_per_call:
    return config.steps_per_call
  small = config.batch_size * config.view.size**2 <= _SMALL_BATCH
  if jax.default_backend() == "cpu" or not (small and resident):
    return 1
  if config.log.profile:  # whose first and last step are to be met
    return 1
  due = math.gcd(
    config.num_steps,
    config.eval.every_steps,
    config.checkpoint.every_steps,
    config.log.every_steps,
  )
  return max(n for n in range(1, _MOST_AT_ONCE + 1) if due % n == 0)


def _steps_until_due(config, step, at_once) -> int:
  """Steps of the next call: never past a validation, a save or the end."""
  limits = [config.eval.every_steps, config.checkpoint.every_steps]
  left = [every - step % every for every in limits if every]
  return min(at_once, config.num_steps - step, *left)
