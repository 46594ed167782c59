"""A sweep's results as a few small files that a repository can keep."""

import pathlib

from rotjax.figures import arms as arms_lib
from rotjax.figures import drawing, svg
from rotjax.reporting import table as table_lib
from rotjax.reporting import tables


def write(
  table: table_lib.Table,
  out: pathlib.Path,
) -> None:
  """Writes the table in every format, intervals.png and donuts.png.

  Args:
    table: of the sweep.
    out: where the files go.
  """
  out.mkdir(parents=True, exist_ok=True)
  tables.write_all(table, out)
  arms = [a for a in table.arms if a.predictions]
  levels = {
    s["test"].get("chance_mae_deg") for a in arms for s in a.summaries.values()
  }
  chance = levels.pop() if len(levels) == 1 else None
  values = {
    a.name: [s["test"]["mae_deg"] for s in a.summaries.values()] for a in arms
  }
  with svg.style():
    if table.maes:
      figure = arms_lib.intervals(table.maes, values, {}, chance)
      drawing.save(figure, out / "intervals.png")
    if arms:
      first = {a.name: next(iter(a.predictions.values())) for a in arms}
      drawing.save(arms_lib.donut_sheet(first), out / "donuts.png")
