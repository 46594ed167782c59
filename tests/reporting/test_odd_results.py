"""Tables and pages of results that lack something, or are not numbers."""

import dataclasses
import json
import math
import shutil

import numpy as np
import pytest

from rotjax import angles as angles_lib
from rotjax import errors, metrics
from rotjax.ablation import manifest
from rotjax.metrics import across_seeds
from rotjax.reporting import (
  formats,
  publish,
  run_page,
  sweep_page,
  tables,
)
from rotjax.reporting import table as table_lib
from rotjax.run import summary as summary_lib
from tests import pages, run_folders
from tests.ablation import synthetic


def _edit(folder, change):
  file = folder / "summary.json"
  summary = json.loads(file.read_text())
  change(summary)
  file.write_text(json.dumps(summary))


def _every_format(table, folder):
  tables.write_all(table, folder)
  return "".join(
    (folder / f"table.{ending}").read_text(encoding="utf-8")
    for ending in tables.FILES
  )


@pytest.mark.parametrize("none", [None, math.nan])
def test_no_interval_is_a_dash_and_no_p(none):
  estimate = across_seeds.Estimate(1.5, None, none, none, none, 1)
  shown = formats.cell_text("", table_lib.Comparison(estimate, None))
  assert shown == "+1.50 [–]"
  assert formats.cell_text("mae_deg", table_lib.Cell(estimate)) == "1.50"
  # A standard error of zero says nothing about another sample.
  flat = across_seeds.Estimate(1.5, 0.0, 1.5, 1.5, 0.0, 3)
  assert formats.cell_text("", table_lib.Comparison(flat, None)) == "+1.50 [–]"
  assert formats.cell_text("mae_deg", table_lib.Cell(flat)) == "1.50 ± 0.00"
  lost = across_seeds.Estimate(math.nan, math.nan, none, none, none, 2)
  assert formats.cell_text("mae_deg", table_lib.Cell(lost)) == "–"


def test_what_rounds_to_zero_has_no_minus():
  estimate = across_seeds.Estimate(-0.001, 0.001, -0.004, 0.002, 0.5, 2)
  cell = formats.cell_text("nll", table_lib.Cell(estimate))
  assert cell == "0.00 ± 0.00 [0.00, 0.00]"
  difference = formats.cell_text("", table_lib.Comparison(estimate, 0.5))
  assert difference == "+0.00 [+0.00, +0.00] p=.500"


def _one_image(p):
  first = {
    name: getattr(p, name)[:1]
    for name in ("true_deg", "predicted_deg", "example", "label")
  }
  scores = {name: values[:1] for name, values in p.scores.items()}
  return dataclasses.replace(p, **first, scores=scores)


def test_one_test_picture(tmp_path):
  arms = [synthetic.arm("a"), synthetic.arm("b", num_steps=7)]
  plan = synthetic.sweep(arms)
  manifest.write(tmp_path, plan)
  for i, arm in enumerate(arms):
    p = _one_image(run_folders.predictions(5.0 + i, i))
    folder = manifest.seed_folders(tmp_path, arm)[0]
    run_folders.write_run(folder, arm.config, p)
  table = tables.build(plan, tmp_path)
  text = _every_format(table, tmp_path)
  assert "nan" not in text and "p<.001" not in text and "p=" not in text
  assert "[–]" in formats.text(table)
  assert "too few" in formats.text(table)
  assert "nan" not in "".join(
    pages.assert_alone(sweep_page.build(tmp_path)).text
  )
  folder = manifest.seed_folders(tmp_path, arms[0])[0]
  words = "".join(pages.assert_alone(run_page.build(folder)).text)
  assert "nan" not in words


def test_equal_results_are_tied_without_a_p(tmp_path):
  arms = [synthetic.arm(n, num_steps=5 + i) for i, n in enumerate("abc")]
  plan = synthetic.sweep(arms)
  manifest.write(tmp_path, plan)
  for arm, scale in zip(arms, (4.0, 4.0, 40.0), strict=True):
    synthetic.finish_run(tmp_path, arm, 0, scale, 3)
  rows = {row.name: row.cells for row in tables.build(plan, tmp_path).rows}
  assert rows["a"]["mae_deg"].best and rows["b"]["mae_deg"].tied
  assert not rows["c"]["mae_deg"].tied
  assert formats.cell_text("", rows["b"]["difference"]) == "+0.00 [–]"
  assert "p<.001" in formats.cell_text("", rows["c"]["difference"])


def test_predictions_that_are_not_finite(tmp_path):
  arms = {"good": run_folders.config(), "lost": run_folders.config(num_steps=5)}
  plan = run_folders.write_sweep(tmp_path / "s", arms, sds={"good": 5.0})
  lost = plan.arms[1]
  p = run_folders.predictions()
  p.predicted_deg[:] = np.nan
  for values in p.scores.values():
    values[:] = np.nan
  p = dataclasses.replace(p)
  folder = manifest.seed_folders(tmp_path / "s", lost)[0]
  shutil.copytree(
    manifest.seed_folders(tmp_path / "s", plan.arms[0])[0], folder
  )
  summary_lib.save_predictions(folder / "predictions.npz", p)
  test = metrics.angular.error_metrics(p.error_deg, 360.0)
  _edit(folder, lambda s: s["test"].update(test))
  (folder / "metrics.jsonl").write_text('{"step": 1, "val/mae_deg": NaN}\n')
  table = tables.build(plan, tmp_path / "s", sort="mae_deg")
  assert [row.name for row in table.rows] == ["good", "lost", "chance"]
  assert table.rows[0].cells["mae_deg"].best is False  # nothing to compare with
  assert formats.cell_text("mae_deg", table.rows[1].cells["mae_deg"]) == "–"
  assert "nan" not in _every_format(table, tmp_path).lower()
  page = pages.assert_alone(sweep_page.build(tmp_path / "s"))
  assert "not finite" in "".join(page.text)
  page = pages.assert_alone(run_page.build(folder))
  assert "not finite" in "".join(page.text)


def test_no_finished_arm_and_columns_that_only_results_have(tmp_path):
  arms = [synthetic.arm("a"), synthetic.arm("b", num_steps=7)]
  plan = dataclasses.replace(
    synthetic.sweep(arms), columns=("near_45", "head_only", "mae_deg")
  )
  manifest.write(tmp_path, plan)
  table = tables.build(plan, tmp_path, sort="mae_deg")
  assert [row.status for row in table.rows] == ["missing", "missing", "done"]
  _every_format(table, tmp_path)
  publish.write(table, tmp_path / "out")
  page = pages.assert_alone(sweep_page.build(tmp_path))
  assert "differ in their chance level" not in "".join(page.text)
  for sort in ("mae_degs", "seeds"):
    with pytest.raises(errors.UserError, match="column to sort by"):
      tables.build(plan, tmp_path, sort=sort)


def test_columns_without_the_error_still_make_a_page(tmp_path):
  plan = synthetic.finished_sweep(tmp_path, {"a": 4.0, "b": 6.0}, 1)
  plan = dataclasses.replace(plan, columns=("median_deg",))
  manifest.write(tmp_path, plan)
  page = pages.assert_alone(sweep_page.build(tmp_path))
  assert page.tables["results"][0] == ["arm", "median (°)"]
  assert "Mean absolute error and 95 % interval" in "".join(page.text)
  table = tables.build(plan, tmp_path)
  publish.write(table, tmp_path / "out")
  assert (tmp_path / "out" / "intervals.png").exists()


def test_a_seed_that_lacks_a_metric(tmp_path):
  plan = synthetic.finished_sweep(tmp_path, {"a": 4.0, "b": 6.0}, 2)
  folders = manifest.seed_folders(tmp_path, plan.arms[0])

  def change(summary):
    for name in ("p90_deg", "nll"):
      del summary["test"][name], summary["test_other_warp"][name]

  _edit(folders[1], change)
  table = tables.build(plan, tmp_path, ["p90_deg", "other_warp.p90_deg"])
  kept = json.loads((folders[0] / "summary.json").read_text())["test"]
  cell = table.rows[0].cells["p90_deg"]
  assert cell.estimate.mean == pytest.approx(kept["p90_deg"])
  assert cell.estimate.num_seeds == 1
  pages.assert_alone(sweep_page.build(tmp_path))
  words = pages.assert_alone(run_page.build(folders[0].parent))
  assert "90th percentile" not in "".join(words.text)


def test_a_summary_of_an_older_version(tmp_path):
  """Each misses something else, and one of them all of it."""
  fields = (
    *("leaks", "versions", "device", "protocol", "parameters", "seconds"),
    *("seed", "config_name", "step"),
  )
  maes = {f"no-{field}": 4.0 for field in fields} | {"none": 6.0}
  plan = synthetic.finished_sweep(tmp_path, maes, 1)
  for arm in plan.arms:
    folder = manifest.seed_folders(tmp_path, arm)[0]
    missing = [f for f in fields if arm.name in (f"no-{f}", "none")]
    _edit(folder, lambda summary, m=missing: [summary.pop(f) for f in m])
  table = tables.build(plan, tmp_path)
  _every_format(table, tmp_path)
  pages.assert_alone(sweep_page.build(tmp_path))
  pages.assert_alone(run_page.build(folder))


@pytest.mark.parametrize("value", [None, [], {"mae_deg": None}])
def test_a_summary_without_results_is_one_line(tmp_path, value):
  plan = synthetic.finished_sweep(tmp_path, {"a": 4.0, "b": 6.0}, 1)
  folder = manifest.seed_folders(tmp_path, plan.arms[0])[0]
  _edit(folder, lambda summary: summary.update(test=value))
  with pytest.raises(errors.UserError, match="no summary of a run") as caught:
    tables.build(plan, tmp_path)
  assert str(folder) in str(caught.value)


def test_shares_of_the_other_warp_are_better_when_larger(tmp_path):
  plan = synthetic.finished_sweep(tmp_path, {"bad": 40.0, "good": 2.0}, 1)
  column = "other_warp.acc_at_5"
  table = tables.build(plan, tmp_path, [column], sort=column)
  assert [row.name for row in table.rows] == ["good", "bad", "chance"]
  assert table.rows[0].cells[column].best


def test_both_coverages_are_shown_and_named(tmp_path):
  plan = synthetic.finished_sweep(tmp_path, {"a": 4.0, "b": 6.0}, 1)
  folder = manifest.seed_folders(tmp_path, plan.arms[0])[0]
  shares = {"coverage_90": 0.721, "recalibrated_coverage_90": 0.954}
  _edit(folder, lambda summary: summary["test"].update(shares))
  table = tables.build(plan, tmp_path)
  assert table.titles["coverage_90"] == "coverage of 90 %"
  text = formats.text(table)
  assert "coverage of 90 %, recalibrated" in text
  assert "0.721" in text and "0.954" in text
  assert "the network's own, and recalibrated on validation" in text
  words = "".join(pages.assert_alone(run_page.build(folder)).text)
  assert "72.1%" in words and "95.4%" in words


def test_arms_of_different_ranges(tmp_path):
  arms = {
    "circle": run_folders.config(),
    "deskew": run_folders.config(angles__range_deg=(-10.0, 10.0)),
    "quarters": run_folders.config(
      angles__distribution="values",
      angles__values_deg=(0.0, 90.0, 180.0, 270.0),
    ),
  }
  plan = run_folders.write_sweep(tmp_path, arms, sds={})
  for arm in plan.arms:
    angles = angles_lib.Angles(
      arm.config.angles.distribution,
      range_deg=arm.config.angles.range_deg,
      values_deg=arm.config.angles.values_deg,
    )
    p = run_folders.predictions()
    truth = angles.evaluation_deg(p.example, 4)
    scores = {name: values[:, :4] for name, values in p.scores.items()}
    decoded = truth + 1.0
    p = metrics.Predictions(truth, decoded, p.example, p.label, angles, scores)
    run_folders.write_run(
      manifest.seed_folders(tmp_path, arm)[0], arm.config, p
    )
  table = tables.build(plan, tmp_path)
  assert table.rows[-1].cells["mae_deg"] == "varies"
  text = sweep_page.build(tmp_path)
  words = "".join(pages.assert_alone(text).text)
  assert "On a narrow range" in words and "0° is up" in words
  assert "the arms differ in their chance level" in words
