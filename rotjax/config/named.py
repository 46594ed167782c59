"""Sections of a config become objects: data, heads, models, views, ...

A section with a `name` is an object of a class in its folder's table, or of one
that a dotted path names; the view and the angles have a class each. The options
of a section are its class's parameters.
"""

from collections.abc import Callable, Mapping
import functools
import importlib
import inspect
import pkgutil
import typing
from typing import Any

import ml_collections

from rotjax import errors

# Sections with a name, and where its table is; imported when first needed.
_TABLES = {
  "data": ("rotjax.data", "DATASETS"),
  "head": ("rotjax.heads", "HEADS"),
  "model": ("rotjax.models", "MODELS"),
  "optim": ("rotjax.training.optim", "OPTIMIZERS"),
}
NAMED = tuple(_TABLES)
# Sections that are always of the same class.
SINGLE = {
  "view": ("rotjax.image.view", "View"),
  "angles": ("rotjax.angles", "Angles"),
  "head_first": ("rotjax.training.head_first", "HeadFirst"),
}
# What an object must have to be one; see the Protocol of each folder.
_NEEDED = {
  "data": ("load", "center", "name", "overlaps", "protocol"),
  "head": ("num_outputs", "loss", "decode", "log_density"),
  "model": ("module",),
  "optim": ("transformation", "schedule_fn", "ema_decay"),
}
_KINDS = (bool, int, float, str, tuple)


def _attribute(module: str, name: str) -> Any:
  return getattr(importlib.import_module(module), name)


def table(section: str) -> Mapping[str, type]:
  """The names that a section may have, and their classes."""
  return _attribute(*_TABLES[section])


def entry(section: str, name: str = "") -> Callable:
  """The class behind a section.

  Args:
    section: "head", for example.
    name: a key of its table, a dotted path, or, of data, what TFDS has
      prepared; of the view and the angles none.

  Raises:
    UserError: there is no such class.
  """
  if section in SINGLE:
    return _attribute(*SINGLE[section])
  entries = table(section)
  if name in entries:
    return entries[name]
  if "." in name and "/" not in name:  # "c4/en.noblocklist" is a dataset
    return _load(section, name)
  if section == "data":  # any other prepared TFDS dataset
    return _attribute("rotjax.data", "find")(name)
  raise errors.unknown(section, name, entries)


def _load(section: str, name: str) -> type:
  """The class that a dotted path names.

  Raises:
    UserError: it cannot be imported, or is no class.
  """
  try:
    if not all(part.isidentifier() for part in name.split(".")):
      raise ImportError("its parts are not names")
    loaded = pkgutil.resolve_name(name)
  # An import runs whatever the module holds, sys.exit included.
  except (Exception, SystemExit) as error:
    raise errors.UserError(
      f"{section}.name = {name!r} is a dotted path that cannot be imported:"
      f" {type(error).__name__}: {error}"
    ) from None
  if not inspect.isclass(loaded):
    raise errors.UserError(
      f"{section}.name = {name!r} is a {type(loaded).__name__}, not a class"
      f" with {', '.join(_NEEDED[section])}"
    )
  return loaded


def fields(what: str, factory: Callable) -> dict[str, Any]:
  """The options of a class and their defaults, by their names in a config.

  A field whose name clashes with a method ends in an underscore in Python
  (`loss_`) and not in the config (`head.loss`).

  Args:
    what: the class, for messages.
    factory: a class, or a partial of one.

  Raises:
    UserError: one of them has no default, or none that a config can hold.
  """
  try:
    parameters = inspect.signature(factory).parameters.values()
  except (TypeError, ValueError):
    raise errors.UserError(f"{what} is a class without a signature") from None
  for p in parameters:
    if type(p.default) not in _KINDS:
      default = "none" if p.default is p.empty else repr(p.default)
      raise errors.UserError(
        f"{what}: its field {p.name} needs a default that a config can hold"
        f" (true or false, a number, a text or a tuple) and has {default}"
      )
  return {p.name.rstrip("_"): p.default for p in parameters}


def items_of(factory: Callable, field: str) -> type | None:
  """The type of a tuple field's items, where its annotation says so."""
  cls = factory.func if isinstance(factory, functools.partial) else factory
  try:
    hints = typing.get_type_hints(cls)
  except (NameError, TypeError):  # of a name that only a checker imports
    return None
  hint = hints.get(field, hints.get(f"{field}_"))
  arguments = typing.get_args(hint)
  if typing.get_origin(hint) is not tuple or not arguments:
    return None
  return arguments[0] if arguments[0] in (bool, int, float, str) else None


def defaults(section: str, name: str = "") -> ml_collections.ConfigDict:
  """A section as it is by default, or with a name; see `entry`."""
  if section in SINGLE:
    return ml_collections.ConfigDict(fields(section, entry(section)))
  options = fields(f"{section}.name = {name!r}", entry(section, name))
  return ml_collections.ConfigDict({"name": name, **options})


def build(section: str, sub: Mapping[str, Any]) -> Any:
  """The object that a section describes; a view's centre is not resolved yet.

  Args:
    section: one of `NAMED`, "view" or "angles".
    sub: `config[section]`.

  Raises:
    UserError: a name or a value that does not exist, from the object's own
      checks.
  """
  name = sub.get("name", "")
  factory = entry(section, name)
  if section in SINGLE or factory in table(section).values():
    return _construct(factory, sub)
  return _foreign(section, name, factory, sub)


def _construct(factory: Callable, sub: Mapping[str, Any]) -> Any:
  # A config.json from before a field existed means that field's default.
  given = {n: n.rstrip("_") for n in inspect.signature(factory).parameters}
  return factory(**{n: sub[key] for n, key in given.items() if key in sub})


def _foreign(
  section: str, name: str, factory: Callable, sub: Mapping[str, Any]
) -> Any:
  """An object whose class is not of the section's table.

  Raises:
    UserError: it cannot be made, or is not what the section takes.
  """
  try:
    made = _construct(factory, sub)
  except errors.UserError:
    raise
  except Exception as error:
    raise errors.UserError(
      f"{section}.name = {name!r} cannot be made of {section}.*:"
      f" {type(error).__name__}: {error}"
    ) from error
  absent = object()
  missing = [
    attribute
    for attribute in _NEEDED[section]
    if inspect.getattr_static(made, attribute, absent) is absent
  ]
  if missing:
    raise errors.UserError(
      f"{section}.name = {name!r} is not a class for {section}: it has no"
      f" {', '.join(missing)}"
    )
  return made
