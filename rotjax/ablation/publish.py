"""A sweep's results as a few small files that a repository can keep."""

import pathlib

from rotjax import drawing
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
  levels = {
    s["test"].get("chance_mae_deg") for a in arms for s in a.summaries.values()
  }
  chance = levels.pop() if len(levels) == 1 else None
  values = {
    a.arm.name: [s["test"]["mae_deg"] for s in a.summaries.values()]
    for a in arms
  }
  with figures.style():
    if table.maes:
      figure = plots.intervals(table.maes, values, {}, chance)
      drawing.save(figure, out / "intervals.png")
    if arms:
      first = {a.arm.name: next(iter(a.predictions.values())) for a in arms}
      drawing.save(plots.donut_sheet(first), out / "donuts.png")
