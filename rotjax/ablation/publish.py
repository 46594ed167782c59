"""A sweep's results as a few small files that a repository can keep."""

import pathlib

from rotjax.ablation import plots, results, tables
from rotjax.ablation import sweep as sweep_lib
from rotjax.reporting import figures


def write(
  plan: sweep_lib.Sweep,
  workdir: pathlib.Path,
  table: tables.Table,
  out: pathlib.Path,
) -> None:
  """The table in every format, intervals.png and donuts.png.

  Args:
    plan: the sweep.
    workdir: of the sweep.
    table: made from it.
    out: where the files go.
  """
  out.mkdir(parents=True, exist_ok=True)
  tables.write_all(table, out)
  arms = [a for a in results.read_all(plan, workdir) if a.predictions]
  estimates = {}
  for row in table.rows:
    cell = row.cells.get("mae_deg")
    if isinstance(cell, tables.Cell):
      estimates[row.name] = cell.estimate
  chance = estimates.pop("chance", None)
  values = {
    a.arm.name: [s["test"]["mae_deg"] for s in a.summaries.values()]
    for a in arms
  }
  with figures.style():
    if estimates:
      level = None if chance is None else chance.mean
      figure = plots.intervals(estimates, values, {}, level)
      figure.savefig(out / "intervals.png", dpi=120)
    if arms:
      first = {a.arm.name: next(iter(a.predictions.values())) for a in arms}
      plots.donut_sheet(first).savefig(out / "donuts.png", dpi=120)
