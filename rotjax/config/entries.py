"""The classes behind a config's named sub-configs, and their fields."""

from collections.abc import Callable, Mapping
import functools
import inspect
import pkgutil
import typing
from typing import Any

from rotjax import errors

# What an object must have to be one; see the Protocol of each folder.
_NEEDED = {
  "data": ("load", "center", "name", "overlaps", "protocol"),
  "head": ("num_outputs", "loss", "decode", "log_density"),
  "model": ("module",),
  "optim": ("transformation", "schedule_fn", "ema_decay"),
}
_KINDS = (bool, int, float, str, tuple)

# What people type, and the last part of the field that they mean; words of a
# name ("bins", "rate") and initials ("lr", "wd") need no line here.
_ALIASES = {
  "arch": "model.name",
  "architecture": "model.name",
  "backbone": "model.name",
  "network": "model.name",
  "optimizer": "optim.name",
  "dataset": "data.name",
  "image_size": "view.size",
  "img_size": "view.size",
  "resolution": "view.size",
  "input_size": "view.size",
  "epoch": "num_steps",
  "epochs": "num_steps",
  "num_epochs": "num_steps",
  "iterations": "num_steps",
  "max_steps": "num_steps",
  "steps": "num_steps",
  "train_steps": "num_steps",
  "batchsize": "batch_size",
  "beta1": "optim.b1",
  "beta2": "optim.b2",
  "grad_clip": "optim.clip_norm",
  "ema": "optim.ema_decay",
  "precision": "dtype",
  "pretrained": "init_from",
  "num_workers": "stream.threads",
  "workers": "stream.threads",
  "random_seed": "seed",
}


def load(section: str, name: str) -> type:
  """The class that a dotted path names.

  Raises:
    UserError: it cannot be imported, or is no class.
  """
  try:
    if not all(part.isidentifier() for part in name.split(".")):
      raise ImportError("its parts are not names")
    found = pkgutil.resolve_name(name)
  # An import runs whatever the module holds, sys.exit included.
  except (Exception, SystemExit) as error:
    raise errors.UserError(
      f"{section}.name = {name!r} is a dotted path that cannot be imported:"
      f" {type(error).__name__}: {error}"
    ) from None
  if not inspect.isclass(found):
    raise errors.UserError(
      f"{section}.name = {name!r} is a {type(found).__name__}, not a class"
      f" with {', '.join(_NEEDED[section])}"
    )
  return found


def fields(what: str, factory: Callable) -> dict[str, Any]:
  """The options of a class and their defaults, by their names in a config.

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


def construct(factory: Callable, sub: Mapping[str, Any]) -> Any:
  """An object of a class, from a sub-config."""
  # A config.json from before a field existed means that field's default.
  given = {n: n.rstrip("_") for n in inspect.signature(factory).parameters}
  return factory(**{n: sub[key] for n, key in given.items() if key in sub})


def foreign(
  section: str, name: str, factory: Callable, sub: Mapping[str, Any]
) -> Any:
  """The same for a class that is not rotjax's own.

  Raises:
    UserError: it cannot be made, or is not what the section takes.
  """
  try:
    found = construct(factory, sub)
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
    if inspect.getattr_static(found, attribute, absent) is absent
  ]
  if missing:
    raise errors.UserError(
      f"{section}.name = {name!r} is not a class for {section}: it has no"
      f" {', '.join(missing)}"
    )
  return found


def meant(key: str, valid: Mapping[str, Any]) -> list[str]:
  """The fields that a mistyped one likely stands for, best first."""
  last = key.rpartition(".")[2].lower()
  alias = _ALIASES.get(last)
  found = []
  for field in valid:
    name = field.rpartition(".")[2]
    words = name.split("_")
    if alias in (field, name):
      found.append((0, field))
    elif name == last:
      found.append((1, field))
    elif len(words) > 1 and last == "".join(w[0] for w in words):
      found.append((2, field))
    elif len(last) > 3 and last in words:
      found.append((3, field))
  # Of its own section first.
  section = key.partition(".")[0]
  found.sort(key=lambda x: (x[0], not x[1].startswith(f"{section}."), x[1]))
  return [field for _, field in found[:3]]
