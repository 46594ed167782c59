"""The page in a browser: its script, its console, its policy."""

import functools
import shutil
import subprocess

import pytest

from rotjax.reporting import page
from tests import pages, run_folders


@functools.cache
def _chromium():
  """A Chromium that really runs (a package manager's stub may not)."""
  for name in ("chromium", "chromium-browser", "google-chrome"):
    path = shutil.which(name)
    if (
      path
      and not subprocess.run(
        [path, "--version"], capture_output=True, timeout=60
      ).returncode
    ):
      return path
  return None


@pytest.fixture(autouse=True)
def _needs_chromium():
  if _chromium() is None:
    pytest.skip("no chromium, chromium-browser or google-chrome on PATH runs")


def _browse(folder, text, fragment=""):
  """The page as a browser has it once its script has run, and its
  console."""
  file = folder / "page.html"
  file.write_text(text)
  done = subprocess.run(
    [
      _chromium(),
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
  return [
    row[0].split(" (")[0] for row in pages.Page(dom).tables["results"][1:]
  ]


@pytest.mark.parametrize(
  "fragment,order",
  [
    ("", ["best", run_folders.EVIL, "missing", "failed", "chance"]),
    ("#sort=2", ["best", run_folders.EVIL, "missing", "failed", "chance"]),
    # What has no value stays below what has one, and chance last.
    ("#sort=-2", [run_folders.EVIL, "best", "missing", "failed", "chance"]),
    ("#sort=1", [run_folders.EVIL, "best", "failed", "missing", "chance"]),
    ("#sort=99", ["best", run_folders.EVIL, "missing", "failed", "chance"]),
  ],
)
def test_a_browser_opens_and_sorts_it(
  tmp_path, reported_sweep, fragment, order
):
  dom, console = _browse(tmp_path, reported_sweep[1], fragment)
  assert console == []
  assert _order(dom) == order
  sorted_by = pages.Page(dom).values("aria-sort")
  ways = {"#sort=-2": ["descending"], "": [], "#sort=99": []}
  assert sorted_by == ways.get(fragment, ["ascending"])


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


def test_no_other_script_runs(tmp_path, reported_run):
  # Also shows that the console is heard.
  evil = "<script>document.title = 'changed'</script></body>"
  dom, console = _browse(tmp_path, reported_run[1].replace("</body>", evil))
  assert len(console) == 1 and "Content Security Policy" in console[0]
  assert "<title>one</title>" in dom
