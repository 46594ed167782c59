"""Names in a config become objects: heads, models, optimizers, datasets."""

from collections.abc import Callable, Mapping
import importlib
from typing import Any

import ml_collections

from rotjax import errors
from rotjax.config import entries


def table(section: str) -> Mapping[str, type]:
  """The named entries that a sub-config may be; imported when first needed."""
  module, attribute = {
    "data": ("rotjax.data", "DATASETS"),
    "head": ("rotjax.heads", "HEADS"),
    "model": ("rotjax.models", "MODELS"),
    "optim": ("rotjax.training.optim", "OPTIMIZERS"),
  }[section]
  return getattr(importlib.import_module(module), attribute)


NAMED = ("data", "head", "model", "optim")


def entry(section: str, name: str) -> Callable:
  """The class behind `section.name`: a key's, or that of a dotted path."""
  entries_here = table(section)
  if name in entries_here:
    return entries_here[name]
  if "." in name and "/" not in name:  # "c4/en.noblocklist" is a dataset
    return entries.load(section, name)
  if section == "data":  # any other prepared TFDS dataset
    return importlib.import_module("rotjax.data").find(name)
  raise errors.unknown(section, name, entries_here)


def defaults(section: str, name: str) -> ml_collections.ConfigDict:
  """The sub-config of a named entry: its dataclass's fields and defaults.

  A field whose name clashes with a method ends in an underscore in Python
  (`loss_`) and not in the config (`head.loss`).
  """
  fields = entries.fields(f"{section}.name = {name!r}", entry(section, name))
  return ml_collections.ConfigDict({"name": name, **fields})


def build(section: str, sub: Mapping[str, Any]) -> Any:
  """The object that a named sub-config describes.

  Args:
    section: "data", "head", "model" or "optim".
    sub: `config[section]`.

  Raises:
    UserError: a name or a value that does not exist, from the object's own
      checks.
  """
  factory = entry(section, sub["name"])
  if factory in table(section).values():
    return entries.construct(factory, sub)
  return entries.foreign(section, sub["name"], factory, sub)


def class_of(section: str) -> Callable:
  """What the sub-configs without a name are built as."""
  return {
    "view": lambda: importlib.import_module("rotjax.image.view").View,
    "angles": lambda: importlib.import_module("rotjax.angles").Angles,
  }[section]()


def build_view(config: Mapping[str, Any]) -> Any:
  """The view of `config.view`, its centre not yet resolved."""
  return entries.construct(class_of("view"), config["view"])


def build_angles(config: Mapping[str, Any]) -> Any:
  """The angles of `config.angles`."""
  return entries.construct(class_of("angles"), config["angles"])
