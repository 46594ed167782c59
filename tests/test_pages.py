"""Pages show the tables that their results give; every command is a command."""

import csv
import pathlib
import re
import shlex

import numpy as np
import PIL.Image
import pytest

from docs import make_before_after
from experiments import pages
from rotjax import cli
from rotjax.config import load, resolve

PAGES = pages.all_pages()
_TABLE = re.compile(
  r"<!-- table: (?P<file>\S+) -->\n(?P<table>.*?)<!-- end of table -->",
  re.DOTALL,
)


def _tables():
  for page in PAGES:
    for match in _TABLE.finditer(page.read_text()):
      yield pytest.param(match["file"], match["table"], id=str(page))


@pytest.mark.parametrize("file, shown", list(_tables()))
def test_a_page_shows_the_table_of_its_results(file, shown):
  stored = pathlib.Path(file).read_text()
  table = [line for line in stored.splitlines() if line.startswith("|")]
  assert shown.strip().splitlines() == table


def _cells(text):
  """Rows of a Markdown table, the line under its heading left out."""
  lines = [line for line in text.splitlines() if line.startswith("|")]
  rows = [[cell.strip() for cell in x.strip("|").split("|")] for x in lines]
  return [rows[0], *rows[2:]]


def test_an_excerpt_shows_cells_of_its_table():
  text = pathlib.Path("docs/tables.md").read_text()
  ((file, shown),) = re.findall(
    r"<!-- excerpt: (\S+) -->\n(.*?)<!-- end of excerpt -->", text, re.DOTALL
  )
  head, *rows = _cells(pathlib.Path(file).read_text())
  stored = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
  head, *rows = _cells(shown)
  assert len(rows) > 3
  for row in rows:
    assert row == [stored[row[0]][column] for column in head]


@pytest.mark.parametrize(
  "folder",
  sorted(p.parent for p in pathlib.Path("experiments").rglob("table.csv")),
  ids=str,
)
def test_a_stored_table_is_the_one_its_csv_gives(folder):
  with open(folder / "table.csv") as file:
    rows = list(csv.DictReader(file))
  lines = (folder / "table.md").read_text().splitlines()
  lines = [line for line in lines if line.startswith("|")]
  body = [
    [cell.strip(" *=") for cell in line.strip("|").split("|")]
    for line in lines[2:]
  ]
  assert [row["arm"] for row in rows] == [line[0] for line in body]
  keys = [k for k in rows[0] if not k.endswith(("_sd", "_low", "_high"))]
  keys.remove("status")
  for row, line in zip(rows, body, strict=True):
    for key, cell in zip(keys[1:], line[1:], strict=True):
      if not key.endswith("_mean"):
        assert cell == row[key].strip(" *=")
      elif cell == "<.001":
        assert float(row[key]) < 0.001
      elif row[key]:
        digits = len(cell.split()[0].partition(".")[2])
        assert cell.split()[0] == f"{float(row[key]):.{digits}f}"
        if low := row[key.replace("_mean", "_low")]:
          assert f"[{float(low):.{digits}f}, " in cell


def _commands():
  for page in PAGES:
    for block in re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL):
      for line in block.replace("\\\n", " ").splitlines():
        for command in line.split("&&"):
          words = shlex.split(command, comments=True)
          if words[:2] == ["python", "-m"] and words[2].startswith("rotjax."):
            yield pytest.param(words[2], words[3:], id=" ".join(words[2:5]))


class _Parsed(Exception):
  """The arguments were understood."""


@pytest.mark.parametrize("module, argv", list(_commands()))
def test_commands_shown_are_understood(module, argv, monkeypatch):
  """Every flag exists; configs and overrides resolve. Nothing is run."""
  import importlib

  if "my_package" in " ".join(argv):
    pytest.skip("the reader's own package; test_commands.py runs these")
  parse_args = cli._Parser.parse_args

  def stop(self, args):
    parse_args(self, args)
    raise _Parsed

  monkeypatch.setattr(cli._Parser, "parse_args", stop)
  command = importlib.import_module(module)
  if hasattr(command, "__path__"):  # a package
    command = importlib.import_module(f"{module}.__main__")
  with pytest.raises(_Parsed):
    command.main(argv)
  if "--config" in argv:
    _, overrides = cli.split_overrides(argv)
    load.config(argv[argv.index("--config") + 1], overrides)
  if "--sweep" in argv:
    from rotjax.ablation import sweep

    sweep.load(argv[argv.index("--sweep") + 1])


def test_the_readmes_picture_shows_threes_turned_back(tmp_path, monkeypatch):
  config = load.config("configs/vonmises.py", {})
  (tmp_path / "config.json").write_text(resolve.to_json(config))
  file = tmp_path / "picture.png"
  monkeypatch.setattr(make_before_after, "PICTURE", file)

  def rows(true_deg):
    """Both rows of the picture, where every prediction is right."""
    predictions = {"true_deg": true_deg, "predicted_deg": true_deg}
    np.savez(tmp_path / "predictions.npz", **predictions)
    make_before_after.main(tmp_path)
    with PIL.Image.open(file) as drawn:
      pixels = np.asarray(drawn.convert("L"), float)
    return pixels[: len(pixels) // 2], pixels[len(pixels) // 2 :]

  upright, expected = rows(np.zeros((100, 36), np.float32))
  angles_deg = np.linspace(60, 300, 3600, dtype=np.float32)
  turned, back = rows(angles_deg.reshape(100, 36))
  assert np.abs(back - expected).mean() < 10
  assert np.abs(turned - upright).mean() > 20
