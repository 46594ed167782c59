r"""Writes docs/options.md: every option, from the comments in the code.

python docs/make_options.py

Options that every run has come with the comments above them in `base`. Those of
a head, a backbone, an optimizer, a dataset, the head first, the view and the
angles come with the "Attributes" of their class's docstring.
tests/test_options.py fails where the page is not what this makes.
"""

import ast
from collections.abc import Callable, Iterable, Iterator
import inspect
import pathlib
import re
import sys
import textwrap
from typing import Any

from rotjax import angles, data, heads, models
from rotjax.config import base
from rotjax.image import view
from rotjax.training import head_first, optim

PAGE = pathlib.Path(__file__).parent / "options.md"
_INTRODUCTION = """\
# All options

Every option of a run, with its default. This page is made from the comments in
the code by `python docs/make_options.py`; do not edit it.

An option is set on the command line or in a config file:

```bash
python -m rotjax.main --config configs/vonmises.py --config.batch_size=64 \\
  --config.head.name=bins --config.head.num_bins=72
```

- Tuples are written in quotes: `--config.data.classes="(3, 8)"`.
- A new `head.name`, `model.name`, `optim.name` or `data.name` brings that
  entry's own options and defaults with it. An option that the entry does not
  have is refused, with the names nearest to it.
- A name may also be the dotted path of [a class of your own](extend.md).
- A config file changes some of these defaults. `config.json` in a run's folder
  holds what the run used.
"""
_SECTIONS = {
  "head": ("What the network's last layer means.", heads.HEADS),
  "model": ("The network in front of the head.", models.MODELS),
  "optim": ("How parameters are updated.", optim.OPTIMIZERS),
  "data": ("Where the images come from.", data.DATASETS),
}
# A dataset is also any other name; this one shows the options of those.
_ANY_TFDS = "cifar10"


def _sentence(text: str) -> str:
  """One line of Markdown that a table cell can hold."""
  line = " ".join(text.split()).replace("|", "\\|")
  return line[:1].upper() + line[1:]


def _row(key: str, default: Any, meaning: str) -> str:
  shown = f'"{default}"' if isinstance(default, str) else repr(default)
  return f"| `{key}` | `{shown}` | {_sentence(meaning)} |"


def _table(rows: Iterable[str]) -> list[str]:
  return ["| option | default | meaning |", "|---|---|---|", *rows, ""]


def commented(function: Callable) -> dict[str, str]:
  """Option -> the comment above the line that sets it, in their order.

  Args:
    function: it sets `config.x = value`, or `config.x = ConfigDict({...})`,
      whose keys are then options `x.key`.
  """
  source = textwrap.dedent(inspect.getsource(function))
  lines = source.splitlines()

  def above(line: int) -> str:
    words: list[str] = []
    while (text := lines[line - 2].strip()).startswith("#"):
      words.insert(0, text.lstrip("# "))
      line -= 1
    return " ".join(words)

  comments = {}
  (definition,) = ast.parse(source).body
  assert isinstance(definition, ast.FunctionDef)
  for node in definition.body:
    if not isinstance(node, ast.Assign):
      continue
    target = ast.unparse(node.targets[0])
    if not target.startswith("config."):
      continue
    key = target.removeprefix("config.")
    comments[key] = above(node.lineno)
    for inner in ast.walk(node.value):
      if isinstance(inner, ast.Dict):
        for name in inner.keys:
          assert isinstance(name, ast.Constant)
          comments[f"{key}.{name.value}"] = above(name.lineno)
  return comments


def _lines_of(docstring: str) -> Iterator[tuple[str, str]]:
  """Attribute name(s) and text, in a docstring's own order."""
  _, _, listed = inspect.cleandoc(docstring).partition("\nAttributes:\n")
  entry = r"^  (\w[\w, ]*): (.*(?:\n    .*)*)"
  yield from re.findall(entry, listed, re.MULTILINE)


def attributes(cls: type) -> dict[str, str]:
  """Field -> its line in the docstring of the class, or of a parent's."""
  found: dict[str, str] = {}
  for parent in reversed(cls.__mro__):
    for names, text in _lines_of(parent.__dict__.get("__doc__") or ""):
      for name in names.split(", "):
        # "see `folder.Folder`": the parent's own text says it.
        if not (name in found and text.startswith("see ")):
          found[name] = _with_choices(parent, text)
  return found


def _with_choices(cls: type, text: str) -> str:
  """Puts the names in place of "a key of `LOSSES`"."""

  def listed(match: re.Match[str]) -> str:
    table = getattr(sys.modules[cls.__module__], match[1])
    return "one of " + ", ".join(f"`{name}`" for name in table)

  return re.sub(r"a key of\s+`([A-Z]+)`", listed, text)


def _fields(section: str, factory: Callable) -> list[str]:
  """The table of one class's options; a line in its place if there are none."""
  meaning = attributes(getattr(factory, "func", factory))
  rows = [
    # `loss_` is `head.loss`: the underscore keeps it from the method's name.
    _row(f"{section}.{p.name.rstrip('_')}", p.default, meaning.get(p.name, ""))
    for p in inspect.signature(factory).parameters.values()
  ]
  return _table(rows) if rows else ["No options.", ""]


def _summary(factory: Callable) -> str:
  """The first sentence or line of a class's docstring."""
  cls = getattr(factory, "func", factory)
  return _sentence(inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0])


def _named() -> Iterator[str]:
  config = base.base()
  for section, (about, table) in _SECTIONS.items():
    entries = dict(table)
    if section == "data":
      entries["any other name"] = data.find(_ANY_TFDS)
    yield f"## {section}\n"
    default = config[section].name
    yield f"{about} `{section}.name` is `{default}` by default.\n"
    for name, factory in entries.items():
      yield f"### {section}.name = {name}\n"
      yield _summary(factory) + "\n"
      yield from _fields(section, factory)


def _variants() -> Iterator[str]:
  yield "## Variants\n"
  yield "`--config FILE:VARIANT` sets several options at once. Variants are"
  yield "joined by commas. A config file may have some of its own.\n"
  yield "| variant | sets |"
  yield "|---|---|"
  for name, overrides in base.VARIANTS.items():
    sets = ", ".join(f"`{key}={value}`" for key, value in overrides.items())
    yield f"| `{name}` | {sets} |"


def text() -> str:
  """The page."""
  comments, config = commented(base.base), base.base()
  objects = {
    "head_first": head_first.HeadFirst,
    "view": view.View,
    "angles": angles.Angles,
  }
  about = {
    "head_first": "A pretrained backbone's new layers, before all others.",
    "view": "What the network sees of an image.",
    "angles": "Which angles are drawn, and on which circle they are scored.",
    "eval": "How a network is scored.",
    "stream": comments["stream"],
    "checkpoint": "When the state is saved.",
    "log": "When scalars are written.",
  }
  parts = [_INTRODUCTION, "## The run\n"]
  parts += _table(
    _row(key, config[key], comment)
    for key, comment in comments.items()
    if key.partition(".")[0] not in (*about, *_SECTIONS)
  )
  for section, sentence in about.items():
    parts += [f"## {section}\n", sentence + "\n"]
    if section in objects:
      parts += _fields(section, objects[section])
    else:
      parts += _table(
        _row(key, config[section][key.partition(".")[2]], comment)
        for key, comment in comments.items()
        if key.startswith(f"{section}.")
      )
  return "\n".join([*parts, *_named(), *_variants()]) + "\n"


if __name__ == "__main__":
  PAGE.write_text(text())
