"""docs/api.md and the examples of other pages: they run, and say what is so."""

import inspect
import pathlib
import re

import pytest

from rotjax.ablation import sweep
from rotjax.image import warp

PAGE = pathlib.Path("docs/api.md").read_text()


def _examples():
  """Those that need no finished run; test_commands.py runs the others."""
  for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
    if "runs/" not in code:
      imports = re.findall(r"^from (\S+) import (\S+)", code, re.MULTILINE)
      yield pytest.param(code, id=".".join(imports[-1]))


@pytest.mark.parametrize("code", list(_examples()))
def test_an_example_runs(code):
  exec(compile(code, "docs/api.md", "exec"), {"__name__": "example"})


def test_rotate_is_called_as_its_section_says():
  section = PAGE.partition("## rotate\n")[2].partition("\n## ")[0]
  parameters = inspect.signature(warp.rotate).parameters.values()
  shown = re.search(r"rotate\(\n(.*?)\)\n```", section, re.DOTALL)[1]
  required = [p.name for p in parameters if p.default is p.empty]
  optional = [p for p in parameters if p.default is not p.empty]
  assert all(p.kind is p.KEYWORD_ONLY for p in optional)
  expected = [*required, "*"]
  for p in optional:
    default = f'"{p.default}"' if isinstance(p.default, str) else p.default
    expected.append(f"{p.name}={default}")
  assert " ".join(shown.split()) == ", ".join(expected)
  rows = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
  assert rows == [p.name for p in parameters]


def test_every_name_that_the_page_links_to_has_a_section():
  headings = re.findall(r"^##+ (.*)$", PAGE, re.MULTILINE)
  anchors = {h.lower().replace(" ", "-") for h in headings}
  assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) <= anchors


def test_the_experiment_file_of_the_ablations_page(tmp_path):
  page = pathlib.Path("docs/ablations.md").read_text()
  (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
  file = tmp_path / "two_losses.py"
  file.write_text(code)
  plan = sweep.load(str(file), {})
  assert [arm.name for arm in plan.arms] == ["cosine", "mse", "l1"]
  assert [arm.config.head.loss for arm in plan.arms] == ["cosine", "mse", "l1"]
  assert plan.baseline == "cosine"
