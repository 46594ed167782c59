"""A table as text, Markdown, LaTeX, CSV and HTML."""

import csv
import html
import io
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # tables imports this file
  from rotjax.ablation import tables

# Columns whose numbers want three decimals, not two.
_FINE = ("acc", "auc", "near_", "occupancy", "saturated_share", "tanh_slope")


def p_text(p: float | None) -> str:
  """A p-value as tables have it; "" where there is none."""
  if p is None:
    return ""
  return "p<.001" if p < 0.001 else f"p={p:.3f}".replace("0.", ".")


def difference_text(e: Any, p: float | None) -> str:
  """An `Estimate` of a difference and its p-value, as far as there are any."""
  text = f"{e.mean:+.2f}"
  if e.low is not None:
    text += f" [{e.low:+.2f}, {e.high:+.2f}]"
  return f"{text} {p_text(p)}".rstrip()


def cell_text(key: str, cell: Any) -> str:
  """A cell without its marks: "3.02 ± 0.05 [2.91, 3.13]"."""
  if cell is None or isinstance(cell, str):
    return cell or ""
  e = cell.estimate
  # A share or a p-value near zero must not read as zero.
  key = key.removeprefix("other_warp.")
  fine = key.startswith(_FINE) or key.endswith(("_p", "_excess"))
  digits = 3 if fine else 2
  if key.endswith("_p"):  # of several seeds, the mean
    return "<.001" if e.mean < 0.001 else f"{e.mean:.3f}"
  text = f"{e.mean:.{digits}f}"
  if e.sd is not None:
    text += f" ± {e.sd:.{digits}f}"
  if e.low is not None:
    text += f" [{e.low:.{digits}f}, {e.high:.{digits}f}]"
  return text


def _grid(table, mark) -> list[list[str]]:
  """Heading and rows as strings; `mark(text, best, tied)` marks a cell."""
  lines = [["arm", *(table.titles[c] for c in table.columns)]]
  for row in table.rows:
    line = [row.name if row.status == "done" else f"{row.name} ({row.status})"]
    for key in table.columns:
      cell = row.cells.get(key)
      text = cell_text(key, cell)
      best = getattr(cell, "best", False)
      line.append(mark(text, best, getattr(cell, "tied", False)))
    lines.append(line)
  return lines


def text(table: "tables.Table") -> str:
  """Aligned columns for a terminal; * marks the best."""
  grid = _grid(table, lambda t, best, tied: t + " *" * best + " =" * tied)
  widths = [max(map(len, column)) for column in zip(*grid)]
  lines = [
    "  ".join(cell.ljust(w) for cell, w in zip(line, widths)).rstrip()
    for line in grid
  ]
  lines.insert(1, "-" * (sum(widths) + 2 * len(widths) - 2))
  notes = [note.replace("bold is", "* is") for note in table.notes]
  return "\n".join([*lines, "", *notes]) + "\n"


def markdown(table: "tables.Table") -> str:
  """With notes below."""

  def mark(text, best, tied):
    return f"**{text}**" if best else text + " =" * tied

  escaped = [
    [cell.replace("|", "\\|") for cell in line] for line in _grid(table, mark)
  ]
  lines = ["| " + " | ".join(line) + " |" for line in escaped]
  lines.insert(1, "|" + "---|" * (len(table.columns) + 1))
  return "\n".join([*lines, "", *(f"- {n}" for n in table.notes)]) + "\n"


def latex(table: "tables.Table") -> str:
  """For booktabs; needs \\usepackage{booktabs}."""
  replaced = str.maketrans(
    {
      "°": r"\textdegree{}",
      "±": r"$\pm$",
      "%": r"\%",
      "_": r"\_",
      "&": r"\&",
      "#": r"\#",
      "<": r"$<$",
      "\\": r"\textbackslash{}",
    }
  )

  def mark(text, best, tied):
    return f"\0{text}\1" if best else text + " =" * tied

  lines = [
    " & ".join(cell.translate(replaced) for cell in line) + r" \\"
    for line in _grid(table, mark)
  ]
  lines = [line.replace("\0", r"\textbf{").replace("\1", "}") for line in lines]
  columns = "l" * (len(table.columns) + 1)
  head, *body = lines
  return (
    "\n".join(
      [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        head,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        *(f"% {note}" for note in table.notes),
      ]
    )
    + "\n"
  )


def csv_text(table: "tables.Table") -> str:
  """Every number in a column of its own, unrounded."""
  parts = ("mean", "sd", "low", "high")
  numeric = {
    key
    for key in table.columns
    for row in table.rows
    if hasattr(row.cells.get(key), "estimate")
  }
  out = io.StringIO()
  writer = csv.writer(out, lineterminator="\n")
  head = ["arm", "status"]
  for key in table.columns:
    head += [f"{key}_{p}" for p in parts] if key in numeric else [key]
  writer.writerow(head)
  for row in table.rows:
    line = [row.name, row.status]
    for key in table.columns:
      cell: Any = row.cells.get(key)
      if key not in numeric:
        line.append(cell or "")
      elif hasattr(cell, "estimate"):
        values = [getattr(cell.estimate, part) for part in parts]
        line += [
          "" if v is None or not math.isfinite(v) else f"{v:.6g}"
          for v in values
        ]
      else:
        line += [cell or "", "", "", ""]
    writer.writerow(line)
  return out.getvalue()


def html_table(table: "tables.Table") -> str:
  """A <table> and its notes; `data-sort` holds what a column sorts by."""
  lines = ['<table class="results"><thead><tr>']
  head = ["arm", *(table.titles[c] for c in table.columns)]
  lines += [f"<th>{html.escape(title)}</th>" for title in head]
  lines.append("</tr></thead><tbody>")
  for row in table.rows:
    name = row.name if row.status == "done" else f"{row.name} ({row.status})"
    kind = ' class="chance"' if row.name == "chance" else ""
    lines.append(f"<tr{kind}><td>{html.escape(name)}</td>")
    for key in table.columns:
      cell: Any = row.cells.get(key)
      shown = html.escape(cell_text(key, cell))
      value = cell.estimate.mean if hasattr(cell, "estimate") else (cell or "")
      sort = html.escape(str(value), quote=True)
      if getattr(cell, "best", False):
        shown = f"<b>{shown}</b>"
      elif getattr(cell, "tied", False):
        shown += " ="
      lines.append(f'<td data-sort="{sort}">{shown}</td>')
    lines.append("</tr>")
  lines.append("</tbody></table><ul>")
  lines += [f"<li>{html.escape(note)}</li>" for note in table.notes]
  return "\n".join([*lines, "</ul>"]) + "\n"


FORMATS = {
  "text": text,
  "markdown": markdown,
  "latex": latex,
  "csv": csv_text,
  "html": html_table,
}
# Ending -> format, of the files that a sweep's folder gets.
FILES = {
  "md": markdown,
  "tex": latex,
  "csv": csv_text,
  "html": html_table,
}
