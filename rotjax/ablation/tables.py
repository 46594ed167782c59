"""The table of a sweep: its rows, comparisons and notes, before any format."""

from collections.abc import Iterable, Sequence
import dataclasses
import json
import math
import pathlib
from typing import Any

import numpy as np

from rotjax import errors
from rotjax.ablation import audits, formats, results, stats
from rotjax.ablation import notes as notes_lib
from rotjax.ablation import sweep as sweep_lib

# What a column that is no metric shows.
FACTS = {
  "learning_rate": "learning rate",
  "parameters": "parameters",
  "seconds": "seconds",
  "seeds": "seeds",
  "audit": "audit",
}
# What stands in the heading of the metrics that most tables have.
TITLES = {
  "mae_deg": "MAE (°)",
  "median_deg": "median (°)",
  "nll": "NLL",
  "recalibrated_nll": "NLL, recalibrated",
  "recalibrated_crps_deg": "CRPS, recalibrated (°)",
  "near_45": "near 45°",
  "near_90": "near 90°",
  "saturated_share": "saturated",
}
DEFAULT = (
  "mae_deg",
  "difference",
  "other_warp.mae_deg",
  "median_deg",
  "nll",
  "recalibrated_nll",
  "recalibrated_crps_deg",
  *FACTS,
)
_LOWER_IS_BETTER = (
  "mae_deg",
  "median_deg",
  "rmse_deg",
  "p90_deg",
  "p95_deg",
  "nll",
  "crps_deg",
  "energy_score",
  "aurc_deg",
)
_HIGHER_IS_BETTER = ("acc_at_", "auc_at_", "accuracy")


@dataclasses.dataclass(frozen=True)
class Cell:
  """A number of the table.

  Attributes:
    estimate: mean, spread and interval; the latter None where the metric is no
      mean or median over views, or belongs to a fact.
    best: whether it is the best of its column.
    tied: whether it differs from the best at the 5 % level, after Holm, not.
  """

  estimate: stats.Estimate
  best: bool = False
  tied: bool = False


@dataclasses.dataclass(frozen=True)
class Row:
  """An arm of the table.

  Attributes:
    name: of the arm.
    status: "done", "2 of 3 seeds", "failed: ..." or "missing".
    cells: column -> what it shows, where there is something.
  """

  name: str
  status: str
  cells: dict[str, Cell | str]


@dataclasses.dataclass(frozen=True)
class Table:
  """A sweep's results.

  Attributes:
    name: of the sweep.
    question: what it asks.
    columns: keys, in order.
    titles: key -> heading.
    rows: arms, in order; the last one is the chance level.
    notes: what a reader must know beside the numbers.
  """

  name: str
  question: str
  columns: Sequence[str]
  titles: dict[str, str]
  rows: list[Row]
  notes: list[str]


def build(
  plan: sweep_lib.Sweep,
  workdir: pathlib.Path,
  columns: Iterable[str] = (),
  sort: str = "",
) -> Table:
  """Makes the table from run folders alone.

  Args:
    plan: the sweep that the folder holds.
    workdir: of the sweep.
    columns: metrics of summary.json, "other_warp.<metric>", "difference" or a
      key of FACTS; when empty the sweep's own, or `DEFAULT`.
    sort: a metric's column, best first; "" keeps the sweep's order.

  Raises:
    UserError: an unknown column, or a run with missing or broken files.
  """
  arms = results.read_all(plan, workdir)
  columns = list(columns) or list(plan.columns) or list(DEFAULT)
  _check(columns, sort, arms)
  metrics = [c for c in columns if c not in ("difference", *FACTS)]
  found: dict[str, dict[str, Any]] = {
    c: _column(c, arms) for c in {*metrics, sort or "mae_deg"}
  }
  found |= _facts(arms, audits.verdicts(workdir, plan))
  difference, note = _differences(plan, arms)
  found["difference"] = difference
  compared = "difference" in columns
  # A column that would be empty tells nothing.
  columns = [c for c in columns if found[c]]
  rows = [_row(arm, columns, found) for arm in arms]
  if sort:
    sign = -1 if sort.startswith(_HIGHER_IS_BETTER) else 1
    level = {n: sign * c.estimate.mean for n, c in found[sort].items()}
    rows.sort(key=lambda row: level.get(row.name, math.inf))
  rows.append(_chance_row(arms, columns))
  titles = {c: _title(c, plan) for c in columns}
  notes = notes_lib.build(plan, arms, note if compared else "")
  return Table(plan.name, plan.question, columns, titles, rows, notes)


def _title(column: str, plan: sweep_lib.Sweep) -> str:
  if column == "difference":
    return f"MAE less {plan.baseline}'s (°)"
  section, _, metric = column.rpartition(".")
  title = TITLES.get(metric) or FACTS.get(metric) or metric
  return title + ", other warp" * bool(section)


def _check(columns, sort, arms):
  valid = {"difference", *FACTS}
  for arm in arms:
    for summary in arm.summaries.values():
      # The second is known even where eval.warp is "own" (a smoke variant):
      # such a column stays empty, and an empty one is left out.
      valid |= set(summary["test"])
      valid |= {f"other_warp.{k}" for k in summary["test"]}
  valid |= set(DEFAULT)
  for column in columns:
    if column not in valid:
      raise errors.unknown("column", column, valid)
  if sort and sort in ("difference", *FACTS) or sort and sort not in valid:
    raise errors.unknown(
      "column to sort by", sort, valid - {"difference", *FACTS}
    )


def _column(metric: str, arms: list[results.ArmResult]) -> dict[str, Cell]:
  """Arm -> cell, the best and those that tie with it marked."""
  samples, cells = {}, {}
  for arm in arms:
    values = _values(metric, arm)
    if not values:
      continue
    name = arm.arm.name
    sample = stats.sample(metric, arm.predictions)
    if sample is None:
      numbers = np.array(values)
      sd = float(numbers.std(ddof=1)) if len(values) > 1 else None
      cells[name] = Cell(
        stats.Estimate(float(numbers.mean()), sd, None, None, None, len(values))
      )
    else:
      samples[name] = sample
      cells[name] = Cell(sample.estimate())
  if len(cells) < 2 or not _ranked(metric):
    return cells
  pick = max if metric.startswith(_HIGHER_IS_BETTER) else min
  best = pick(cells, key=lambda name: cells[name].estimate.mean)
  cells[best] = dataclasses.replace(cells[best], best=True)
  for name in _tied(best, samples):
    cells[name] = dataclasses.replace(cells[name], tied=True)
  return cells


def _ranked(metric: str) -> bool:
  """Whether more or less of a metric is plainly better."""
  plain = metric.removeprefix("other_warp.").removeprefix("recalibrated_")
  return plain in _LOWER_IS_BETTER or plain.startswith(_HIGHER_IS_BETTER)


def _tied(best: str, samples: dict[str, stats.Sample]) -> list[str]:
  if best not in samples:
    return []
  p_values = {}
  for name, sample in samples.items():
    against = sample.minus(samples[best]) if name != best else None
    if against is None:
      continue
    if against.p_value is not None:
      p_values[name] = against.p_value
    elif against.mean == 0:  # the same to the last answer
      p_values[name] = 1.0
  adjusted = stats.holm(list(p_values.values()))
  return [name for name, p in zip(p_values, adjusted) if p >= 0.05]


def _values(metric: str, arm: results.ArmResult) -> list[float]:
  section, _, name = metric.rpartition(".")
  section = "test_other_warp" if section else "test"
  found = [s.get(section, {}).get(name) for s in arm.summaries.values()]
  return [value for value in found if value is not None]


def _facts(arms, verdicts) -> dict[str, dict[str, str]]:
  facts: dict[str, dict[str, str]] = {key: {} for key in FACTS}
  for arm in arms:
    if not arm.summaries:
      continue
    name, summaries = arm.arm.name, list(arm.summaries.values())
    facts["learning_rate"][name] = f"{arm.learning_rate:g}"
    facts["parameters"][name] = f"{summaries[0]['parameters']:,}"
    seconds = np.mean([s["seconds"] for s in summaries])
    facts["seconds"][name] = f"{seconds:.0f}"
    facts["seeds"][name] = str(len(summaries))
    if name in verdicts:
      facts["audit"][name] = verdicts[name]
    elif verdicts:
      facts["audit"][name] = "not audited"
  return facts


def _differences(plan, arms):
  """Arm -> its error less the baseline's, as text; and a note."""
  samples = {
    arm.arm.name: stats.sample("mae_deg", arm.predictions)
    for arm in arms
    if arm.predictions
  }
  if plan.baseline not in samples:
    return {}, f"No comparisons: the baseline {plan.baseline} has no results."
  against = {
    name: sample.minus(samples[plan.baseline])
    for name, sample in samples.items()
    if name != plan.baseline
  }
  unpaired = [name for name, e in against.items() if e is None]
  against = {name: e for name, e in against.items() if e is not None}
  if not against:
    return {}, ""
  tested = {n: e.p_value for n, e in against.items() if e.p_value is not None}
  adjusted = dict(zip(tested, stats.holm(list(tested.values()))))
  texts = {
    name: formats.difference_text(e, adjusted.get(name))
    for name, e in against.items()
  }
  texts[plan.baseline] = "baseline"
  note = (
    f"Differences from {plan.baseline} are paired by seed and image; p-values"
    f" of {len(tested)} comparisons, Holm-corrected."
  )
  if unpaired:
    note += f" Shown other images or angles: {', '.join(unpaired)}."
  return texts, note


def _row(arm, columns, found) -> Row:
  name = arm.arm.name
  if arm.error and len(arm.summaries) < arm.arm.config.num_seeds:
    status = f"failed: {arm.error}"
  elif not arm.summaries:
    status = "missing"
  elif len(arm.summaries) < arm.arm.config.num_seeds:
    status = f"{len(arm.summaries)} of {arm.arm.config.num_seeds} seeds"
  else:
    status = "done"
  cells = {c: found[c][name] for c in columns if name in found[c]}
  return Row(name, status, cells)


def _chance_row(arms, columns) -> Row:
  cells: dict[str, Cell | str] = {}
  for column in columns:
    name = column.removeprefix("other_warp.")
    levels = {
      s["test"][f"chance_{name}"]
      for arm in arms
      for s in arm.summaries.values()
      if f"chance_{name}" in s["test"]
    }
    if len(levels) == 1:
      (level,) = levels
      cells[column] = Cell(stats.Estimate(level, None, None, None, None, 0))
    elif levels:
      cells[column] = "varies"
  return Row("chance", "done", cells)


def to_dict(table: Table) -> dict[str, Any]:
  """The table as JSON takes it; what is not a number is None."""

  def cell(c):
    if isinstance(c, str):
      return c
    values = dataclasses.asdict(c.estimate)
    finite = {
      k: None if isinstance(v, float) and not math.isfinite(v) else v
      for k, v in values.items()
    }
    return {**finite, "best": c.best, "tied": c.tied}

  rows = [
    {
      "arm": row.name,
      "status": row.status,
      **{key: cell(c) for key, c in row.cells.items()},
    }
    for row in table.rows
  ]
  return {**dataclasses.asdict(table), "rows": rows}


def write_all(table: Table, folder: pathlib.Path) -> None:
  """table.md, .tex, .csv, .json and .html into a folder."""
  for ending, text_of in formats.FILES.items():
    (folder / f"table.{ending}").write_text(text_of(table))
  text = json.dumps(to_dict(table), indent=2) + "\n"
  (folder / "table.json").write_text(text)
