"""experiments/documents.py: what it counts, by methods of known errors."""

import csv

import numpy as np
import PIL.Image
import pytest

from experiments import documents
from rotjax.config import shipped
from rotjax.reporting import plain_tables


@pytest.fixture(name="pages")
def _pages():
  return {
    name: PIL.Image.new("L", (30, 20), 255)
    for name in ("a.png", "eurotext.png")
  }


def _saying(angles_deg, off):
  """A method that answers in the order in which it is asked, `off` away."""
  answers = iter([0.0, *(angles_deg + off).ravel().tolist()])
  return lambda _: next(answers)


def test_errors_are_signed_wrapped_and_corrected(pages):
  angles = np.array([[-179.9, 10.0], [20.0, 30.0]])
  found = documents.measured(_saying(angles, 0.0), pages, angles)
  # eurotext lies 0.76 degrees to the right already.
  np.testing.assert_allclose(found["error"], [[0, 0], [0.76, 0.76]], atol=1e-9)
  found = documents.measured(_saying(angles, 360.2), pages, angles)
  np.testing.assert_allclose(found["error"][0], 0.2, atol=1e-9)


def test_rows_count_flips_and_silence(pages):
  angles = np.zeros((2, 4))
  off = np.array([[0.05, 180, -0.05, 0.05], [-0.76, -0.76, 89.24, np.nan]])
  found = documents.measured(_saying(angles, off), pages, angles)
  row = documents.circle_row("m", found, "")
  assert row["right way up"] == 5 / 8 and row["worst page"] == 0.5
  assert row["then MAE (°)"] == pytest.approx(3 * 0.05 / 5)
  row = documents.tilt_row("m", found, "tell anything")
  assert row["no answer"] == 1 and row["within 0.1°"] == 5 / 8


def test_others_are_asked_once(pages, tmp_path):
  angles = np.zeros((2, 1))
  file = tmp_path / "others" / "a.npz"
  first = documents._kept(file, lambda _: 1.0, pages, angles)
  again = documents._kept(file, None, pages, angles)
  np.testing.assert_array_equal(first["error"], again["error"])
  other = documents._kept(file, lambda _: 1.0, pages, angles + 1)
  np.testing.assert_allclose(other["error"], first["error"] - 1)


def test_the_tables_of_a_few_views(tmp_path, monkeypatch):
  for others in ("TILT", "CIRCLE"):
    monkeypatch.setattr(documents, others, {})
  pages = {"a.png": PIL.Image.new("L", (60, 40), 255)}
  model = shipped.FOLDER / "documents"
  rows = documents.compare(pages, model, 2, tmp_path)
  (always, lines, *_) = rows["tilt"]
  assert always["method"] == "always 0°" and 0 < always["MAE (°)"] < 15
  # A blank page has none.
  assert lines["no answer"] == 2
  plain_tables.write(tmp_path / "tilt", rows["tilt"], documents._shown)
  with open(tmp_path / "tilt.csv") as file:
    assert len(list(csv.DictReader(file))) == len(rows["tilt"])
  names = [row["method"] for row in rows["circle"]]
  assert names == ["rotjax, network", "rotjax, network, lines and letters"]
  assert "| always 0° | " in (tmp_path / "tilt.md").read_text()
