"""From a config and a workdir to finished run folders: seeds, resuming.

`claim` holds the folders, `loop` trains each seed in its own, `scoring` reads
the test set (here too, for `--mode eval`), `summary` writes the results.
"""

from collections.abc import Mapping
import logging
import os
import pathlib
import sys
from typing import Any

import jax

from rotjax import distributed, errors, stopping
from rotjax.config import base, named, resolve, validate
from rotjax.evaluation import averaging
from rotjax.run import claim as claim_lib
from rotjax.run import layout, summary, written

_log = logging.getLogger("rotjax")

# What --mode eval may change of a run.
_EVALUATED = ("eval.", "data.", "angles.")


def _single(config: Any, seed: int) -> Any:
  """The config of one seed's own run."""
  return resolve.apply(config, {"seed": seed, "num_seeds": 1})


def _claim(
  config: Any, workdir: pathlib.Path, overwrite: bool = False
) -> claim_lib.Claim:
  """The claim on a workdir and the folders of its seeds."""
  configs = {workdir: config}
  for seed, folder in layout.seed_folders(config, workdir).items():
    configs[folder] = _single(config, seed)
  return claim_lib.Claim(configs, overwrite)


def _together(option: str, num_seeds: int) -> bool:
  """Whether seeds train step by step together ("auto": on accelerators).

  On CPU one after another is at least as fast: a single seed fills the cores.
  """
  if num_seeds > 1 and option == "auto":
    return jax.default_backend() != "cpu"
  return num_seeds > 1 and option == "on"


def train_seeds(
  config: Any, folders: Mapping[int, pathlib.Path]
) -> bool | None:
  """Trains the seeds whose folders hold no results yet.

  Args:
    config: resolved and validated.
    folders: seed -> run folder.

  Returns:
    Whether they trained together, in one program; None when all are finished.

  Raises:
    UserError: wrong input; nothing was overwritten.
    errors.Stopped: a signal came; the runs can be resumed.
  """
  config = resolve.absolute(config)
  configs = {f: _single(config, seed) for seed, f in folders.items()}
  with claim_lib.Claim(configs) as held:
    return _train_seeds(config, folders, held)


def _train_seeds(config, folders, held, overwrite=False):
  """`train_seeds`, in folders that are held; overwriting takes them all."""
  from rotjax.run import loop  # orbax and tfds only now

  left = distributed.on_main(
    lambda: [
      s
      for s, f in folders.items()
      if overwrite or held.extends(f) or not layout.is_finished(f)
    ]
  )
  if not left:
    return None
  together = _together(config.seeds_together, len(left))
  if together:
    loop.train(config, left, [folders[seed] for seed in left], held)
  else:
    for seed in left:
      loop.train(_single(config, seed), [seed], [folders[seed]], held)
  return together


def train(config: Any, workdir: pathlib.Path, overwrite: bool = False) -> int:
  """Trains what is not finished yet and shows the table.

  A run that is finished already is shown without a lock or a write.

  Args:
    config: resolved and validated.
    workdir: the run folder, or the parent of the seeds' folders.
    overwrite: start again.

  Returns:
    Exit status: 0 done, 75 stopped by a signal and resumable.

  Raises:
    UserError: wrong input; nothing was overwritten.
  """
  config = resolve.absolute(config)
  folders = layout.seed_folders(config, workdir)

  def finished():
    every = (workdir, *folders.values())
    if overwrite or not all(map(layout.is_finished, every)):
      return False
    if written.config_of(workdir).num_steps < config.num_steps:
      return False  # it goes on
    claim_lib.check_same(config, workdir)
    return True

  if distributed.on_main(finished):
    if distributed.is_main():
      print(f"{config.name} is finished already; --overwrite starts again.")
      summary.show(workdir, summary.read(workdir))
    return 0
  try:
    with _claim(config, workdir, overwrite) as held:
      _train_seeds(config, folders, held, overwrite)
      _over_seeds(config, config, folders, workdir, workdir)
  except errors.Stopped as stopped:
    return _stopped(f"{stopped}; the same command resumes {workdir}")
  _show(workdir)
  return 0


def config_of(
  workdir: pathlib.Path, overrides: Mapping[str, Any] | None = None
) -> Any:
  """The config of the run in a folder, whole, resolved and validated.

  Args:
    workdir: the folder.
    overrides: of fields.

  Raises:
    UserError: there is none, or an override that does not fit.
  """
  if not os.path.exists(workdir / layout.CONFIG):
    raise errors.UserError(
      f"{workdir} is not a run folder (no config.json): train it first, or"
      " name it with --workdir"
    )
  stored = written.config_of(workdir)
  # One from before a field existed means that field's default.
  names = {f"{s}.name": stored[s].name for s in named.NAMED}
  config = resolve.apply(base.base(), names)
  with config.ignore_type():
    config.update(stored)
  config = resolve.apply(resolve.absolute(config), overrides or {})
  validate.check(config, trained=False)
  return config


def evaluate(config: Any, workdir: pathlib.Path) -> int:
  """Evaluates the best checkpoints of a run again, with this `config.eval`.

  On other terms than the run's own (data, angles, or what of `eval` changes a
  number) the results go to a folder eval-... in the run's, which is left as it
  is.

  Args:
    config: resolved and validated.
    workdir: of a finished run, or the parent of its seeds.

  Returns:
    Exit status, as `train`.

  Raises:
    UserError: no such run, an unfinished one, or one of another experiment.
  """
  from rotjax.run import scoring

  config = resolve.absolute(config)
  there = distributed.together(lambda: config_of(workdir))
  # When it was validated in training is no term of an evaluation.
  config.eval.every_steps = there.eval.every_steps
  into = distributed.on_main(lambda: _evaluated_into(config, there, workdir))
  folders = layout.seed_folders(config, workdir)
  results = layout.seed_folders(config, workdir / into)
  try:
    with _claim(config, workdir / into) as held:
      for seed, folder in folders.items():
        single, own = _single(config, seed), _single(there, seed)
        scoring.evaluate(single, own, folder, results[seed], held)
      _over_seeds(config, there, folders, workdir, workdir / into)
  except errors.Stopped as stopped:
    return _stopped(str(stopped))
  _show(workdir / into)
  return 0


def _evaluated_into(config, there, workdir):
  """The folder, below the run's, of an evaluation's results; "" for its own."""
  claim_lib.check_same(config, workdir, ignored=_EVALUATED)
  angles = named.build("angles", there.angles)
  averaging.check(config.eval.tta, angles, there.view.mask)
  here, before = (
    {k: v for k, v in resolve.identity(c).items() if k.startswith(_EVALUATED)}
    for c in (config, there)
  )
  if config.angles.period_deg != there.angles.period_deg:
    raise errors.UserError(
      f"angles.period_deg = {config.angles.period_deg}: the run was trained on"
      f" the circle of {there.angles.period_deg}"
    )
  dataset = named.build("data", config.data)
  if there.data.name in dataset.overlaps:
    raise errors.UserError(
      f"a run on {there.data.name} is not to be scored on {config.data.name},"
      " which holds images that it was trained on"
    )
  folders = layout.seed_folders(config, workdir).values()
  for folder in folders:
    if not layout.is_tested(folder):
      raise errors.UserError(
        f"{folder} is not finished: the command that trains it resumes it"
      )
  content = claim_lib.identity(dataset)["data"]
  known = {claim_lib.identity_of(f).get("data", content) for f in folders}
  if here == before:
    if known == {content}:
      return ""
    _log.warning(
      "the data have changed since the run was trained (%s, now %s)",
      ", ".join(known),
      content,
    )
  name = config.data.name.replace("/", "-")
  return f"eval-{name}-{resolve.digest({**here, 'content': content})}"


def _stopped(how):
  if distributed.is_main():
    print(f"rotjax: stopped by {how}", file=sys.stderr)
  return stopping.EXIT_STATUS


def _over_seeds(config, there, folders, workdir, into):
  """The results over several seeds: of their ensemble, and the means."""
  if config.num_seeds == 1:
    return
  from rotjax.run import ensemble

  results = layout.seed_folders(config, into)
  seconds = distributed.on_main(
    lambda: sum(summary.read(f).get("seconds", 0) for f in results.values())
  )
  single, own = (_single(c, c.seed) for c in (config, there))
  ensemble.evaluate(single, own, folders, workdir, into, seconds)
  if distributed.is_main():
    summary.over_seeds(into, results)


def _show(workdir):
  if distributed.is_main():
    summary.show(workdir, summary.read(workdir))
