"""Finding and reading config files, and the config.json of a run."""

import importlib.util
import pathlib
import types

import ml_collections

from rotjax import config as config_lib
from rotjax import errors


def find_file(name: str) -> pathlib.Path:
  """A config file by path, or a shipped one by its name.

  Raises:
    UserError: neither exists; the shipped names nearest to it come first.
  """
  path = pathlib.Path(name)
  if path.is_file():
    return path
  here = pathlib.Path(__file__).parent
  # In a wheel the configs lie inside the package, in a checkout beside it.
  folders = [here / "shipped_configs", here.parent / "configs"]
  shipped = {
    file.stem: file for folder in folders for file in folder.glob("*.py")
  }
  if path.stem in shipped:
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
  assert module_spec and module_spec.loader, path  # as for any .py file
  module = importlib.util.module_from_spec(module_spec)
  try:
    module_spec.loader.exec_module(module)
  except Exception as error:
    raise errors.UserError(
      f"config file {path} cannot be read: {type(error).__name__}: {error}"
    ) from error
  return module


def config_of(
  module: types.ModuleType, path: pathlib.Path, variant: str
) -> ml_collections.ConfigDict:
  """What its `get_config(variant)` returns, named after file and variant.

  Raises:
    UserError: there is no such function or variant.
  """
  if not callable(getattr(module, "get_config", None)):
    raise errors.UserError(
      f"config file {path} has no function get_config(variant)"
    )
  config = module.get_config(variant)
  config.name = "-".join([path.stem, *filter(None, variant.split(","))])
  return config


def load(spec: str) -> ml_collections.ConfigDict:
  """The config that `--config FILE[:variant]` names, with its name set.

  Raises:
    UserError: no such file, a file without `get_config`, or one that fails.
  """
  name, _, variant = spec.partition(":")
  path = find_file(name)
  return config_of(load_module(path), path, variant)


def read(file: pathlib.Path) -> ml_collections.ConfigDict:
  """The config.json of a run folder.

  Raises:
    UserError: it is not there, or not JSON of an object.
  """
  try:
    return config_lib.from_json(file.read_text())
  # Other JSON than an object raises either of the last two.
  except (OSError, ValueError, TypeError, AttributeError) as error:
    raise errors.UserError(f"{file} cannot be read: {error}") from None
