"""The page: whole, alone, escaped, and wrong input leaves it as it was."""

import html.parser
import json
import re
import shutil
import subprocess
import sys

import pytest

from rotjax import cli, report
from rotjax.ablation import manifest
from rotjax.reporting import page, parts, runs
from tests import run_folders

VOID = {"meta", "img", "br", "hr", "link", "input", "image", "path", "use"}
EVIL = "a<script>alert(1)"


class _Page(html.parser.HTMLParser):
  """Tags, attributes, text and rows of a page; checks that tags are closed."""

  def __init__(self, text):
    super().__init__()
    self.attributes, self.open, self.text = [], [], []
    self.rows, self.tables = [], {}
    self.feed(text)
    self.close()
    assert not self.open, self.open

  def handle_starttag(self, tag, attrs):
    found = dict(attrs)
    self.attributes += [(tag, key, value) for key, value in attrs]
    if tag not in VOID:
      self.open.append(tag)
    if tag == "table":
      self.rows = self.tables.setdefault(found.get("class", ""), [])
    elif tag == "tr":
      self.rows.append([])
    elif tag in ("td", "th"):
      self.rows[-1].append("")

  def handle_endtag(self, tag):
    if tag not in VOID:
      assert self.open and self.open[-1] == tag, (tag, self.open)
      self.open.pop()

  def handle_data(self, data):
    self.text.append(data)
    if {"td", "th"} & set(self.open[-3:]) and self.rows:
      self.rows[-1][-1] += data

  def values(self, key):
    return [v for _, k, v in self.attributes if k == key]


def _make(workdir):
  report.main(["--workdir", str(workdir)])
  return (workdir / report.FILE).read_text()


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
  """An arm with a density, one without, a missing and a failed one."""
  workdir = tmp_path_factory.mktemp("sweep") / "tiny"
  arms = {
    "best": run_folders.config(num_seeds=2),
    EVIL: run_folders.config(num_seeds=2, head__name="vector"),
    "missing": run_folders.config(num_seeds=2, num_steps=7),
    "failed": run_folders.config(num_seeds=2, num_steps=9),
  }
  plan = run_folders.write_sweep(
    workdir,
    arms,
    "Which </section><img src=x onerror=alert(1)> head?",
    {"best": 5.0, EVIL: 20.0},
  )
  failed = manifest.folder(workdir, plan.arms[3])
  failed.mkdir()
  words = json.dumps({"error": "MemoryError: <b>too</b> large"})
  (failed / "failed.json").write_text(words)
  return workdir, _make(workdir)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  folder = tmp_path_factory.mktemp("run") / "one"
  settings = run_folders.config()
  settings.name = "one"
  run_folders.write_run(folder, settings, run_folders.predictions())
  return folder, _make(folder)


def _assert_alone(text):
  """Nothing that a browser would fetch, and no way for it to."""
  found = _Page(text)
  for tag, key, value in found.attributes:
    if key in ("src", "href", "xlink:href"):
      assert value.startswith(("#", "data:image/png;base64,")), (tag, value)
    assert not key.startswith("on"), (tag, key)
    for target in re.findall(r"url\(([^)]*)", value or ""):
      assert target.startswith("#")
  assert "http:" not in text and "https:" not in text
  without_data = re.sub(r'base64,[^"]*', "", text)
  script = re.search(r"<script>(.*?)</script>", without_data, re.DOTALL)[1]
  code = re.sub(r"^\s*//.*$", "", script, flags=re.MULTILINE)
  assert "//" not in without_data.replace(script, "") + code
  assert "@import" not in text and "<link" not in text
  policy = found.values("content")
  assert any("default-src 'none'" in value for value in policy)
  ids = found.values("id")
  assert len(ids) == len(set(ids))
  # What refers to an id finds it.
  used = re.findall(r'(?:url\(|href=")#([\w-]+)', text)
  assert set(used) <= set(ids)
  return found


def test_a_sweep_is_one_file_with_every_arm(sweep):
  workdir, text = sweep
  found = _assert_alone(text)
  rows = found.tables["results"]
  assert rows[0][:2] == ["arm", "MAE (°)"]
  assert [row[0] for row in rows[1:]] == [
    "best",
    EVIL,
    "missing (missing)",
    "failed (failed: MemoryError: <b>too</b> large)",
    "chance",
  ]
  assert sorted(f.name for f in workdir.glob("report*")) == ["report.html"]
  sections = [
    v for tag, k, v in found.attributes if (tag, k) == ("section", "id")
  ]
  assert sections == [
    *("table", "arms", "curves", "donuts", "angle"),
    *("reliability", "risk", "gallery", "configs"),
  ]
  # Four kinds of small figures and the curves for two arms, and one for all.
  assert text.count("<svg") == 11
  assert text.count("data:image/png") == 2
  assert "2 of 4 arms are not done: missing (missing); failed (failed" in text
  words = "".join(found.text)
  assert f"--workdir {workdir}" in words
  assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", words)
  assert "rotjax 0.1.0, jax 0.10" in words


def test_what_others_wrote_is_text(sweep):
  _, text = sweep
  assert EVIL not in text and "<img src=x" not in text and "<b>too" not in text
  found = _Page(text)
  assert "Which </section><img src=x onerror=alert(1)> head?" in found.text
  assert found.text.count(EVIL) > 5
  assert sum(tag == "script" for tag in re.findall(r"<(\w+)", text)) == 1


def test_cells_say_what_they_sort_by(sweep):
  found = _Page(sweep[1])
  cells = [float(v) for v in found.values("data-sort") if _is_number(v)]
  assert 90.0 in cells and "1,234" in found.values("data-sort")
  assert found.values("class").count("chance") == 1


def _is_number(text):
  return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def test_the_table_of_differences_holds_these_and_no_others(sweep):
  rows = _Page(sweep[1]).tables["difference"]
  assert rows[0] == [
    "arm",
    "head.name",
    "num_steps",
    "fields that not all have",
  ]
  table = {row[0]: row[1:] for row in rows[1:]}
  assert table["best"] == ["vonmises", "1000", "head.parametrization=natural"]
  assert table["missing"][:2] == ["vonmises", "7"]
  assert "head.activation=linear" in table[EVIL][2]


def test_differences():
  one = {"name": "a", "x": 1, "y": (3,), "head.k": 1.0}
  two = {"name": "b", "x": 1, "y": (3, 4), "head.m": True}
  head, rows = parts.difference({"a": one, "b": two})
  assert head == ["arm", "y", "fields that not all have"]
  assert rows == [("a", "(3,)", "head.k=1"), ("b", "(3, 4)", "head.m=True")]
  assert parts.difference({"a": one, "b": {**one, "name": "b"}}) == ([], [])
  # 0 and False, 1 and 1.0 are equal in Python, not in a config.
  assert parts.difference({"a": {"x": 0}, "b": {"x": False}})[0] == ["arm", "x"]


def test_the_same_results_make_the_same_page(sweep, run):
  assert _make(sweep[0]) == sweep[1]
  assert _make(run[0]) == run[1]


def test_a_run_is_one_file(run):
  folder, text = run
  found = _assert_alone(text)
  words = "".join(found.text)
  assert "seed 0; 1,234 parameters; 12 s. made up" in words
  assert "95 % interval" in words and "over images" in words
  table = found.tables[""]
  assert ["test", "this run", "chance"] in table
  config = dict(found.tables["config"][1:])
  assert config["head.name"] == "vonmises" and config["data.classes"] == "(3,)"
  assert text.count("<svg") == 6 and "every answer" in text.lower()


def test_the_parent_of_seeds_and_the_folder_of_an_arm(tmp_path, sweep):
  settings = run_folders.config(num_seeds=2)
  settings.name = "two"
  run_folders.write_seeds(tmp_path / "parent", settings)
  found = _assert_alone(_make(tmp_path / "parent"))
  words = "".join(found.text)
  assert "seeds 0, 1;" in words and "seeds and images crossed" in words
  assert any(" ± " in cell for row in found.tables[""] for cell in row)
  arm = manifest.folder(sweep[0], manifest.read(sweep[0]).arms[0])
  text = _make(arm)
  (arm / report.FILE).unlink()
  assert "seeds 0, 1;" in text and "<h1>best</h1>" in text


def test_a_sweep_before_its_first_result(tmp_path):
  arms = {"a": run_folders.config(), "b": run_folders.config(num_steps=5)}
  run_folders.write_sweep(tmp_path / "s", arms, sds={})
  found = _assert_alone(_make(tmp_path / "s"))
  assert [row[0] for row in found.tables["results"][1:3]] == [
    "a (missing)",
    "b (missing)",
  ]
  assert "2 of 2 arms are not done: a, b (missing)" in "".join(found.text)


def test_a_tuned_arm_shows_the_rate_that_it_ran_with(tmp_path):
  from rotjax.ablation import tuning

  arms = {"a": run_folders.config(), "b": run_folders.config(num_steps=5)}
  budget = tuning.Budget((0.5, 0.25), 2)
  plan = run_folders.write_sweep(tmp_path / "s", arms, "?", {"a": 5.0}, budget)
  record = {"tuning": {"best": 0.25}}
  file = manifest.folder(tmp_path / "s", plan.arms[0]) / "arm.json"
  file.write_text(json.dumps(record))
  rows = _Page(_make(tmp_path / "s")).tables["difference"]
  column = rows[0].index("optim.learning_rate")
  assert [row[column] for row in rows[1:]] == ["0.25", "not chosen yet"]


def test_large_galleries_are_left_out_and_named(sweep, monkeypatch):
  monkeypatch.setattr(parts, "MAX_GALLERY_BYTES", 200)
  folders = {
    arm.name: manifest.seed_folders(sweep[0], arm)[0]
    for arm in manifest.read(sweep[0]).arms[:2]
  }
  text = parts.galleries(folders, 1)
  assert text.count("<img") == 1
  assert f"run): {page.escape(EVIL)}." in text


def test_versions_that_differ_are_all_shown():
  summaries = [{"versions": {"jax": v}} for v in ("1", "2", "1")]
  assert runs.versions(summaries) == {"jax": "1, 2"}


# Wrong input.


def _fails(monkeypatch, capsys, *argv):
  monkeypatch.setattr(sys, "argv", ["rotjax.report", *map(str, argv)])
  with pytest.raises(SystemExit) as caught:
    cli.run(report.main)
  assert caught.value.code == 2
  captured = capsys.readouterr()
  lines = captured.err.strip().splitlines()
  assert len(lines) == 1 and lines[0].startswith("rotjax: "), captured.err
  assert captured.out == ""
  return lines[0]


def test_a_folder_without_results_is_one_line(monkeypatch, capsys, tmp_path):
  assert "--workdir" in _fails(monkeypatch, capsys)
  line = _fails(monkeypatch, capsys, "--workdir", tmp_path / "none")
  assert "there is no folder" in line
  line = _fails(monkeypatch, capsys, "--workdir", tmp_path)
  assert "no config.json, no sweep.json" in line
  assert not list(tmp_path.iterdir())


BROKEN = [
  ("summary.json", None, "unfinished run"),
  ("summary.json", "{", "cannot be read"),
  ("summary.json", "[]", "no summary of this version"),
  ("summary.json", '{"test": null}', "no summary of this version"),
  ("metrics.jsonl", None, "cannot be read"),
  ("metrics.jsonl", '{"step": 1}\n{"step":', "line 2"),
  ("metrics.jsonl", '{"step": 1, "val/mae_deg": "x"}', "line 1"),
  ("metrics.jsonl", b"\xff\xfe", "cannot be read"),
  ("predictions.npz", None, "cannot be read"),
  ("predictions.npz", "", "cannot be read"),
  ("predictions.npz", "PK no archive", "cannot be read"),
  ("config.json", "{}", "cannot be read"),
  ("config.json", "{", "cannot be read"),
  ("plots/gallery.png", "GIF", "not a PNG"),
]


@pytest.mark.parametrize("name,content,words", BROKEN)
def test_a_broken_run_is_one_line_and_the_old_page_stays(
  monkeypatch, capsys, tmp_path, run, name, content, words
):
  folder = tmp_path / "run"
  shutil.copytree(run[0], folder)
  (folder / report.FILE).write_text("old")
  _break(folder / name, content)
  line = _fails(monkeypatch, capsys, "--workdir", folder)
  assert words in line and str(folder) in line
  assert (folder / report.FILE).read_text() == "old"
  assert not list(folder.glob("*.new"))


def _break(file, content):
  if content is None:
    file.unlink()
  elif isinstance(content, bytes):
    file.write_bytes(content)
  else:
    file.write_text(content)


def test_an_archive_cut_short_or_damaged_is_one_line(
  monkeypatch, capsys, tmp_path, run
):
  whole = (run[0] / "predictions.npz").read_bytes()
  for i, damaged in enumerate(
    [whole[: len(whole) // 2], whole[:200] + b"\0" * 60 + whole[260:]]
  ):
    folder = tmp_path / str(i)
    shutil.copytree(run[0], folder)
    (folder / "predictions.npz").write_bytes(damaged)
    line = _fails(monkeypatch, capsys, "--workdir", folder)
    assert "predictions.npz cannot be read" in line


@pytest.mark.parametrize(
  "name,content,words",
  [
    ("metrics.jsonl", "{", "line 1"),
    ("summary.json", "[]", "no summary of this version"),
    ("predictions.npz", "", "cannot be read"),
  ],
)
def test_a_broken_arm_is_one_line(
  monkeypatch, capsys, tmp_path, sweep, name, content, words
):
  workdir = tmp_path / "sweep"
  shutil.copytree(sweep[0], workdir)
  before = (workdir / report.FILE).read_text()
  arm = manifest.read(workdir).arms[1]
  _break(manifest.seed_folders(workdir, arm)[1] / name, content)
  assert words in _fails(monkeypatch, capsys, "--workdir", workdir)
  assert (workdir / report.FILE).read_text() == before


@pytest.mark.parametrize("content", ["{", "[]", '{"arms": []}', None], ids=str)
def test_a_broken_sweep_is_one_line(
  monkeypatch, capsys, tmp_path, sweep, content
):
  workdir = tmp_path / "sweep"
  workdir.mkdir()
  if content is None:  # whole, but an arm lacks fields of this version
    found = json.loads((sweep[0] / "sweep.json").read_text())
    del found["arms"][0]["config"]["num_seeds"]
    content = json.dumps(found)
  (workdir / "sweep.json").write_text(content)
  line = _fails(monkeypatch, capsys, "--workdir", workdir)
  assert "sweep.json" in line


def test_a_seed_that_is_not_finished_is_named(monkeypatch, capsys, tmp_path):
  settings = run_folders.config(num_seeds=2)
  run_folders.write_seeds(tmp_path / "p", settings)
  (tmp_path / "p" / "seed-1" / "summary.json").unlink()
  line = _fails(monkeypatch, capsys, "--workdir", tmp_path / "p")
  assert "seed-1 holds an unfinished run" in line


def test_a_page_that_cannot_be_written_is_one_line(monkeypatch, capsys, run):
  (run[0] / "report.html.new").mkdir()
  try:
    line = _fails(monkeypatch, capsys, "--workdir", run[0])
  finally:
    (run[0] / "report.html.new").rmdir()
  assert "report.html cannot be written" in line
  assert (run[0] / report.FILE).read_text() == run[1]


def test_help_shows_two_examples_and_imports_nothing_heavy():
  code = (
    "import sys; sys.argv = ['x', '--help']\n"
    "from rotjax import cli, report\n"
    "try: cli.run(report.main)\n"
    "finally: assert not {'jax', 'numpy', 'matplotlib'} & set(sys.modules)"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout.count("python -m rotjax.report --workdir") == 3 - 1


# In a browser.

CHROMIUM = next(
  filter(
    None,
    map(shutil.which, ("chromium", "chromium-browser", "google-chrome")),
  ),
  None,
)
needs_chromium = pytest.mark.skipif(
  CHROMIUM is None,
  reason="no chromium, chromium-browser or google-chrome on PATH",
)


def _browse(folder, text, fragment=""):
  """The page as a browser has it once its script has run, and its console."""
  file = folder / "page.html"
  file.write_text(text)
  done = subprocess.run(
    [
      CHROMIUM,
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--enable-logging=stderr",
      "--virtual-time-budget=2000",
      f"--user-data-dir={folder / 'profile'}",
      "--dump-dom",
      file.as_uri() + fragment,
    ],
    capture_output=True,
    text=True,
    timeout=120,
  )
  assert done.returncode == 0, done.stderr
  console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
  return done.stdout, console


def _order(dom):
  return [row[0].split(" (")[0] for row in _Page(dom).tables["results"][1:]]


@needs_chromium
@pytest.mark.parametrize(
  "fragment,order",
  [
    ("", ["best", EVIL, "missing", "failed", "chance"]),
    ("#sort=2", ["best", EVIL, "missing", "failed", "chance"]),
    # What has no value stays below what has one, and chance last.
    ("#sort=-2", [EVIL, "best", "missing", "failed", "chance"]),
    ("#sort=1", [EVIL, "best", "failed", "missing", "chance"]),
    ("#sort=99", ["best", EVIL, "missing", "failed", "chance"]),
  ],
)
def test_a_browser_opens_and_sorts_it(tmp_path, sweep, fragment, order):
  dom, console = _browse(tmp_path, sweep[1], fragment)
  assert console == []
  assert _order(dom) == order
  sorted_by = _Page(dom).values("aria-sort")
  ways = {"#sort=-2": ["descending"], "": [], "#sort=99": []}
  assert sorted_by == ways.get(fragment, ["ascending"])


@needs_chromium
def test_a_browser_sorts_numbers_as_numbers(tmp_path):
  numbers = ("9", "1,234", "", "-10.5 [-11.00, -10.00] p<.001", "baseline")
  rows = "".join(
    f'<tr><td>r{i}</td><td data-sort="{n.replace("<", "&lt;")}">{i}</td></tr>'
    for i, n in enumerate(numbers)
  )
  table = (
    '<table class="results"><thead><tr><th>arm</th><th>x</th></tr></thead>'
    f'<tbody><tr class="chance"><td>chance</td><td data-sort="0">0</td></tr>'
    f"{rows}</tbody></table>"
  )
  text = page.document("t", "", [page.Section("a", "b", table)], "")
  dom, console = _browse(tmp_path, text, "#sort=2")
  assert console == []
  assert _order(dom) == ["r3", "r4", "r0", "r1", "r2", "chance"]


@needs_chromium
def test_no_other_script_runs(tmp_path, run):
  # Also shows that the console is heard.
  evil = "<script>document.title = 'changed'</script></body>"
  dom, console = _browse(tmp_path, run[1].replace("</body>", evil))
  assert len(console) == 1 and "Content Security Policy" in console[0]
  assert "<title>one</title>" in dom
