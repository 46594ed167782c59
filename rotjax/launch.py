"""From a config and a workdir to finished run folders: seeds, resuming."""

from collections.abc import Mapping
import pathlib
import shutil
import sys
from typing import Any

from rotjax import config as config_lib
from rotjax import (
  config_files,
  errors,
  executors,
  processes,
  run_folder,
  stopping,
  summary,
)

# What --mode eval may change of a run, and what of it asks for other results.
_EVALUATED = ("eval.", "data.", "angles.")
_DATA = ("data.", "angles.")

# What a run writes; --overwrite deletes these and nothing else.
_OURS = (
  "calibration.json",
  "checkpoints",
  "metrics.jsonl",
  "plots",
  "predictions.npz",
  "summary.json",
  "tensorboard",
)


def _seed_folders(
  config: Any, workdir: pathlib.Path
) -> dict[int, pathlib.Path]:
  """Seed -> run folder; one seed has no folder below the workdir."""
  if config.num_seeds == 1:
    return {config.seed: workdir}
  seeds = range(config.seed, config.seed + config.num_seeds)
  return {seed: workdir / f"seed-{seed}" for seed in seeds}


def _single(config: Any, seed: int) -> Any:
  """The config of one seed's own run."""
  return config_lib.resolve(config, {"seed": seed, "num_seeds": 1})


def claim(config: Any, workdir: pathlib.Path, overwrite: bool) -> None:
  """Makes a folder this experiment's, or checks that it already is.

  Raises:
    UserError: the folder holds another experiment or foreign files; nothing
      in it was changed.
  """
  processes.on_main(lambda: _claim(config, workdir, overwrite))


def _claim(config, workdir, overwrite):
  file = workdir / "config.json"
  if workdir.exists() and not workdir.is_dir():
    raise errors.UserError(f"workdir {workdir} is a file, not a folder")
  if workdir.is_dir() and not file.exists() and any(workdir.iterdir()):
    raise errors.UserError(
      f"workdir {workdir} holds files but no run (no config.json): choose"
      " another --workdir"
    )
  if file.exists() and overwrite:
    found = [*workdir.glob("seed-*"), *workdir.glob("eval-*")]
    for name in (*_OURS, *(f.name for f in found)):
      path = workdir / name
      shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
  elif file.exists() and any(workdir.glob("**/checkpoints")):
    # Without checkpoints a run never began: what it was to be is replaced.
    _check_same(config, file)
  workdir.mkdir(parents=True, exist_ok=True)
  run_folder.write_json(file, config.to_dict())


def _check_same(config, file, ignored=()):
  here = config_lib.identity(config_files.read(file))
  there = config_lib.identity(config)
  # A config from before a field existed means that field's default.
  default = config_lib.identity(config_lib.base())
  differing = [
    key
    for key in sorted(here.keys() | there.keys())
    if here.get(key, default.get(key)) != there.get(key, default.get(key))
    and not key.startswith(ignored)
  ]
  if differing:
    shown = ", ".join(
      f"{k} is {here.get(k)!r} there and {there.get(k)!r} here"
      for k in differing[:3]
    )
    raise errors.UserError(
      f"workdir {file.parent} holds another experiment ({shown}): choose"
      " another --workdir, or --overwrite it"
    )


def _finished(folder):
  return (folder / "summary.json").exists()


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
    stopping.Stopped: a signal came; the runs can be resumed.
  """
  from rotjax import train as train_lib  # orbax and tfds only now

  for seed, folder in folders.items():
    claim(_single(config, seed), folder, False)
  left = processes.on_main(
    lambda: [s for s, f in folders.items() if not _finished(f)]
  )
  if not left:
    return None
  together = executors.seeds_together(config.seeds_together, len(left))
  if together:
    train_lib.train(config, left, [folders[seed] for seed in left])
  else:
    for seed in left:
      train_lib.train(_single(config, seed), [seed], [folders[seed]])
  return together


def train(config: Any, workdir: pathlib.Path, overwrite: bool = False) -> int:
  """Trains what is not finished yet and shows the table.

  Args:
    config: resolved and validated.
    workdir: the run folder, or the parent of the seeds' folders.
    overwrite: start again.

  Returns:
    Exit status: 0 done, 75 stopped by a signal and resumable.

  Raises:
    UserError: wrong input; nothing was overwritten.
  """
  claim(config, workdir, overwrite)
  folders = _seed_folders(config, workdir)
  try:
    if train_seeds(config, folders) is None and processes.is_main():
      print(f"{config.name} is finished already; --overwrite starts again.")
  except stopping.Stopped as stopped:
    return _stopped(f"{stopped}; the same command resumes {workdir}")
  _show(config, workdir, folders)
  return 0


def evaluate(config: Any, workdir: pathlib.Path) -> int:
  """Evaluates the best checkpoints of a run again, with this `config.eval`.

  On other data or other angles than the run's own the results go to a folder
  eval-... in the run's, which is left as it is.

  Returns:
    Exit status, as `train`.

  Raises:
    UserError: no such run, or one of another experiment.
  """
  from rotjax import final

  into = processes.on_main(lambda: _evaluated_into(config, workdir))
  folders = _seed_folders(config, workdir)
  results = _seed_folders(config, workdir / into)
  try:
    for seed, folder in folders.items():
      single = _single(config, seed)
      if into:
        final.evaluate_elsewhere(single, seed, folder, results[seed])
      else:
        final.evaluate_best(single, seed, folder)
  except stopping.Stopped as stopped:
    return _stopped(str(stopped))
  _show(config, workdir / into, results)
  return 0


def _evaluated_into(config, workdir):
  """The folder, below the run's, of an evaluation's results; "" for its own."""
  file = workdir / "config.json"
  if not file.exists():
    raise errors.UserError(
      f"{workdir} is not a run folder (no config.json): train it first, or"
      " name it with --workdir"
    )
  _check_same(config, file, ignored=_EVALUATED)
  there = config_files.read(file)
  config_lib.build_angles(there).check_tta(config.eval.tta)
  here, before = (
    {k: v for k, v in config_lib.identity(c).items() if k.startswith(_DATA)}
    for c in (config, there)
  )
  if here == before:
    return ""
  if config.angles.period_deg != there.angles.period_deg:
    raise errors.UserError(
      f"angles.period_deg = {config.angles.period_deg}: the run was trained on"
      f" the circle of {there.angles.period_deg}"
    )
  dataset = config_lib.build("data", config.data)
  if there.data.name in dataset.overlaps:
    raise errors.UserError(
      f"a run on {there.data.name} is not to be scored on {config.data.name},"
      " which holds images that it was trained on"
    )
  name = f"eval-{config.data.name.replace('/', '-')}-{config_lib.digest(here)}"
  for folder in _seed_folders(config, workdir / name).values():
    folder.mkdir(parents=True, exist_ok=True)
    run_folder.write_json(folder / "config.json", config.to_dict())
  return name


def _stopped(how):
  if processes.is_main():
    print(f"rotjax: stopped by {how}", file=sys.stderr)
  return stopping.EXIT_STATUS


def _show(config, workdir, folders):
  if not processes.is_main():
    return
  if config.num_seeds > 1:
    result = summary.over_seeds(workdir, list(folders))
  else:
    result = summary.read(workdir)
  summary.show(workdir, result)
