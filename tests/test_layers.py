"""The layers of the house: an import never runs up, and never in a circle.

A module may import from its own layer and from those below. What is imported
inside a function counts as well.
"""

import ast
import graphlib
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent
COMMANDS = {
  *("main", "audit", "ablate", "tables", "report", "predict", "demo", "export"),
}
# By the first name below rotjax: a folder or a module of the ground.
LAYERS = (
  {"", "errors"},
  {"angles", "files", "distributed", "cli", "models"},
  {"stopping", "heads", "metrics", "image"},
  {"data", "training", "figures"},
  {"config", "evaluation"},
  {"run", "leakage"},
  {"ablation", "prediction"},
  {"reporting"},
  {*COMMANDS, "__main__", "data.__main__"},
)


def _name(path: pathlib.Path) -> str:
  parts = path.relative_to(ROOT / "rotjax").with_suffix("").parts
  return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for path in (ROOT / "rotjax").rglob("*.py")}


def _imports(name: str) -> set[str]:
  """The modules of rotjax that a module names in its import statements."""
  found = set()
  for node in ast.walk(ast.parse(MODULES[name].read_text())):
    if isinstance(node, ast.ImportFrom):
      names = [f"{node.module}.{alias.name}" for alias in node.names]
    elif isinstance(node, ast.Import):
      names = [alias.name for alias in node.names]
    else:
      continue
    for full in names:
      if full.split(".")[0] != "rotjax":
        continue
      below = full.removeprefix("rotjax").lstrip(".")
      # `from package.module import name` names the module.
      parent = below.rpartition(".")[0]
      found.add(below if below in MODULES else parent)
  return found - {name}


def _layer(name: str) -> int:
  keys = {name, name.split(".")[0]}
  (layer, *_) = (i for i in reversed(range(len(LAYERS))) if keys & LAYERS[i])
  return layer


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_import_runs_up(name):
  layer = _layer(name)
  up = {other for other in _imports(name) if _layer(other) > layer}
  assert not up, f"rotjax.{name} is of layer {layer}"


def test_no_circles():
  graph = {name: _imports(name) for name in MODULES}
  graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("name", sorted(MODULES))
def test_nothing_imports_a_command(name):
  assert not _imports(name) & {*COMMANDS, "__main__", "data.__main__"}


@pytest.mark.parametrize(
  "path", sorted((ROOT / "configs").glob("*.py")), ids=lambda p: p.stem
)
def test_configs_import_config_alone(path):
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, (ast.Import, ast.ImportFrom)):
      assert getattr(node, "module", "").startswith("rotjax.config"), path


def test_every_folder_has_a_layer():
  placed = set().union(*LAYERS)
  assert {name.split(".")[0] for name in MODULES} <= placed
