"""A learning rate for every arm, chosen alike.

Heads differ in the scale of their losses, so one rate for all would rank the
scales. Each arm therefore tries the same grid with the same number of steps
and seed, and takes what is best on validation; the test set is not read.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import math
import pathlib
from typing import Any

from rotjax import errors, files
from rotjax.config import resolve, validate
from rotjax.run import claim, run_folder
from rotjax.run import loop as train_lib

GRID = (1e-3, 3e-3, 1e-2, 3e-2)


@dataclasses.dataclass(frozen=True)
class Budget:
  """What every arm of a sweep may spend on choosing a value.

  Attributes:
    values: tried.
    num_steps: of each trial, the schedule included.
    field: which field of the config is tried.
    scales: further fields and their values, such as "head.kappa", tried one
      after another, each with what was best before, by the arms that have them.
  """

  values: Sequence[float] = GRID
  num_steps: int = 500
  field: str = "optim.learning_rate"
  scales: Mapping[str, Sequence[float]] = dataclasses.field(
    default_factory=dict
  )


def choose(
  config: Any, workdir: pathlib.Path, budget: Budget
) -> tuple[Any, list[dict[str, Any]]]:
  """`tune` for the budget's field and for each of its scales in turn.

  Args:
    config: the arm, resolved.
    workdir: gets a folder for each field.
    budget: the same for every arm that is to be compared.

  Returns:
    The config with what was best, and the record of each choice.
  """
  records = []
  for field, values in {budget.field: budget.values, **budget.scales}.items():
    if field != budget.field and field not in resolve.flatten(config):
      continue
    one = Budget(values, budget.num_steps, field)
    records.append(tune(config, workdir / field.rpartition(".")[2], one))
    config = resolve.apply(config, {field: records[-1]["best"]})
  return config, records


def tune(config: Any, workdir: pathlib.Path, budget: Budget) -> dict[str, Any]:
  """Trains the config once for each value, briefly, and keeps the best.

  Runs that are there already are not repeated. A value whose training diverges
  counts as the worst.

  Args:
    config: the arm, resolved.
    workdir: holds a run folder for each value, and tuning.json.
    budget: the same for every arm that is to be compared.

  Returns:
    What tuning.json holds: "field", "best", "num_steps" and "val_mae_deg" by
    value.

  Raises:
    UserError: no values, a field that does not exist, or every value diverged.
  """
  values, field, num_steps = budget.values, budget.field, budget.num_steps
  if not values:
    raise errors.UserError("no values to choose among")
  scores = {}
  for value in values:
    trial = resolve.apply(
      config,
      {
        field: value,
        "num_steps": num_steps,
        "num_seeds": 1,
        "eval.every_steps": 0,
        "checkpoint.every_steps": num_steps,
      },
    )
    validate.check(trial)
    folder = workdir / f"{field.rpartition('.')[2]}-{value:g}"
    scores[value] = _validation_error(trial, folder)
  best = min(scores, key=scores.__getitem__)
  if math.isinf(scores[best]):
    raise errors.UserError(
      f"{config.name}: training diverged with every {field} of {list(values)}"
    )
  result = {
    "field": field,
    "best": best,
    "num_steps": num_steps,
    "val_mae_deg": {f"{value:g}": score for value, score in scores.items()},
  }
  files.write_json(workdir / "tuning.json", result)
  return result


def _validation_error(trial: Any, folder: pathlib.Path) -> float:
  try:
    with claim.Claim({folder: trial}) as held:
      (error,) = train_lib.train(
        trial, [trial.seed], [folder], held, read_test=False
      )
  except run_folder.NotFiniteError:
    return math.inf
  return error
