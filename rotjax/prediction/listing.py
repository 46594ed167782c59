"""What is told of pictures, as a table for people and as CSV."""

from collections.abc import Iterable, Sequence
import csv
import io
import os
from typing import Any

from rotjax.prediction import answers, predictor
from rotjax.prediction import rows as rows_lib


def shown(path: str | os.PathLike) -> str:
  """A path on one line, whatever bytes it has."""
  return "".join(c if c.isprintable() else "?" for c in os.fspath(path))


def page_name(path: str | os.PathLike, page: int | None) -> str:
  """A page as ImageMagick and others name it, but counted from 1."""
  return shown(path) + ("" if page is None else f"[{page}]")


def _signed(angle_deg: float) -> str:
  text = f"{angle_deg:+.1f}°"
  return "0.0°" if text in ("+0.0°", "-0.0°") else text


def _asides(row: dict[str, Any]) -> str:
  """What else is to be known of an angle."""
  if row["blank"]:
    return ", but blank"
  if "moved_deg" not in row:
    return ""
  if row["not_moved"]:
    return f", {row['not_moved']}"
  return f", by its lines ({row['moved_deg']:+.2f}°)"


def table(
  rows: Sequence[dict[str, Any]], specs: Sequence[Any], within: Sequence[float]
) -> str:
  """What was told of the pictures, as text; "" for none.

  Args:
    rows: of a `pipeline.Pipeline`.
    specs: of the models that were asked.
    within: degrees, as its options have them.
  """
  if not rows:
    return ""
  head = ["picture", "angle", ""]
  several = len({row.get("model") for row in rows}) > 1
  lines = [[*head, *(f"within {d:g}°" for d in within), "or else"]]
  for row in rows:
    angle, second = row["angle_deg"], row["second_mode"]
    also = ""
    if second:
      also = f"{_signed(second['angle_deg'])} ({second['within_15_deg']:.0%})"
    # An earlier call, of files replaced in place, may have told others.
    shares = [row.get(rows_lib.within_key(d)) for d in within]
    sure = ["" if share is None else f"{share:.0%}" for share in shares]
    words = answers.in_words(angle) + _asides(row)
    if several:
      words += f", as {row.get('model')} tells"
    name = page_name(row["path"], row["page"])
    lines.append([name, _signed(angle), words, *sure, also])
  widths = [max(map(len, column)) for column in zip(*lines)]
  left = (0, 2)
  text = [
    "  ".join(
      f"{cell:<{w}}" if i in left else f"{cell:>{w}}"
      for i, (cell, w) in enumerate(zip(line, widths))
    ).rstrip()
    for line in lines
  ]
  if any(row["blank"] for row in rows):
    text.append(
      "Blank: one colour where the network looks. Nothing tells the turn."
    )
  text += dict.fromkeys(
    f"Trained on {spec.trained}: of others an answer means nothing, however"
    " sure."
    if spec.trained != predictor.EVERY_TURN
    else "Trained on every turn."
    for spec in specs
  )
  text += dict.fromkeys(
    f"Angles are known modulo {spec.period_deg:g}°."
    for spec in specs
    if spec.period_deg < 360
  )
  return "\n".join(text) + "\n"


def as_csv(rows: Iterable[dict[str, Any]], within: Sequence[float]) -> bytes:
  """The same as CSV; a path keeps the bytes that it has."""
  columns = [
    *(
      "path",
      "page",
      "angle_deg",
      *map(rows_lib.within_key, within),
      *("spread_deg", "moved_deg", "not_moved"),
    ),
    *("model", "model_sure", "blank", "outcome", "turned_back_deg", "upright"),
  ]
  text = io.StringIO()
  writer = csv.DictWriter(text, columns, extrasaction="ignore", restval="")
  writer.writeheader()
  writer.writerows(rows)
  return text.getvalue().encode("utf-8", "surrogateescape")
