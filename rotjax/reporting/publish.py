"""A sweep's results as a few small files that a repository can keep."""

import pathlib

from rotjax.ablation import sweep as sweep_lib
from rotjax.figures import arms as arms_lib
from rotjax.figures import drawing, svg
from rotjax.reporting import results, tables
from rotjax.reporting import table as table_lib


def write(
  plan: sweep_lib.Sweep,
  workdir: pathlib.Path,
  table: table_lib.Table,
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
  with svg.style():
    if table.maes:
      figure = arms_lib.intervals(table.maes, values, {}, chance)
      drawing.save(figure, out / "intervals.png")
    if arms:
      first = {a.arm.name: next(iter(a.predictions.values())) for a in arms}
      drawing.save(arms_lib.donut_sheet(first), out / "donuts.png")
