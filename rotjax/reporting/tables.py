"""The table of a sweep: its rows, comparisons and notes, before any format."""

from collections.abc import Iterable
import dataclasses
import json
import math
import pathlib
from typing import Any

import numpy as np

from rotjax import angles as angles_lib
from rotjax import errors, files
from rotjax import metrics as metrics_lib
from rotjax.ablation import audits
from rotjax.ablation import sweep as sweep_lib
from rotjax.metrics import across_seeds, catalogue
from rotjax.reporting import comparison as columns_lib
from rotjax.reporting import formats, latex, results
from rotjax.reporting import notes as notes_lib
from rotjax.reporting import table as table_lib

# What a column that is no metric shows.
FACTS = {
  "learning_rate": "learning rate",
  "parameters": "parameters",
  "seconds": "seconds",
  "seeds": "seeds",
  "audit": "audit",
}
_FIRST, *_OTHERS = catalogue.DEFAULT
DEFAULT = (_FIRST, "difference", f"other_warp.{_FIRST}", *_OTHERS, *FACTS)


def build(
  plan: sweep_lib.Sweep,
  workdir: pathlib.Path,
  columns: Iterable[str] = (),
  sort: str = "",
) -> table_lib.Table:
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
  arms = results.read_sweep(plan, workdir)
  columns = list(columns) or list(plan.columns) or list(DEFAULT)
  _check(columns, sort, plan, arms)
  metrics = [c for c in columns if c not in ("difference", *FACTS)]
  cells: dict[str, dict[str, Any]] = {
    c: columns_lib.cells_of(c, arms)
    for c in {*metrics, "mae_deg", sort or "mae_deg"}
  }
  cells |= _facts(arms, audits.verdicts(workdir, plan))
  difference, note = columns_lib.differences(plan.baseline, arms)
  cells["difference"] = difference
  compared = "difference" in columns
  # A column that would be empty tells nothing.
  columns = [c for c in columns if cells[c]]
  rows = [_row(arm, columns, cells) for arm in arms]
  if sort:
    sign = -1 if catalogue.row(sort).better == "higher" else 1
    level = {
      name: sign * cell.estimate.mean
      for name, cell in cells[sort].items()
      if across_seeds.known(cell.estimate.mean)
    }
    rows.sort(key=lambda row: level.get(row.name, math.inf))
  rows.append(_chance_row(arms, columns))
  titles = {c: _title(c, plan) for c in columns}
  notes = notes_lib.build(plan, arms, note if compared else "")
  maes = {name: cell.estimate for name, cell in cells["mae_deg"].items()}
  return table_lib.Table(
    *(plan.name, plan.question, columns, titles, rows, notes, maes, arms)
  )


def _title(column: str, plan: sweep_lib.Sweep) -> str:
  if column == "difference":
    return f"MAE less {plan.baseline}'s (°)"
  section, _, metric = column.rpartition(".")
  title = FACTS.get(metric) or catalogue.row(metric).title or metric
  return title + ", other warp" * bool(section)


def _check(columns, sort, plan, arms):
  # Before the first result, too: the sweep's own, and what chance has.
  chance = metrics_lib.chance(angles_lib.Angles())
  valid = {"difference", *FACTS, *DEFAULT, *plan.columns, *chance}
  for arm in arms:
    for summary in arm.summaries.values():
      # The second is known even where eval.warp is "own" (a smoke variant):
      # such a column stays empty, and an empty one is left out.
      valid |= set(summary["test"])
      valid |= {f"other_warp.{k}" for k in summary["test"]}
  for column in columns:
    if column not in valid:
      raise errors.unknown("column", column, valid)
  if sort and sort in ("difference", *FACTS) or sort and sort not in valid:
    raise errors.unknown(
      "column to sort by", sort, valid - {"difference", *FACTS}
    )


def _facts(arms, verdicts) -> dict[str, dict[str, str]]:
  facts: dict[str, dict[str, str]] = {key: {} for key in FACTS}
  for arm in arms:
    if not arm.summaries:
      continue
    name, summaries = arm.name, list(arm.summaries.values())
    facts["learning_rate"][name] = f"{arm.config['optim.learning_rate']:g}"
    if "parameters" in summaries[0]:
      facts["parameters"][name] = f"{summaries[0]['parameters']:,}"
    seconds = [s["seconds"] for s in summaries if "seconds" in s]
    if seconds:
      facts["seconds"][name] = f"{np.mean(seconds):.0f}"
    facts["seeds"][name] = str(len(summaries))
    if name in verdicts:
      facts["audit"][name] = verdicts[name]
    elif verdicts:
      facts["audit"][name] = "not audited"
  return facts


def _row(arm, columns, cells) -> table_lib.Row:
  name = arm.name
  done, asked = len(arm.summaries), arm.config["num_seeds"]
  if arm.error and done < asked:
    status = f"failed: {arm.error}"
  elif not done:
    status = "missing"
  elif done < asked:
    status = f"{done} of {asked} seeds"
  else:
    status = "done"
  own = {c: cells[c][name] for c in columns if name in cells[c]}
  return table_lib.Row(name, status, own)


def _chance_row(arms, columns) -> table_lib.Row:
  cells: dict[str, Any] = {}
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
      cells[column] = table_lib.Cell(
        across_seeds.Estimate(level, None, None, None, None, 0)
      )
    elif levels:
      cells[column] = "varies"
  return table_lib.Row("chance", "done", cells)


def to_dict(table: table_lib.Table) -> dict[str, Any]:
  """A table as JSON takes it; what is not a number is None."""

  def cell(c):
    if not isinstance(c, table_lib.Cell):
      return formats.cell_text("difference", c)
    values = dataclasses.asdict(c.estimate)
    if across_seeds.ends(c.estimate) is None:
      values |= {"low": None, "high": None, "p_value": None}
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
  fields = ("name", "question", "columns", "titles", "notes")
  return {k: getattr(table, k) for k in fields} | {"rows": rows}


def _json(table: table_lib.Table) -> str:
  return json.dumps(to_dict(table), indent=2) + "\n"


FORMATS = {
  "text": formats.text,
  "markdown": formats.markdown,
  "latex": latex.table,
  "csv": formats.csv_text,
  "json": _json,
  "html": formats.html_table,
}
# Ending -> format, of the files that a sweep's folder gets.
FILES = {
  "md": "markdown",
  "tex": "latex",
  "csv": "csv",
  "json": "json",
  "html": "html",
}


def write_all(table: table_lib.Table, folder: pathlib.Path) -> None:
  """Writes table.md, .tex, .csv, .json and .html into a folder."""
  for ending, name in FILES.items():
    # Whatever the locale; half a character in a name loses no table.
    text = FORMATS[name](table).encode(errors="backslashreplace")
    files.write(folder / f"table.{ending}", text)
