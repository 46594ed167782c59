"""What a table holds: rows, cells, comparisons; the input of every format."""

from collections.abc import Sequence
import dataclasses
from typing import Any

from rotjax.metrics import across_seeds
from rotjax.reporting import results


@dataclasses.dataclass(frozen=True)
class Cell:
  """A number of the table.

  Attributes:
    estimate: mean, spread and interval; the latter None where the metric is no
      mean or median over views, or belongs to a fact.
    best: whether it is the best of its column.
    tied: whether it differs from the best at the 5 % level, after Holm, not.
  """

  estimate: across_seeds.Estimate
  best: bool = False
  tied: bool = False


@dataclasses.dataclass(frozen=True)
class Comparison:
  """An arm's error less the baseline's.

  Attributes:
    estimate: of the difference; its interval may not be known.
    p_value: of all comparisons together (Holm); None where there is none.
  """

  estimate: across_seeds.Estimate
  p_value: float | None


@dataclasses.dataclass(frozen=True)
class Row:
  """An arm of the table.

  Attributes:
    name: of the arm.
    status: "done", "2 of 3 seeds", "failed: ..." or "missing".
    cells: column -> what it shows, where there is something.
  """

  name: str
  status: str
  cells: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Table:
  """A sweep's results.

  Attributes:
    name: of the sweep.
    question: what it asks.
    columns: keys, in order.
    titles: key -> heading.
    rows: arms, in order; the last one is the chance level.
    notes: what a reader must know beside the numbers.
    maes: arm -> its mean absolute error, whether that is a column or not.
    arms: what the rows were made from, in the sweep's order.
  """

  name: str
  question: str
  columns: Sequence[str]
  titles: dict[str, str]
  rows: list[Row]
  notes: list[str]
  maes: dict[str, across_seeds.Estimate]
  arms: list[results.Results]
