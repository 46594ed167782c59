"""A table as text, Markdown, LaTeX, CSV and HTML."""

from collections.abc import Callable
import csv
import html
import io
import re
from typing import Any

from rotjax.figures import panels
from rotjax.metrics import across_seeds, catalogue
from rotjax.reporting import table as table_lib


def p_text(p: float | None) -> str:
  """A p-value as tables have it; "" where there is none."""
  if p is None:
    return ""
  return "p<.001" if p < 0.001 else f"p={p:.3f}".replace("0.", ".")


def cell_text(key: str, cell: Any) -> str:
  """A cell without its marks: "3.02 ± 0.05 [2.91, 3.13]"."""
  if cell is None or isinstance(cell, str):
    return cell or ""
  e = cell.estimate
  if not across_seeds.known(e.mean):
    return "–"
  if hasattr(cell, "p_value"):
    between = [_number(end, "+.2f") for end in across_seeds.ends(e) or ()]
    p = p_text(cell.p_value)
    mean = _number(e.mean, "+.2f")
    return f"{mean} [{', '.join(between) or '–'}] {p}".rstrip()
  form = f".{catalogue.row(key).digits}f"
  if key.endswith("_p"):  # of several seeds, the mean
    return "<.001" if e.mean < 0.001 else f"{e.mean:.3f}"
  text = _number(e.mean, form)
  if across_seeds.known(e.sd):
    text += f" ± {_number(e.sd, form)}"
  if ends := across_seeds.ends(e):
    text += f" [{', '.join(_number(end, form) for end in ends)}]"
  return text


def _number(value: float, form: str) -> str:
  """A number as text; one that rounds to zero has no minus."""
  text = format(value, form)
  return text if float(text) else format(0.0, form)


def one_line(text: str) -> str:
  """Text without line breaks and control characters."""
  spaced = "".join(c if c.isprintable() else " " for c in text)
  return " ".join(spaced.split())


def label(row: table_lib.Row, whole: bool = True) -> str:
  """A row's first cell: the arm, and why it has no results."""
  name = one_line(row.name)
  text = name if whole else panels.shortened(name)
  if row.status != "done":
    text += f" ({one_line(row.status)})"
  return text


def grid(
  table: table_lib.Table,
  mark: Callable[[str, bool, bool], str],
  name: Callable[[str], str] = str,
  whole: bool = True,
) -> list[list[str]]:
  """The heading and rows of a table as strings.

  Args:
    table: the table.
    mark: cell's text, whether it is best, whether it is tied -> text.
    name: what becomes of headings and of the rows' first cells.
    whole: whether long names stay as long as they are.
  """
  titles = [one_line(table.titles[c]) for c in table.columns]
  head = ["arm", *(titles if whole else map(panels.shortened, titles))]
  lines = [[name(title) for title in head]]
  for row in table.rows:
    line = [name(label(row, whole))]
    for key in table.columns:
      cell = row.cells.get(key)
      best, tied = getattr(cell, "best", False), getattr(cell, "tied", False)
      line.append(mark(one_line(cell_text(key, cell)), best, tied))
    lines.append(line)
  return lines


def text(table: table_lib.Table) -> str:
  """The table in aligned columns for a terminal; * marks the best."""
  lines = grid(
    table, lambda t, best, tied: t + " *" * best + " =" * tied, whole=False
  )
  widths = [max(map(len, column)) for column in zip(*lines)]
  rows = [
    "  ".join(cell.ljust(w) for cell, w in zip(line, widths)).rstrip()
    for line in lines
  ]
  rows.insert(1, "-" * (sum(widths) + 2 * len(widths) - 2))
  notes = [note.replace("bold is", "* is") for note in table.notes]
  return "\n".join([*rows, "", *notes]) + "\n"


# What Markdown would take for markup; an underscore within a word is none.
_MARKUP = re.compile(
  r"[\\`*<|$~]|&(?=#?\w+;)|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])"
)


def _as_markdown(text: str) -> str:
  return _MARKUP.sub(lambda match: "\\" + match[0], text)


def markdown(table: table_lib.Table) -> str:
  """The table as Markdown, its notes below."""

  def mark(text, best, tied):
    text = text.replace("|", "\\|")
    return f"**{text}**" if best else text + " =" * tied

  lines = [
    "| " + " | ".join(line) + " |" for line in grid(table, mark, _as_markdown)
  ]
  lines.insert(1, "|" + "---|" * (len(table.columns) + 1))
  notes = [f"- {_as_markdown(one_line(note))}" for note in table.notes]
  return "\n".join([*lines, "", *notes]) + "\n"


def _as_text(value: str) -> str:
  """A CSV cell that a spreadsheet does not take for a formula."""
  return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t")) else value


def csv_text(table: table_lib.Table) -> str:
  """The table as CSV: every number in a column of its own, unrounded."""
  parts: dict[str, tuple[str, ...]] = {}
  for key in table.columns:
    cells = [row.cells.get(key) for row in table.rows]
    if any(hasattr(cell, "estimate") for cell in cells):
      parts[key] = ("mean", "sd", "low", "high")
    if any(hasattr(cell, "p_value") for cell in cells):
      parts[key] += ("p",)
  out = io.StringIO()
  writer = csv.writer(out, lineterminator="\n")
  head = ["arm", "status"]
  for key in table.columns:
    head += [f"{key}_{p}" for p in parts[key]] if key in parts else [key]
  writer.writerow(head)
  for row in table.rows:
    line = [_as_text(row.name), _as_text(row.status)]
    for key in table.columns:
      cell: Any = row.cells.get(key)
      if hasattr(cell, "estimate"):
        e = cell.estimate
        values = [e.mean, e.sd, *(across_seeds.ends(e) or (None, None))]
        if "p" in parts[key]:
          values.append(cell.p_value)
        line += [
          "" if not across_seeds.known(v) else f"{v:.6g}" for v in values
        ]
      else:
        if key == "parameters":  # a number here, not for reading
          cell = (cell or "").replace(",", "")
        line += [_as_text(cell or ""), *[""] * (len(parts.get(key, "1")) - 1)]
    writer.writerow(line)
  return out.getvalue()


def html_table(table: table_lib.Table) -> str:
  """A <table> and its notes; `data-sort` holds what a column sorts by."""
  lines = ['<table class="results"><thead><tr>']
  head = ["arm", *(table.titles[c] for c in table.columns)]
  lines += [f"<th>{html.escape(title)}</th>" for title in head]
  lines.append("</tr></thead><tbody>")
  for row in table.rows:
    name = label(row)
    kind = ' class="chance"' if row.name == "chance" else ""
    lines.append(f"<tr{kind}><td>{html.escape(name)}</td>")
    for key in table.columns:
      cell: Any = row.cells.get(key)
      content = html.escape(cell_text(key, cell))
      value = cell or ""
      if hasattr(cell, "estimate"):
        value = (
          cell.estimate.mean if across_seeds.known(cell.estimate.mean) else ""
        )
      sort = html.escape(str(value), quote=True)
      if getattr(cell, "best", False):
        content = f"<b>{content}</b>"
      elif getattr(cell, "tied", False):
        content += " ="
      lines.append(f'<td data-sort="{sort}">{content}</td>')
    lines.append("</tr>")
  lines.append("</tbody></table><ul>")
  lines += [f"<li>{html.escape(note)}</li>" for note in table.notes]
  return "\n".join([*lines, "</ul>"]) + "\n"
