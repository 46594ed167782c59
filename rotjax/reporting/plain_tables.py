"""Tables of what an experiment of its own measured, not of arms."""

from collections.abc import Callable, Mapping, Sequence
import csv
import pathlib
from typing import Any


def write(
  stem: pathlib.Path,
  rows: Sequence[Mapping[str, Any]],
  shown: Callable[[str, Any], str],
) -> None:
  """Writes rows as CSV, in full, and as a Markdown table, rounded.

  Args:
    stem: of both files' names.
    rows: of equal columns; texts and numbers.
    shown: a column's name and a value of it -> its text in the Markdown table.

  Raises:
    OSError: a file cannot be written.
  """
  with open(
    stem.with_suffix(".csv"), "w", encoding="utf-8", newline=""
  ) as file:
    writer = csv.DictWriter(file, rows[0], lineterminator="\n")
    writer.writeheader()
    for row in rows:
      numbers = {k: v for k, v in row.items() if not isinstance(v, (str, int))}
      writer.writerow({**row, **{k: f"{v:.6g}" for k, v in numbers.items()}})
  lines = [list(rows[0]), ["---"] * len(rows[0])]
  lines += [[shown(k, v) for k, v in row.items()] for row in rows]
  text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
  stem.with_suffix(".md").write_text(text, "utf-8")
