"""The page: whole, alone, and what others wrote is text in it."""

import json
import re

from rotjax import report
from rotjax.ablation import manifest, tuning
from rotjax.reporting import page, results
from rotjax.reporting import sections as sections_lib
from tests import pages, run_folders


def test_a_sweep_is_one_file_with_every_arm(reported_sweep):
  workdir, text = reported_sweep
  found = pages.assert_alone(text)
  rows = found.tables["results"]
  assert rows[0][:2] == ["arm", "MAE (°)"]
  assert [row[0] for row in rows[1:]] == [
    "best",
    run_folders.EVIL,
    "missing (missing)",
    "failed (failed: MemoryError: <b>too</b> [large])",
    "chance",
  ]
  assert sorted(f.name for f in workdir.glob("report*")) == ["report.html"]
  sections = [
    v for tag, k, v in found.attributes if (tag, k) == ("section", "id")
  ]
  assert sections == [
    *("table", "arms", "curves", "donuts", "angle", "within"),
    *("reliability", "risk", "gallery", "configs"),
  ]
  # Five kinds of small figures and the curves for two arms, and one for all.
  assert text.count("<svg") == 13
  assert text.count("data:image/png") == 2
  assert "2 of 4 arms are not done: missing (missing); failed (failed" in text
  words = "".join(found.text)
  assert f"--workdir {workdir}" in words
  assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", words)
  assert "rotjax 0.1.0, jax 0.10" in words


def test_what_others_wrote_is_text(reported_sweep):
  _, text = reported_sweep
  assert (
    run_folders.EVIL not in text
    and "<img src=x" not in text
    and "<b>too" not in text
  )
  found = pages.Page(text)
  assert "Which </section><img src=x onerror=alert(1)> head?" in found.text
  assert found.text.count(run_folders.EVIL) > 5
  assert sum(tag == "script" for tag in re.findall(r"<(\w+)", text)) == 1


def test_cells_say_what_they_sort_by(reported_sweep):
  _, text = reported_sweep
  found = pages.Page(text)
  cells = [float(v) for v in found.values("data-sort") if _is_number(v)]
  assert text.count('class="interval"') > 4
  assert "[large]<span" not in text and "[large])" in text
  assert 90.0 in cells and "1,234" in found.values("data-sort")
  assert found.values("class").count("chance") == 1


def _is_number(text):
  return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def test_the_table_of_differences_holds_these_and_no_others(reported_sweep):
  rows = pages.Page(reported_sweep[1]).tables["difference"]
  assert rows[0] == [
    "arm",
    "head.name",
    "num_steps",
    "fields that not all have",
  ]
  table = {row[0]: row[1:] for row in rows[1:]}
  assert table["best"] == ["vonmises", "1000", "head.parametrization=natural"]
  assert table["missing"][:2] == ["vonmises", "7"]
  assert "head.activation=linear" in table[run_folders.EVIL][2]


def test_differences():
  one = {"name": "a", "x": 1, "y": (3,), "head.k": 1.0}
  two = {"name": "b", "x": 1, "y": (3, 4), "head.m": True}
  head, rows = sections_lib.difference({"a": one, "b": two})
  assert head == ["arm", "y", "fields that not all have"]
  assert rows == [("a", "(3,)", "head.k=1"), ("b", "(3, 4)", "head.m=True")]
  assert sections_lib.difference({"a": one, "b": {**one, "name": "b"}}) == (
    [],
    [],
  )
  # 0 and False, 1 and 1.0 are equal in Python, not in a config.
  assert sections_lib.difference({"a": {"x": 0}, "b": {"x": False}})[0] == [
    "arm",
    "x",
  ]


def test_the_same_results_make_the_same_page(reported_sweep, reported_run):
  assert run_folders.report_of(reported_sweep[0]) == reported_sweep[1]
  assert run_folders.report_of(reported_run[0]) == reported_run[1]


def test_a_run_is_one_file(reported_run):
  _, text = reported_run
  found = pages.assert_alone(text)
  words = "".join(found.text)
  assert "seed 0; 1,234 parameters; 12 s. made up" in words
  assert "95 % interval" in words and "over images" in words
  table = found.tables[""]
  assert ["test", "this run", "95% of images", "chance"] in table
  config = dict(found.tables["config"][1:])
  assert config["head.name"] == "vonmises" and config["data.classes"] == "(3,)"
  assert text.count("<svg") == 7 and "every answer" in text.lower()


def test_the_parent_of_seeds_and_the_folder_of_an_arm(tmp_path, reported_sweep):
  settings = run_folders.config(num_seeds=2)
  settings.name = "two"
  run_folders.write_seeds(tmp_path / "parent", settings)
  found = pages.assert_alone(run_folders.report_of(tmp_path / "parent"))
  words = "".join(found.text)
  assert "seeds 0, 1;" in words and "seeds and images crossed" in words
  assert any(" ± " in cell for row in found.tables[""] for cell in row)
  arm = manifest.folder(
    reported_sweep[0], manifest.read(reported_sweep[0]).arms[0]
  )
  text = run_folders.report_of(arm)
  (arm / report.FILE).unlink()
  assert "seeds 0, 1;" in text and "<h1>best</h1>" in text


def test_a_sweep_before_its_first_result(tmp_path):
  arms = {"a": run_folders.config(), "b": run_folders.config(num_steps=5)}
  run_folders.write_sweep(tmp_path / "s", arms, sds={})
  found = pages.assert_alone(run_folders.report_of(tmp_path / "s"))
  assert [row[0] for row in found.tables["results"][1:3]] == [
    "a (missing)",
    "b (missing)",
  ]
  assert "2 of 2 arms are not done: a, b (missing)" in "".join(found.text)


def test_a_tuned_arm_shows_the_rate_that_it_ran_with(tmp_path):
  arms = {"a": run_folders.config(), "b": run_folders.config(num_steps=5)}
  budget = tuning.Budget((0.5, 0.25), 2)
  plan = run_folders.write_sweep(tmp_path / "s", arms, "?", {"a": 5.0}, budget)
  # What ran says it, also before all seeds are done and arm.json is there.
  file = manifest.seed_folders(tmp_path / "s", plan.arms[0])[0] / "config.json"
  ran = json.loads(file.read_text())
  ran["optim"]["learning_rate"] = 0.25
  file.write_text(json.dumps(ran))
  rows = pages.Page(run_folders.report_of(tmp_path / "s")).tables["difference"]
  column = rows[0].index("optim.learning_rate")
  assert [row[column] for row in rows[1:]] == ["0.25", "not chosen yet"]


def test_large_galleries_are_left_out_and_named(reported_sweep, monkeypatch):
  monkeypatch.setattr(sections_lib, "MAX_GALLERY_BYTES", 200)
  folders = {
    arm.name: manifest.seed_folders(reported_sweep[0], arm)[0]
    for arm in manifest.read(reported_sweep[0]).arms[:2]
  }
  text = sections_lib.galleries(folders, 1)
  assert text.count("<img") == 1
  assert f"run): {page.escape(run_folders.EVIL)}." in text


def test_versions_that_differ_are_all_shown():
  summaries = [{"versions": {"jax": v}} for v in ("1", "2", "1")]
  assert results.versions(summaries) == {"jax": "1, 2"}
