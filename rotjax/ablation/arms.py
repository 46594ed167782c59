"""One arm of a sweep: run, and as the command line that runs it."""

from collections.abc import Sequence
import pathlib
import sys
import traceback

import jax

from rotjax import errors, files
from rotjax.ablation import manifest, sweep, tuning
from rotjax.run import locking
from rotjax.run import train as train_lib


def run_arm(
  plan: sweep.Sweep, arm: sweep.Arm, workdir: pathlib.Path
) -> str | None:
  """Tunes an arm and trains the seeds that are not finished.

  Args:
    plan: the sweep.
    arm: one of its arms.
    workdir: of the sweep.

  Returns:
    The error that ended it, which is on record in `failed.json` unless another
    process is at work on the arm; None when the arm is done.

  Raises:
    errors.Stopped: a signal came; the arm can be resumed.
  """
  try:
    with locking.Lock(manifest.folder(workdir, arm)):
      return _run_held_arm(plan, arm, workdir)
  except locking.HeldError as error:
    return str(error)


def _run_held_arm(plan, arm, workdir):
  """`run_arm`, in a folder that is locked."""
  folder = manifest.folder(workdir, arm)
  (folder / "failed.json").unlink(missing_ok=True)
  try:
    config = arm.config
    chosen: list[dict] = []
    if plan.tuning:
      config, chosen = tuning.choose(config, folder / "tuning", plan.tuning)
    folders = manifest.seed_folders(workdir, arm)
    together = train_lib.train_seeds(config, folders)
    record = {
      "tuning": chosen,
      "seeds_together": together,
      "device": jax.devices()[0].device_kind,
    }
    if together is not None:
      files.write_json(folder / "arm.json", record)
  except (errors.Stopped, locking.HeldError):
    raise
  except Exception as error:  # the sweep goes on, whatever it was
    first = (str(error).splitlines() or [""])[0]
    message = f"{type(error).__name__}: {first}"
    files.write_json(
      folder / "failed.json",
      {"error": message, "traceback": traceback.format_exc()},
    )
    return message
  return None


def to_do(plan: sweep.Sweep, workdir: pathlib.Path) -> list[sweep.Arm]:
  """The arms that are not done; failed ones are tried again."""
  arms = plan.arms
  return [a for a in arms if manifest.status(workdir, a) != "done"]


def command(
  workdir: pathlib.Path, arm: sweep.Arm, flags: Sequence[str] = ()
) -> list[str]:
  """The command line that runs one arm of a manifest, whose name ends it."""
  module = ["-m", "rotjax.ablate", "--workdir", str(workdir)]
  return [sys.executable, *module, *flags, "--arm", arm.name]
