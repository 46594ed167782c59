"""What pages repeat is what the code and the results say."""

import pathlib
import re

import pytest
import yaml

import rotjax

CONFIGS = sorted(pathlib.Path("configs").glob("*.py"))
PAGE = pathlib.Path("configs/README.md").read_text()


def _expected(file):
  """The docstring's sentences on what to expect, as one line."""
  docstring = file.read_text().partition('"""')[2].partition('"""')[0]
  return " ".join(docstring.partition("Expected")[2].split())


def _rows(name):
  """Cells of the rows of a config in the tables of the page."""
  return [
    [cell.strip(" °") for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith(f"| `{name}` |")
  ]


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_a_config_has_a_row(file):
  assert f"`{file.name}`" in PAGE


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_a_row_gives_what_the_docstring_expects(file):
  expected = _expected(file)
  errors = re.findall(r"([\d.]+) degrees on 100", expected)
  for row in _rows(file.name):
    numbers = {cell.partition(" ")[0] for cell in row}
    assert set(errors) <= numbers
    if errors:
      assert f" {row[-1]} s " in expected


def test_the_rows_of_the_other_runs_are_those_of_the_docstrings():
  flagship, forum = (
    _expected(pathlib.Path(f"configs/{name}.py"))
    for name in ("vonmises", "forum")
  )
  (row,) = _rows("vonmises.py:mnist")
  assert f"`:mnist` {row[2]} degrees on 1,010 test threes" in flagship
  assert f"in {row[-1]} s" in flagship
  for variant in ("scaled", "linear"):
    (row,) = _rows(f"forum.py:{variant}")
    assert re.search(rf"`:{variant}` {row[2]}( degrees|,)", forum)
  (row,) = _rows("forum.py")
  assert f"{row[3]} of the predictions" in forum
  assert f"error {row[2]} degrees" in forum and f"in {row[-1]} s" in forum


def test_a_head_s_config_is_trained_like_its_rivals():
  """The rows are of one protocol, so the page may say so once."""
  own = {"documents", "folder", "forum", "photos", "smoke"}
  for file in CONFIGS:
    shares = bool(re.search(r"\.FLAGSHIP\b", file.read_text()))
    assert shares == (file.stem not in own), file


def test_the_citation_is_of_this_version():
  citation = yaml.safe_load(pathlib.Path("CITATION.cff").read_text())
  assert citation["cff-version"] == "1.2.0"
  assert citation["version"] == rotjax.__version__
  assert citation["authors"] == [{"name": "The rotjax authors"}]
  for key in ("message", "title", "type", "license"):
    assert citation[key]


def _anchors(page):
  """What GitHub makes of a page's headings."""
  text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
  for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
    words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
    yield re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def _links():
  pages = [*pathlib.Path().glob("*.md")]
  for folder in ("configs", "docs", "experiments"):
    pages += pathlib.Path(folder).rglob("*.md")
  for page in sorted(pages):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
      if "://" not in link:
        yield page, link


@pytest.mark.parametrize(
  "page", sorted({page for page, _ in _links()}), ids=str
)
def test_links_lead_somewhere(page):
  for link in [link for other, link in _links() if other == page]:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    assert target.exists(), link
    if anchor:
      assert anchor in _anchors(target), link
