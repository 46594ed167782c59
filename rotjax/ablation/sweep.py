"""Sweeps: the arms of an ablation, from an experiment file.

An experiment file is a config file with a question. Its docstring says what is
asked; `get_config(variant)` returns what all arms share; `sweep()` yields each
arm as a name and flat overrides, which the helpers below combine. Optional:
`BASELINE`, the arm that others are compared with (else the first); `TUNING`,
the budget that chooses a learning rate for every arm; `COLUMNS` of its table.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
import dataclasses
import inspect
import itertools
import pathlib
import shlex
from typing import Any

import rotjax
from rotjax import errors, files
from rotjax.ablation import tuning as tuning_lib
from rotjax.config import base as base_lib
from rotjax.config import load as load_lib
from rotjax.config import resolve, validate

# Name and overrides of an arm, or of what becomes one in a product.
Point = tuple[str, dict[str, Any]]


def over(key: str, values: Sequence[Any]) -> list[Point]:
  """One point for each value of a config field, named after the value."""
  return [(str(value), {key: value}) for value in values]


def product(*axes: Iterable[Point]) -> Iterator[Point]:
  """Every combination of points, the last axis fastest."""
  return map(_join, itertools.product(*axes))


def zipped(*axes: Iterable[Point]) -> Iterator[Point]:
  """First with first, second with second; axes of one length."""
  return map(_join, zip(*axes, strict=True))


def chain(*axes: Iterable[Point]) -> Iterator[Point]:
  """One after another."""
  return itertools.chain(*axes)


def _join(points: Iterable[Point]) -> Point:
  names, overrides = zip(*points)
  joined = {k: v for part in overrides for k, v in part.items()}
  return "-".join(filter(None, names)), joined


@dataclasses.dataclass(frozen=True)
class Arm:
  """One row of the table.

  Attributes:
    name: unique in its sweep.
    config: resolved and validated.
    address: see `address_of`; that of the code which wrote the manifest.
  """

  name: str
  config: Any
  address: str


def address_of(config: Any) -> str:
  """What decides an arm's numbers, the seeds apart, as eight hex digits."""
  fields = resolve.identity(config)
  for key in ("seed", "num_seeds"):
    del fields[key]
  return resolve.digest({**fields, "rotjax": rotjax.__version__})


@dataclasses.dataclass(frozen=True)
class Sweep:
  """An experiment file, read and checked.

  Attributes:
    name: of the file and its variant.
    question: its docstring.
    arms: at least one, all names different.
    baseline: the name of one.
    tuning: how a learning rate is chosen for each; None for as configured.
    columns: of the table; empty for the usual ones.
  """

  name: str
  question: str
  arms: list[Arm]
  baseline: str
  tuning: tuning_lib.Budget | None
  columns: tuple[str, ...] = ()


def load(spec: str, overrides: dict[str, Any] | None = None) -> Sweep:
  """Reads `FILE[:variant]` and checks every arm.

  Args:
    spec: of the experiment file.
    overrides: dotted keys for all arms, after their own.

  Raises:
    UserError: no such file, no `sweep` in it, an unknown key or baseline, two
      arms of one name, or an arm whose config is not valid.
  """
  name, variant = load_lib.split(spec)
  path = files.absolute(name, "--sweep")
  if not path.is_file():
    near = sorted(str(f) for f in path.parent.glob("*.py"))
    raise errors.unknown("experiment file", name, near)
  module = load_lib.load_module(path)
  base = load_lib.config_of(module, path, variant)
  # A smoke run asks whether every arm runs at all: it is short whatever the
  # arms say, and no rate is worth choosing.
  smoke = "smoke" in variant.split(",")
  last = {
    **(base_lib.VARIANTS["smoke"] if smoke else {}),
    **(overrides or {}),
  }
  points = _points(module, path)
  arms = [_arm(base, *point, last) for point in points]
  names = [arm.name for arm in arms]
  twice = sorted({n for n in names if names.count(n) > 1})
  if twice:
    raise errors.UserError(
      f"experiment file {path}: two arms are called {twice[0]!r}"
    )
  if not arms:
    raise errors.UserError(f"experiment file {path}: sweep() yields no arm")
  baseline = getattr(module, "BASELINE", names[0])
  if baseline not in names:
    raise errors.unknown("BASELINE", baseline, names)
  budget = None if smoke else getattr(module, "TUNING", None)
  question = _question(module, spec, variant, overrides or {})
  columns = tuple(getattr(module, "COLUMNS", ()))
  return Sweep(base.name, question, arms, baseline, budget, columns)


def _question(
  module: Any, spec: str, variant: str, overrides: dict[str, Any]
) -> str:
  """The file's docstring; of another run than the file's only what it asks.

  What the text goes on to say, numbers among it, holds for the file as it is.
  """
  text = inspect.getdoc(module) or ""
  if not variant and not overrides:
    return text
  flags = [f"--config.{key}={value}" for key, value in overrides.items()]
  command = shlex.join(
    ["python", "-m", "rotjax.ablate", "--sweep", spec, *flags]
  )
  question, _, _ = text.partition("\n\n")
  return (
    f"{question}\n\n{command}\n\nNot the file's full run: what the file"
    " expects of that is not expected here."
  )


def _points(module: Any, path: pathlib.Path) -> list[Point]:
  function: Callable | None = getattr(module, "sweep", None)
  if not callable(function):
    raise errors.UserError(
      f"experiment file {path} has no function sweep() that yields arms"
    )
  try:
    return [(str(name), dict(overrides)) for name, overrides in function()]
  except (TypeError, ValueError) as error:
    raise errors.UserError(
      f"experiment file {path}: sweep() must yield (name, overrides): {error}"
    ) from None


def _arm(base: Any, name: str, own: dict, overrides: dict) -> Arm:
  if not name or set(name) & set("/\\:\n") or name.startswith("."):
    raise errors.UserError(f"arm name {name!r} cannot name a folder")
  try:
    config = resolve.apply(base, {**own, **overrides})
    config = resolve.absolute(config)
    config.name = name
    validate.check(config)
  except errors.UserError as error:
    raise errors.UserError(f"arm {name}: {error}") from None
  return Arm(name, config, address_of(config))
