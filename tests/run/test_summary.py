"""A run's table and files: what is shown, and that drawing loses nothing."""

import json

import numpy as np
import pytest

from rotjax import angles as angles_lib
from rotjax import metrics
from rotjax.figures import plots
from rotjax.metrics import angular
from rotjax.reporting import run_page
from rotjax.run import summary
from tests import pages, run_folders


def _summary(angles, error_deg=0.4, **test):
  """Of answers that are all off by so much."""
  example = np.arange(20)
  truth = angles.evaluation_deg(example, 6)
  p = metrics.Predictions(
    truth,
    angles_lib.wrap(truth + error_deg, angles.period_deg),
    example,
    np.full(20, 3),
    angles,
  )
  chance = {f"chance_{k}": v for k, v in metrics.chance(angles).items()}
  protocol = {
    "range_deg": list(angles.range_deg),
    "period_deg": angles.period_deg,
  }
  return {
    "protocol": protocol,
    "test": {**angular.compute(p), **chance, **test},
  }


def _words(found):
  return [row[0] for row in summary.rows(found)]


@pytest.mark.parametrize(
  "angles,within,others",
  [
    (
      angles_lib.Angles(),
      ["2°", "5°", "10°", "30°"],
      [
        "area under accuracy to 10°",
        *("off by a quarter turn", "off by a half turn"),
      ],
    ),
    (
      angles_lib.Angles(range_deg=(-10.0, 10.0)),
      ["0.25°", "0.5°", "1°", "2°"],
      ["area under accuracy to 2°"],
    ),
    (
      angles_lib.Angles(range_deg=(-45.0, 45.0)),
      ["0.5°", "1°", "2°", "5°"],
      ["area under accuracy to 10°", "off by a quarter turn"],
    ),
    (
      angles_lib.Angles(period_deg=180.0),
      ["1°", "2°", "5°", "10°"],
      ["area under accuracy to 10°", "off by about 45°", "off by about 90°"],
    ),
  ],
)
def test_rows_mean_something_on_the_range(angles, within, others):
  words = _words(_summary(angles))
  assert [w.removeprefix("within ") for w in words if "within" in w] == within
  assert [w for w in words if w.startswith(("area", "off"))] == others


def test_a_narrow_run_is_told_apart_from_chance():
  found = _summary(angles_lib.Angles(range_deg=(-10.0, 10.0)))
  rows = {row[0]: row[1:] for row in summary.rows(found)}
  # All are off by .4, and a constant is within t on t of the 10 degrees.
  assert rows["within 0.25°"] == ("0.0%", "2.5%")
  assert rows["within 0.5°"] == ("100.0%", "5.0%")
  text = summary.table(found)
  assert "angles from -10° to 10°" in text
  assert "angles from" not in summary.table(_summary(angles_lib.Angles()))
  lines = summary.table(_summary(angles_lib.Angles(period_deg=180.0)))
  assert "180° are one turn" in lines


def test_both_coverages_have_a_row_of_their_own():
  found = _summary(
    angles_lib.Angles(), coverage_90=0.721, recalibrated_coverage_90=0.954
  )
  rows = {row[0]: row[1] for row in summary.rows(found)}
  assert rows["coverage of its 90% regions"] == "72.1%"
  assert rows["the same, recalibrated"] == "95.4%"


def test_what_is_not_finite_or_not_known_is_said_or_left_out():
  found = _summary(angles_lib.Angles(), mae_deg=float("nan"), nll=None)
  found["test_interval"] = {"mae_deg": None, "median_deg": [1.0, 2.0]}
  rows = {row[0]: row[1:] for row in summary.rows(found)}
  assert rows["mean absolute error"][:2] == ("not finite", "")
  assert rows["median error"][1] == "1.00° to 2.00°"
  assert "negative log-likelihood (nats)" not in rows
  assert "nan" not in summary.table(found)


def test_a_run_and_its_page_state_the_same_interval(tmp_path):
  settings = run_folders.config()
  run_folders.write_run(tmp_path, settings, run_folders.predictions())
  file = tmp_path / "summary.json"
  found = json.loads(file.read_text())
  found["test_interval"] = {"mae_deg": [3.21, 5.43]}
  file.write_text(json.dumps(found))
  assert "3.21° to 5.43°" in summary.table(found)
  page = pages.Page(run_page.build(tmp_path))
  words = "".join(page.text)
  assert "95 % interval [3.21, 5.43] over images" in words
  table = next(rows for rows in page.tables.values() if rows[0][0] == "test")
  assert table[1][:3] == ["mean absolute error", table[1][1], "3.21° to 5.43°"]


def test_seeds_that_lack_a_metric_are_combined():
  parts = {
    0: {**_summary(angles_lib.Angles()), "test_other_warp": {"a": 1.0, "b": 2}},
    1: {**_summary(angles_lib.Angles(), 0.6), "test_other_warp": {"a": 3.0}},
  }
  del parts[1]["test"]["p90_deg"]
  found = summary.combine(parts)
  assert found["test"]["mae_deg"] == pytest.approx(0.5)
  assert "p90_deg" not in found["test"]
  assert found["test_other_warp"] == {"a": 2.0}
  assert "nan" not in summary.table(found)
  alone = summary.combine(
    {0: {**parts[0], "test_interval": {"mae_deg": [1, 2]}}}
  )
  assert alone["test_interval"] == {"mae_deg": [1, 2]}


def test_a_plot_that_fails_costs_only_itself(tmp_path, monkeypatch):
  def broken(*_):
    raise RuntimeError("no\nmemory")

  old = tmp_path / "plots" / "donut.png"
  old.parent.mkdir()
  old.write_bytes(b"of an earlier evaluation")
  monkeypatch.setattr(plots, "donut", broken)
  monkeypatch.setattr(plots, "gallery", lambda *_: None)
  failed = plots.write_all(tmp_path, None, run_folders.predictions())
  assert list(failed) == ["donut.png"]
  assert sorted(f.stem for f in (tmp_path / "plots").iterdir()) == [
    *("error_by_angle", "predicted_against_true", "reliability"),
  ]


@pytest.mark.parametrize(
  "angles",
  [
    angles_lib.Angles(),
    angles_lib.Angles(range_deg=(-10.0, 10.0)),
    angles_lib.Angles(range_deg=(350.0, 370.0)),
    angles_lib.Angles(period_deg=180.0),
    angles_lib.Angles("values", values_deg=(0.0, 90.0, 180.0, 270.0)),
    angles_lib.Angles("values", values_deg=(0.0,)),
  ],
)
@pytest.mark.parametrize("images", [1, 20])
def test_axes_span_the_angles_asked_about(angles, images):
  example = np.arange(images)
  truth = angles.evaluation_deg(example, 3)
  decoded = angles_lib.wrap(truth + 0.1, angles.period_deg)
  decoded[0, 0] += 170.0
  p = metrics.Predictions(truth, decoded, example, np.zeros(images), angles)
  axes = plots.predicted_against_true(p).axes[0]
  low, high = axes.get_xlim()
  assert axes.get_ylim() == (low, high)
  width = min(angles.width_deg, angles.period_deg)
  assert width - 1e-6 <= high - low <= max(1.2 * width, 1e-6)
  marks = np.concatenate(
    [np.asarray(c.get_offsets()) for c in axes.collections]
  )
  assert len(marks) == truth.size
  assert marks.min() >= low - 1e-6 and marks.max() <= high + 1e-6
  assert ("beyond" in axes.get_ylabel()) == (high - low < 100)
  curve = plots.error_by_angle(p).axes[0]
  assert curve.get_xlim() == (low, high)
  at = np.asarray(curve.lines[0].get_xdata())
  assert len(at) and at.min() >= low - 1e-6 and at.max() <= high + 1e-6
  assert np.isfinite(curve.lines[0].get_ydata()).all()
  plots.donut(p)
