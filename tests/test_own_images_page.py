"""experiments/own_images.py: its tables, and the bar that it measures with."""

import csv
import json
import pathlib

import numpy as np
import pytest

from experiments import own_images
from rotjax.reporting import plain_tables

RESULTS = pathlib.Path("experiments/results/own_images")


@pytest.mark.parametrize("name", ["results", "worst", "deskew"])
def test_a_stored_table_is_the_one_its_csv_gives(name):
  with open(RESULTS / f"{name}.csv") as file:
    rows = list(csv.DictReader(file))
  lines = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (RESULTS / f"{name}.md").read_text().splitlines()
  ]
  assert rows and lines[0] == list(rows[0])
  for row, line in zip(rows, lines[2:], strict=True):
    for value, cell in zip(row.values(), line, strict=True):
      if cell.endswith("%") and value != cell:
        assert f"{100 * float(value):.0f}%" == cell
      elif value != cell:
        assert f"{float(value):.2f}" == cell


def test_the_page_shows_all_of_its_tables():
  page = (RESULTS / "README.md").read_text()
  for name in ("results", "worst", "deskew"):
    assert f"<!-- table: {RESULTS}/{name}.md -->" in page


def test_chance_and_ratio_of_the_stored_rows():
  with open(RESULTS / "results.csv") as file:
    for row in csv.DictReader(file):
      half = 10 if "deskew" in row["arm"] else 180
      # Of angles that are uniform, the best constant answer errs by half.
      assert float(row["chance (°)"]) == pytest.approx(half / 2, rel=0.02)
      ratio = float(row["MAE (°)"]) / float(row["chance (°)"])
      assert float(row["MAE / chance"]) == pytest.approx(ratio, rel=1e-4)


def test_errors_go_round_the_circle(tmp_path):
  np.savez(
    tmp_path / "predictions.npz",
    true_deg=[[179.0, -170.0], [0.0, 5.0]],
    predicted_deg=[[-179.0, 170.0], [3.0, 5.0]],
  )
  expected = [[2, 20], [3, 0]]
  np.testing.assert_allclose(
    own_images.errors_deg(tmp_path), expected, atol=1e-9
  )


def test_pages_are_turned_counter_clockwise():
  page = np.full((40, 60), 255, np.uint8)
  page[5:8, 10:50] = 0
  (quarter,) = own_images.turned(page, [90])
  np.testing.assert_array_equal(quarter, np.rot90(page))


def test_the_classical_bar_has_our_sign():
  pytest.importorskip("deskew")
  page = np.full((300, 600), 255, np.uint8)
  for top in range(40, 260, 40):
    page[top : top + 12, 60:540] = 0
  angles = np.array([[-6.0, 3.0]])
  found = own_images.deskewed(
    [page], angles, min_angle=-10, max_angle=10, min_deviation=0.1
  )
  np.testing.assert_allclose(found, angles, atol=0.3)


def test_smallest_shares_and_no_answers_are_counted():
  error = np.array([0.2, 0.7, 1.5, np.nan])
  row = own_images._row("m", "page", error, 1)
  assert row["MAE (°)"] == pytest.approx(0.8)
  assert [row[f"within {t}°"] for t in (0.5, 1, 2)] == [0.25, 0.5, 0.75]
  assert row["no answer"] == 1


def test_tables_are_written_in_full_and_rounded(tmp_path):
  rows = [{"arm": "a", "n": 3, "MAE (°)": 1.23456789, "within 1°": 0.256}]
  plain_tables.write(tmp_path / "t", rows, own_images._shown)
  with open(tmp_path / "t.csv") as file:
    (stored,) = csv.DictReader(file)
  assert stored == json.loads(
    '{"arm": "a", "n": "3", "MAE (°)": "1.23457", "within 1°": "0.256"}'
  )
  text = (tmp_path / "t.md").read_text().splitlines()
  assert text[2] == "| a | 3 | 1.23 | 26% |"
