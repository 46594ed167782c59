"""What is told of pages: a dict each, JSON-able; docs/glossary.md names all."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rotjax.prediction import answers as answers_lib


def within_key(degrees: float) -> str:
  """What the probability of so many degrees is called in a row."""
  return f"within_{degrees:g}_deg"


def of(
  answers: answers_lib.Answers, spec: Any, within: Sequence[float]
) -> Iterator[dict[str, Any] | None]:
  """What is told of each page; None of an answer that is no number."""
  near = [answers.within(degrees) for degrees in within]
  spread, blank = answers.spread(), answers.blank
  if blank is None:
    blank = np.zeros(len(spread), bool)
  trained = {
    f"trained_{kind}_deg": getattr(spec, f"trained_{kind}_deg")
    for kind in ("range", "values")
  }
  for n, (also, share) in enumerate(zip(*answers.second_mode())):
    if not np.isfinite([answers.angle_deg[n], *(p[n] for p in near)]).all():
      yield None
      continue
    row: dict[str, Any] = {"angle_deg": round(answers.angle_deg[n], 4)}
    for degrees, probability in zip(within, near):
      row[within_key(degrees)] = round(probability[n], 4)
    row["spread_deg"] = round(spread[n], 2)
    row["second_mode"] = None
    if not np.isnan(also):
      row["second_mode"] = {
        "angle_deg": round(also, 4),
        "within_15_deg": round(share, 4),
      }
    yield row | {"blank": bool(blank[n]), **trained}
