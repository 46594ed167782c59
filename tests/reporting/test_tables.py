"""The table from run folders alone, in every format."""

import csv
import io
import json

import numpy as np
import pytest

from rotjax import errors, files
from rotjax import tables as command
from rotjax.ablation import audits, manifest
from rotjax.leakage import examine
from rotjax.leakage import report as report_lib
from rotjax.reporting import formats, latex, tables
from tests.ablation import synthetic

SCALES = {"first": 20.0, "better": 3.0, "alike": 3.02}


@pytest.fixture(name="sweep")
def _sweep(tmp_path):
  return synthetic.finished_sweep(tmp_path, SCALES), tmp_path


def test_means_spreads_and_marks(sweep):
  plan, workdir = sweep
  table = tables.build(plan, workdir)
  rows = {row.name: row for row in table.rows}
  assert list(rows) == [*SCALES, "chance"]
  summaries = [
    json.loads((f / "summary.json").read_text())
    for f in manifest.seed_folders(workdir, plan.arms[1]).values()
  ]
  maes = [s["test"]["mae_deg"] for s in summaries]
  cell = rows["better"].cells["mae_deg"]
  assert cell.estimate.mean == pytest.approx(np.mean(maes), abs=1e-4)
  assert cell.estimate.sd == pytest.approx(np.std(maes, ddof=1), abs=1e-4)
  assert cell.estimate.low < cell.estimate.mean < cell.estimate.high
  best = [r for r in rows.values() if getattr(r.cells["mae_deg"], "best", 0)]
  tied = [r for r in rows.values() if getattr(r.cells["mae_deg"], "tied", 0)]
  assert {best[0].name, tied[0].name} == {"better", "alike"}
  assert len(best) == len(tied) == 1
  assert rows["first"].cells["difference"] == "baseline"
  difference = formats.cell_text("", rows["better"].cells["difference"])
  assert difference.startswith("-") and "p=.0" in difference
  assert rows["chance"].cells["mae_deg"].estimate.mean == pytest.approx(90)
  assert rows["better"].cells["seconds"] == "12"
  other = rows["better"].cells["other_warp.mae_deg"].estimate
  assert other.mean == pytest.approx(1.25 * cell.estimate.mean, rel=1e-3)
  assert other.low is None  # predictions of the other warp are not kept
  # Nothing here states a recalibrated CRPS: no empty column.
  assert "recalibrated_crps_deg" not in table.columns
  assert "nll" in table.columns


def test_sorting_and_columns(sweep):
  plan, workdir = sweep

  def names(table):
    return [row.name for row in table.rows]

  by_error = tables.build(plan, workdir, ["median_deg"], sort="mae_deg")
  assert names(by_error)[2:] == ["first", "chance"]
  assert by_error.columns == ["median_deg"]
  by_share = tables.build(plan, workdir, sort="acc_at_5")
  assert names(by_share)[2:] == ["first", "chance"]
  with pytest.raises(errors.UserError, match="did you mean 'mae_deg'"):
    tables.build(plan, workdir, ["mae_degs"])
  with pytest.raises(errors.UserError, match="sort by"):
    tables.build(plan, workdir, sort="seeds")


def test_no_column_for_the_other_warp_where_no_run_had_one(sweep):
  plan, workdir = sweep
  for file in workdir.glob("*/seed-*/summary.json"):
    summary = json.loads(file.read_text())
    del summary["test_other_warp"]
    file.write_text(json.dumps(summary))
  wanted = ["mae_deg", "other_warp.mae_deg"]
  assert tables.build(plan, workdir, wanted).columns == ["mae_deg"]
  with pytest.raises(errors.UserError, match="did you mean 'other_warp.mae"):
    tables.build(plan, workdir, ["other_warp.mae_degs"])


def test_missing_failed_and_half_done_arms_are_shown_as_such(tmp_path):
  arms = [
    synthetic.arm(name, num_seeds=2, num_steps=10 + i)
    for i, name in enumerate(("done", "half", "failed", "missing"))
  ]
  plan = synthetic.sweep(arms, baseline="missing")
  manifest.write(tmp_path, plan)
  for seed in (0, 1):
    synthetic.finish_run(tmp_path, arms[0], seed, 4)
  synthetic.finish_run(tmp_path, arms[1], 0, 4)
  folder = manifest.folder(tmp_path, arms[2])
  folder.mkdir()
  files.write_json(folder / "failed.json", {"error": "it broke"})
  statuses = [manifest.status(tmp_path, arm) for arm in arms]
  assert statuses == ["done", "1 of 2 seeds", "failed", "to do"]
  table = tables.build(plan, tmp_path)
  assert [row.status for row in table.rows][:4] == [
    "done",
    "1 of 2 seeds",
    "failed: it broke",
    "missing",
  ]
  text = formats.markdown(table)
  assert "failed (failed: it broke)" in text and "missing (missing)" in text
  assert "baseline missing has no results" in text
  assert "1 seed only" in text


def test_formats_agree(sweep):
  plan, workdir = sweep
  table = tables.build(plan, workdir)
  tables.write_all(table, workdir)
  rows = list(csv.DictReader(io.StringIO((workdir / "table.csv").read_text())))
  stored = json.loads((workdir / "table.json").read_text())
  for row, other in zip(rows, stored["rows"], strict=True):
    assert row["arm"] == other["arm"]
    mean = other["mae_deg"]["mean"]
    assert float(row["mae_deg_mean"]) == pytest.approx(mean, rel=1e-5)
  assert rows[-1]["mae_deg_low"] == ""
  markdown = (workdir / "table.md").read_text()
  lines = markdown.splitlines()
  assert len({line.count("|") for line in lines[: len(rows) + 2]}) == 1
  mean = stored["rows"][0]["mae_deg"]["mean"]
  assert f"| first | {mean:.2f} ± " in markdown
  assert markdown.count("**") >= 2
  latex = (workdir / "table.tex").read_text()
  assert r"\toprule" in latex and r"\textbf{" in latex and r"$\pm$" in latex
  body = [line for line in latex.splitlines() if line.endswith(r"\\")]
  assert len({line.count("&") for line in body}) == 1
  for forbidden in ("°", "±", "\0", "\1"):
    assert forbidden not in "".join(body)
  html = (workdir / "table.html").read_text()
  assert html.count("<tr") == len(rows) + 1 and 'data-sort="' in html
  assert f'data-sort="{mean}"' in html


def test_audits_run_once_for_each_view_and_are_a_column(
  sweep, tmp_path, monkeypatch
):
  plan, workdir = sweep
  other = synthetic.arm("other", num_seeds=3, view__center="canvas")
  plan = synthetic.sweep([*plan.arms, other])
  for seed in range(3):
    synthetic.finish_run(workdir, other, seed, 5.0)
  asked = []

  def run(config, *_):
    asked.append(config.view.center)
    passed = config.view.center == "dataset"
    return {"outcome": "passes" if passed else "leaks"}

  monkeypatch.setattr(examine, "run", run)
  monkeypatch.setattr(report_lib, "plot", lambda *_: None)
  assert "audit" not in tables.build(plan, workdir).columns
  for _ in range(2):
    audits.run(plan, workdir)
  assert asked == ["dataset", "canvas"]
  rows = tables.build(plan, workdir).rows
  assert [row.cells.get("audit") for row in rows] == [
    *["passes"] * 3,
    "leaks",
    None,
  ]


def test_names_are_escaped(tmp_path):
  plan = synthetic.finished_sweep(tmp_path, {"a|b": 4.0, "<x> & 5%_": 5.0}, 1)
  table = tables.build(plan, tmp_path)
  assert "a\\|b" in formats.markdown(table)
  assert "&lt;x&gt; &amp; 5%_" in formats.html_table(table)
  assert r"$<$x$>$ \& 5\%\_" in latex.table(table)


def test_p_values_are_never_rounded_to_nothing():
  assert formats.p_text(0.0004) == "p<.001"
  assert formats.p_text(0.0312) == "p=.031"
  assert formats.p_text(1.0) == "p=1.000"


@pytest.mark.parametrize("name", ["predictions.npz", "summary.json"])
@pytest.mark.parametrize("damage", ["truncate", "delete"])
def test_broken_runs_are_one_line(sweep, name, damage):
  plan, workdir = sweep
  folder = manifest.seed_folders(workdir, plan.arms[1])[1]
  if damage == "truncate":
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
  else:
    (folder / name).unlink()
  if (name, damage) == ("summary.json", "delete"):
    # Then the run is not finished, which is no error.
    row = tables.build(plan, workdir).rows[1]
    assert row.status == "2 of 3 seeds"
    return
  with pytest.raises(errors.UserError, match="cannot be read") as caught:
    tables.build(plan, workdir)
  assert str(folder) in str(caught.value)


def test_the_command(sweep, capsys, tmp_path):
  _, workdir = sweep
  command.main(["--workdir", str(workdir), "--format", "json"])
  shown = json.loads(capsys.readouterr().out)
  assert [row["arm"] for row in shown["rows"]] == [*SCALES, "chance"]
  command.main(["--workdir", str(workdir), "--sort", "mae_deg"])
  assert capsys.readouterr().out.startswith("arm ")
  with pytest.raises(errors.UserError, match="holds no sweep"):
    command.main(["--workdir", str(tmp_path / "nothing")])
