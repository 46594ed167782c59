"""Any arm's name is text: in LaTeX, Markdown, CSV, HTML, in any locale."""

import csv
import html.parser
import io
import os
import re
import subprocess
import sys

import pytest

from rotjax.reporting import formats, latex, tables
from rotjax.reporting import table as table_lib
from tests.ablation import synthetic

NAMES = (
  r"50%_a & b #1 $x$ {y} ~z^2 \end{tabular}",
  "[bracket] *star*",
  "-leading --dash",
  "=1+1, \"quoted\" 'x'",
  "a|b `c` <img src=x> &amp; _d_ [e](f)",
  "élan κ 中文 😀 ß − – …",
  "y" * 240,
)


@pytest.fixture(scope="module", name="table")
def _table(tmp_path_factory):
  folder = tmp_path_factory.mktemp("names")
  plan = synthetic.finished_sweep(folder, dict.fromkeys(NAMES[:-1], 5.0), 1)
  table = tables.build(plan, folder)
  # No file system has a folder of that name.
  first = table.rows[0]
  table.rows.insert(0, table_lib.Row(NAMES[-1], first.status, first.cells))
  return table


def _rows(text):
  inside = re.search(
    r"\\begin\{tabular\}\{l+\}\n(.*)\\end\{tabular\}", text, re.DOTALL
  )[1]
  return [
    line
    for line in inside.splitlines()
    if line not in (r"\toprule", r"\midrule", r"\bottomrule")
  ]


def test_latex_rows_hold_together(table):
  text = latex.table(table)
  rows = _rows(text)
  assert len(rows) == len(table.rows) + 1
  for row in rows:
    # Neither bracket nor star comes right after the last row's \\.
    assert row.startswith("{}") and row.endswith(r" \\")
    bare = re.sub(r"\\[\\%&#_${}]", "", row.removesuffix(r"\\"))
    assert bare.count("&") == len(table.columns)
    assert not set(bare) & set("%#")
    assert bare.count("$") % 2 == 0
    depth = 0
    for letter in bare:
      depth += {"{": 1, "}": -1}.get(letter, 0)
      assert depth >= 0
    assert depth == 0
    # The rest of ^, _ and ~ stands in formulas of our own, or is a command's.
    outside = re.sub(r"\$[^$]*\$", "", bare)
    assert not set(outside) & set("^_~|<>")
  assert text.isascii()


def test_latex_has_caption_label_notes_and_rules_without_a_package(table):
  text = latex.table(table)
  order = [
    *(r"\providecommand{\toprule}{\hline}", r"\begin{table}"),
    *(r"\caption{demo: Which?}", r"\label{tab:demo}", r"\begin{tabular}"),
    *(r"\end{tabular}", r"\begin{minipage}", r"\end{table}"),
  ]
  places = [text.index(words) for words in order]
  assert places == sorted(places)
  notes = text[places[-2] :]
  assert r"95 \% interval" in notes and "12 test images" in notes
  for environment in ("table", "tabular", "minipage"):
    begun = text.count(rf"\begin{{{environment}}}")
    assert begun == text.count(rf"\end{{{environment}}}") == 1
  plain = re.sub(r"\\[{}]", "", text)
  assert plain.count("{") == plain.count("}")
  commands = set(re.findall(r"\\([A-Za-z]+)", text))
  assert commands <= {
    *("providecommand", "toprule", "midrule", "bottomrule", "hline", "begin"),
    *("end", "centering", "caption", "label", "scriptsize", "small", "medskip"),
    *("setlength", "tabcolsep", "resizebox", "linewidth", "footnotesize"),
    *("par", "textbf", "textbackslash", "textasciitilde", "textasciicircum"),
    *("circ", "pm", "kappa", "ss", "dots", "usepackage"),
  }


@pytest.mark.parametrize(
  "text,expected",
  [
    (r"\x", r"\textbackslash{}x"),
    ("é", r"\'{e}"),
    ("ñÅç", r"\~{n}\r{A}\c{c}"),
    ("κΛ", r"$\kappa$$\Lambda$"),
    ("--", "-{}-"),
    ("a\nb\tc", "a b c"),
    ("中", " U+4E2D "),
    ("\x07", " U+0007 "),
    ("\u1ebf", " U+1EBF "),  # two accents on one letter
  ],
)
def test_latex_letters(text, expected):
  assert latex.escape(text) == expected


def test_markdown_keeps_its_columns_and_marks_nothing_up(table):
  lines = formats.markdown(table).splitlines()
  rows = [line for line in lines if line.startswith("|")]
  assert len(rows) == len(table.rows) + 2
  for row in rows:
    assert len(re.split(r"(?<!\\)\|", row)) == len(table.columns) + 3
  shown = [re.split(r"(?<!\\)\|", row)[1].strip() for row in rows[2:]]
  # Undone as CommonMark does: a backslash before punctuation is none.
  read = [re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cell) for cell in shown]
  assert read == [row.name for row in table.rows]
  for cell in shown:
    assert not re.search(r"(?<!\\)[*`<$]", cell)
  assert r"\&amp;" in "".join(shown) and r"\](f)" in "".join(shown)


def test_csv_holds_no_formula(table):
  rows = list(csv.reader(io.StringIO(formats.csv_text(table))))
  assert {len(row) for row in rows} == {len(rows[0])}
  for cell in (cell for row in rows for cell in row):
    if cell[:1] in ("=", "+", "-", "@", "\t"):
      float(cell)
  names = [row[0].removeprefix("'") for row in rows[1:]]
  assert names == [row.name for row in table.rows]
  head = rows[0]
  assert "difference_mean" in head and "difference_p" in head
  float(rows[2][head.index("parameters")] or 0)


def test_html_is_text(table):
  class Cells(html.parser.HTMLParser):
    found: list[str] = []
    tags: list[str] = []

    def handle_starttag(self, tag, attrs):
      self.tags.append(tag)
      if tag == "td":
        self.found.append("")

    def handle_data(self, data):
      if self.found:
        self.found[-1] += data

  parser = Cells()
  parser.feed(formats.html_table(table))
  width = len(table.columns) + 1
  first = [cell.strip() for cell in parser.found[::width]][: len(table.rows)]
  assert first == [row.name for row in table.rows]
  assert not {"img", "script"} & set(parser.tags)


def test_a_text_table_stays_readable(table):
  lines = formats.text(table).splitlines()
  assert lines[2].startswith("y" * 30 + "…" + "y" * 29 + "  ")


_WRITE = """
import pathlib, sys
from rotjax.ablation import manifest
from rotjax.reporting import page, sweep_page, tables
assert sys.getdefaultencoding() == "utf-8"
assert open(sys.argv[2], "w").encoding.lower() not in ("utf-8", "utf8")
folder = pathlib.Path(sys.argv[1])
plan = manifest.read(folder)
tables.write_all(tables.build(plan, folder), folder)
page.write(folder / "report.html", sweep_page.build(folder))
"""


@pytest.mark.slow
def test_files_are_utf_8_whatever_the_locale(tmp_path):
  name = "κ 中文 ±"
  folder = tmp_path / "sweep"
  synthetic.finished_sweep(folder, {name: 5.0, "b": 6.0}, 1)
  # Folders of such names need a file system's encoding that has them.
  environment = {
    **os.environ,
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
  }
  done = subprocess.run(
    [sys.executable, "-c", _WRITE, str(folder), str(tmp_path / "x")],
    env=environment,
    capture_output=True,
    text=True,
    timeout=120,
  )
  assert done.returncode == 0, done.stderr
  for ending in ("md", "csv", "html", "tex", "json"):
    text = (folder / f"table.{ending}").read_bytes().decode("utf-8")
    assert "b" in text
  for ending in ("md", "csv", "html"):
    assert name in (folder / f"table.{ending}").read_text(encoding="utf-8")
  assert "中文" in (folder / "report.html").read_text(encoding="utf-8")
