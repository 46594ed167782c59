"""Reading what the arms of a sweep left behind."""

import dataclasses
import pathlib
from typing import Any
import zipfile
import zlib

import numpy as np

from rotjax import errors, metrics
from rotjax.ablation import manifest
from rotjax.ablation import sweep as sweep_lib
from rotjax.config import load
from rotjax.config import named as named_lib
from rotjax.run import summary as summary_lib

# What NumPy raises about an archive that is cut short or damaged.
_BROKEN = (
  OSError,
  EOFError,
  KeyError,
  TypeError,
  ValueError,
  zipfile.BadZipFile,
  zlib.error,
)


@dataclasses.dataclass(frozen=True)
class ArmResult:
  """An arm's runs.

  Attributes:
    arm: what was asked for.
    summaries: seed -> summary.json of each finished run.
    predictions: seed -> its test predictions.
    learning_rate: of its runs; the configured one before any is finished.
    error: why the last attempt failed, if it did.
  """

  arm: sweep_lib.Arm
  summaries: dict[int, dict[str, Any]]
  predictions: dict[int, metrics.Predictions]
  learning_rate: float
  error: str | None


def read_predictions(folder: pathlib.Path, config: Any) -> metrics.Predictions:
  """predictions.npz of a run, as `summary.save_predictions` wrote it.

  Raises:
    UserError: it is missing or broken.
  """
  file = folder / "predictions.npz"
  angles = named_lib.build("angles", config.angles)
  named = ("true_deg", "predicted_deg", "example", "label")
  try:
    # Opened here: NumPy leaves a broken archive open.
    with open(file, "rb") as opened, np.load(opened) as found:
      fields = {name: found[name] for name in named}
      scores = {k: found[k] for k in found.files if k not in named}
    return metrics.Predictions(
      **fields,
      angles=angles,
      scores=scores,
    )
  except _BROKEN as error:
    raise errors.UserError(
      f"{file} cannot be read ({error}): delete {folder / 'summary.json'} and"
      " run the same command again to write it anew"
    ) from None


def read_summary(folder: pathlib.Path) -> dict[str, Any]:
  """summary.json of a finished run; what older versions lack stays missing.

  Raises:
    UserError: there is none, or it is no summary.
  """
  found = summary_lib.read(folder)
  kinds: dict[str, Any] = {
    **{"test": dict, "protocol": dict, "versions": dict, "leaks": list},
    **{"parameters": int, "seconds": (int, float)},
  }
  wrong = [
    name
    for name, kind in kinds.items()
    if not isinstance(found, dict)
    or name in found
    and not isinstance(found[name], kind)
  ]
  if not wrong and not isinstance(
    found.get("test", {}).get("mae_deg"), (int, float)
  ):
    wrong = ["test"]
  if wrong:
    raise errors.UserError(
      f"{folder / 'summary.json'} is no summary of a run (its {wrong[0]!r}):"
      " delete it and run the same command again"
    )
  return found


def read_arm(workdir: pathlib.Path, arm: sweep_lib.Arm) -> ArmResult:
  """What there is of one arm.

  Raises:
    UserError: a file of a finished run is missing or broken.
  """
  folders = manifest.finished(workdir, arm)
  ran = arm.config
  for folder in folders.values():  # with the rate that tuning chose
    ran = load.read(folder / "config.json")
  return ArmResult(
    arm,
    {seed: read_summary(folder) for seed, folder in folders.items()},
    {s: read_predictions(folder, arm.config) for s, folder in folders.items()},
    ran.optim.learning_rate,
    manifest.failure(workdir, arm),
  )


def read_all(plan: sweep_lib.Sweep, workdir: pathlib.Path) -> list[ArmResult]:
  """`read_arm` of every arm, in the sweep's order."""
  return [read_arm(workdir, arm) for arm in plan.arms]
