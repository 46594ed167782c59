"""Finding and reading config files, and the config.json of a run."""

from collections.abc import Callable
import importlib.util
import inspect
import pathlib
import traceback
import types
from typing import Any

import ml_collections

from rotjax import errors, files
from rotjax.config import base, resolve, validate


def split(spec: str) -> tuple[str, str]:
  """`FILE[:variant]` -> the file and the variant, "" for none.

  A path may hold colons itself: the last one counts, and only where the whole
  is no file and what follows it is no path.
  """
  name, colon, variant = spec.rpartition(":")
  if not colon or "/" in variant or files.absolute(spec, "--config").is_file():
    return spec, ""
  return name, variant


def find_file(name: str) -> pathlib.Path:
  """A config file by path, or a shipped one by its name.

  Raises:
    UserError: neither exists; the shipped names nearest to it come first.
  """
  path = files.absolute(name, "--config")
  if path.is_file():
    return path
  if (path / "config.json").is_file():
    raise errors.UserError(
      f"--config {name} is a run folder: name its {name}/config.json"
    )
  here = pathlib.Path(__file__).parents[1]
  # In a wheel the configs lie inside the package, in a checkout beside it.
  folders = [here / "shipped_configs", here.parent / "configs"]
  shipped = {
    file.stem: file for folder in folders for file in folder.glob("*.py")
  }
  if path.stem in shipped and path.suffix in ("", ".py"):
    return shipped[path.stem]
  raise errors.unknown("config", name, shipped)


def load_module(path: pathlib.Path) -> types.ModuleType:
  """Executes a config file.

  Raises:
    UserError: it fails.
  """
  module_spec = importlib.util.spec_from_file_location(
    f"rotjax_config_{path.stem}", path
  )
  if module_spec is None or module_spec.loader is None:
    raise errors.UserError(
      f"config file {path} is neither Python (.py) nor a run's config.json"
    )
  module = importlib.util.module_from_spec(module_spec)
  loader = module_spec.loader
  _call(path, "cannot be read", lambda: loader.exec_module(module))
  return module


def _call(path: pathlib.Path, what: str, function: Callable[[], Any]) -> Any:
  """Calls what a config file holds; whatever it raises becomes one line."""
  try:
    return function()
  except errors.UserError:
    raise
  except (Exception, SystemExit) as error:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if f.filename == str(path)]
    where = f", line {lines[-1]}" if lines else ""
    raise errors.UserError(
      f"config file {path} {what}{where}: {type(error).__name__}: {error}"
    ) from error


def config_of(
  module: types.ModuleType, path: pathlib.Path, variant: str
) -> ml_collections.ConfigDict:
  """What its `get_config(variant)` returns, named after file and variant.

  Raises:
    UserError: there is no such function or variant, or it returns something
      else than a config.
  """
  get_config = getattr(module, "get_config", None)
  if not callable(get_config):
    raise errors.UserError(
      f"config file {path} has no function get_config(variant)"
    )
  # One without an argument has no variants.
  takes = _call(
    path,
    "cannot be read",
    lambda: bool(inspect.signature(get_config).parameters),
  )
  if variant and not takes:
    raise errors.UserError(
      f"config file {path} has no variant {variant!r}: its get_config takes"
      " no argument"
    )
  arguments = [variant] if takes else []
  config = _call(path, "fails", lambda: get_config(*arguments))
  if not isinstance(config, ml_collections.ConfigDict):
    raise errors.UserError(
      f"config file {path}: get_config returns {type(config).__name__}, not a"
      " config: return base.make(variant, overrides, VARIANTS)"
    )
  config = base.complete(config)
  config.name = "-".join([path.stem, *filter(None, variant.split(","))])
  return config


def load(spec: str) -> ml_collections.ConfigDict:
  """The config that `--config FILE[:variant]` names, with its name set.

  Args:
    spec: a config file, a shipped one's name, or a run's config.json, each
      perhaps with a variant.

  Raises:
    UserError: no such file, a file without `get_config`, or one that fails.
  """
  name, variant = split(spec)
  path = find_file(name)
  if path.suffix != ".json":
    return config_of(load_module(path), path, variant)
  found = read(path)
  config = base.make(variant, resolve.flatten(found))
  config.name = "-".join([config.name, *filter(None, variant.split(","))])
  return config


# What a config.json from before a field existed meant, where that is not the
# field's default.
_BEFORE = {"view": {"fineness": 0.0}}


def read(file: pathlib.Path) -> ml_collections.ConfigDict:
  """The config.json of a run folder, as the version that wrote it meant it.

  Raises:
    UserError: it is not there, or not JSON of an object.
  """
  try:
    found = resolve.from_json(file.read_text("utf-8"))
    for section, fields in _BEFORE.items():
      if section in found:
        found[section].update({**fields, **found[section].to_dict()})
    return found
  # Other JSON than an object raises either of the last two.
  except (OSError, ValueError, TypeError, AttributeError) as error:
    raise errors.UserError(f"{file} cannot be read: {error}") from None


def config(spec: str, overrides: dict[str, str], trained: bool = True) -> Any:
  """The resolved, validated config of `--config FILE[:variant]` and flags.

  Args:
    spec: see `load`.
    overrides: dotted field -> value, as text.
    trained: whether it is to be trained; False where it evaluates a run.

  Raises:
    UserError: see `load`, `resolve.apply`, `validate.check`.
  """
  found = resolve.apply(load(spec), overrides)
  if named := resolve.deciding(overrides):
    found.name += "-" + resolve.digest(named)
  validate.check(found, trained)
  return found
