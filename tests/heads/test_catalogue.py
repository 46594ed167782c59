"""The literature's rows: all there, all build, and which of them are one."""

import pytest

from rotjax import heads
from rotjax.heads import catalogue, unimodal
from tests.heads import cases


def test_every_row_is_there_but_those_left_out():
  ranges = {"A": 10, "B": 18, "C": 12, "D": 12}
  expected = {f"{k}{i}" for k, n in ranges.items() for i in range(1, n + 1)}
  expected -= {"D4", "D9", "D11"}
  assert {row.split()[0] for row in catalogue.CATALOGUE} == expected


@pytest.mark.parametrize("row", catalogue.CATALOGUE)
def test_row_builds(row):
  head, rest = cases.build(catalogue.CATALOGUE[row])
  assert type(head) in heads.HEADS.values()
  assert head.num_outputs > 0
  # A symmetric content's circle is not the head's affair.
  expected = (
    {"angles.period_deg": "180"} if row in ("B17", "D12 Bingham") else {}
  )
  assert rest == expected


def test_rows_that_are_one_row():
  row = {k: cases.build(line)[0] for k, line in catalogue.CATALOGUE.items()}
  assert row["B6"] == row["B13"]
  assert row["D2"] == row["D12 Bingham"] == unimodal.VonMises()
  assert row["B3"] == row["B17"]
