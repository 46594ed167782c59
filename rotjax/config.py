"""Configuration: every field, how names become objects, and the resolver.

A config is an `ml_collections.ConfigDict`. Files in configs/, `--config.x=y`
flags and sweeps all go through `resolve`: a new `head.name` (likewise model,
optim, data) first replaces that sub-config by the named entry's defaults, then
the other overrides apply; an unknown field is refused with the near names.
"""

from collections.abc import Callable, Mapping
import hashlib
import importlib
import json
import os
from typing import Any

import ml_collections

from rotjax import entries, errors, values

# Fields and sections that may differ when a run is resumed and that name no
# folder: memory, dispatch, what is written when. They change no number.
_INCIDENTAL = (
  *("name", "executor", "distributed", "seeds_together", "steps_per_call"),
  *("stream", "checkpoint", "log"),
  *("data.max_resident_mb", "eval.batch_views"),
)
# Fields that are places; they must not depend on the working directory.
_PLACES = ("data.dir", "init_from")


def _table(section: str) -> Mapping[str, type]:
  """The named entries that a sub-config may be; imported when first needed."""
  module, attribute = {
    "data": ("rotjax.data", "DATASETS"),
    "head": ("rotjax.heads", "HEADS"),
    "model": ("rotjax.models", "MODELS"),
    "optim": ("rotjax.optim", "OPTIMIZERS"),
  }[section]
  return getattr(importlib.import_module(module), attribute)


NAMED = ("data", "head", "model", "optim")


def _entry(section: str, name: str) -> Callable:
  """The class behind `section.name`: a key's, or that of a dotted path."""
  table = _table(section)
  if name in table:
    return table[name]
  if "." in name and "/" not in name:  # "c4/en.noblocklist" is a dataset
    return entries.load(section, name)
  if section == "data":  # any other prepared TFDS dataset
    return importlib.import_module("rotjax.data").find(name)
  raise errors.unknown(section, name, table)


def defaults(section: str, name: str) -> ml_collections.ConfigDict:
  """The sub-config of a named entry: its dataclass's fields and defaults.

  A field whose name clashes with a method ends in an underscore in Python
  (`loss_`) and not in the config (`head.loss`).
  """
  fields = entries.fields(f"{section}.name = {name!r}", _entry(section, name))
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
  factory = _entry(section, sub["name"])
  if factory in _table(section).values():
    return entries.construct(factory, sub)
  return entries.foreign(section, sub["name"], factory, sub)


def _class_of(section: str) -> Callable:
  """What the sub-configs without a name are built as."""
  return {
    "view": lambda: importlib.import_module("rotjax.view").View,
    "angles": lambda: importlib.import_module("rotjax.angles").Angles,
  }[section]()


def build_view(config: Mapping[str, Any]) -> Any:
  """The view of `config.view`, its centre not yet resolved."""
  return entries.construct(_class_of("view"), config["view"])


def build_angles(config: Mapping[str, Any]) -> Any:
  """The angles of `config.angles`."""
  return entries.construct(_class_of("angles"), config["angles"])


def base() -> ml_collections.ConfigDict:
  """The base config: every field that a run reads."""
  config = ml_collections.ConfigDict()
  # Set from the file's name and variant; names the run folder.
  config.name = "base"
  # Parameters, data order, angles, shifts and dropout all derive from it.
  config.seed = 0
  # Runs seed, seed + 1, ..., each in its own folder seed-N/.
  config.num_seeds = 1
  # Seeds step by step together (executors.py): "on", "off", or "auto" (on
  # accelerators).
  config.seeds_together = "auto"
  # "jit" (a mesh of devices) or "pmap"; the same numbers to rounding.
  config.executor = "jit"
  # Several processes, one job: "auto" where a cluster's launcher started them,
  # "on" insists on it, "off" refuses it (processes.py).
  config.distributed = "auto"
  # Images a step, over all devices.
  config.batch_size = 128
  config.num_steps = 1000
  # Steps scanned in one call; more than 1 pays on accelerators only.
  config.steps_per_call = 1
  # Arithmetic of the backbone: "float32" or "bfloat16".
  config.dtype = "float32"
  # Start from the best network of this finished run, where its parameters fit
  # (fine-tuning); "" starts anew.
  config.init_from = ""
  # Only so many of the training images, evenly spaced; 0 for all.
  config.num_train_images = 0
  # Sub-configs whose fields are those of the named entry.
  config.data = defaults("data", "mnist_5k")
  config.data.classes = (3,)
  config.model = defaults("model", "strided")
  config.head = defaults("head", "vonmises")
  config.optim = defaults("optim", "adam")
  # What the network sees (view.py) and which angles are drawn (angles.py).
  config.view = entries.fields("view", _class_of("view"))
  config.angles = entries.fields("angles", _class_of("angles"))
  config.eval = ml_collections.ConfigDict(
    {
      # Validation every so many steps, and at the end; 0: at the end only.
      "every_steps": 500,
      # Angles at which each image is turned.
      "num_angles": 36,
      # A second test under another interpolator, in its own column: "cubic"
      # (supersampled), "scipy" (splines, on the host), or "own" for none.
      "warp": "cubic",
      # Test-time averaging: "none", or "rot90" over the four quarter turns.
      "tta": "none",
      # Views in one call: bounds the memory.
      "batch_views": 1024,
    }
  )
  # For sets too large to lie decoded in memory (data.max_resident_mb).
  config.stream = ml_collections.ConfigDict(
    {
      # That decode, on each host; 0 for one a core.
      "threads": 0,
      # Steps that may lie decoded ahead.
      "prefetch": 8,
    }
  )
  config.checkpoint = ml_collections.ConfigDict(
    {
      # A resumable state every so many steps, and at the end.
      "every_steps": 1000,
      # How many of the latest are kept, besides the best.
      "keep": 2,
    }
  )
  config.log = ml_collections.ConfigDict(
    {
      # Scalars to metrics.jsonl and TensorBoard every so many steps.
      "every_steps": 50,
    }
  )
  return config


# The protocol that the flagship and its rivals share: only the head differs.
FLAGSHIP = {
  "num_steps": 2000,
  "optim.learning_rate": 1e-2,
}
FLAGSHIP_VARIANTS = {
  "mnist": {
    "data.name": "mnist",
    "data.classes": (3,),
    "num_steps": 8000,
    "eval.every_steps": 2000,
  },
}

# Does it run at all?
SMOKE: dict[str, Any] = {
  "num_steps": 20,
  "batch_size": 16,
  "eval.num_angles": 4,
  "eval.warp": "own",
  "eval.every_steps": 10,
  "checkpoint.every_steps": 10,
  "log.every_steps": 5,
}

# What `config.py:variant` may say, besides a file's own variants.
VARIANTS: dict[str, dict[str, Any]] = {
  "mnist": {"data.name": "mnist", "data.classes": (3,)},
  "all_digits": {"data.classes": ()},
  # On data that needs no network.
  "smoke": {"data.name": "mnist_5k", "num_train_images": 100, **SMOKE},
  # Other questions than the full circle: nearly upright pages, hand-held
  # cameras, sensors turned by quarters, and what looks the same upside down.
  "deskew": {"angles.range_deg": (-10.0, 10.0)},
  "tilt": {"angles.range_deg": (-45.0, 45.0)},
  "quarters": {
    "angles.distribution": "values",
    "angles.values_deg": (0.0, 90.0, 180.0, 270.0),
  },
  "lines": {"angles.period_deg": 180.0},
  # Pictures that are turned already, not turned any further.
  "as_found": {"angles.distribution": "values", "angles.values_deg": (0.0,)},
}


def make(
  variant: str,
  overrides: Mapping[str, Any],
  variants: Mapping[str, Mapping[str, Any]] | None = None,
) -> ml_collections.ConfigDict:
  """What a config file's `get_config(variant)` returns.

  Args:
    variant: comma-separated names, applied in that order; "" for none.
    overrides: dotted keys over `base()`.
    variants: this file's own, added to or replacing entries of `VARIANTS`.

  Raises:
    UserError: an unknown variant or field.
  """
  config = resolve(base(), overrides)
  table = {**VARIANTS, **(variants or {})}
  for name in filter(None, variant.split(",")):
    if name not in table:
      raise errors.unknown("config variant", name, table)
    config = resolve(config, table[name])
  return config


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
  """Dotted key -> value for every leaf."""
  flat = {}
  for key, value in config.items():
    if isinstance(value, (Mapping, ml_collections.ConfigDict)):
      flat.update(flatten(value, f"{prefix}{key}."))
    else:
      flat[prefix + key] = value
  return flat


def resolve(
  config: ml_collections.ConfigDict, overrides: Mapping[str, Any]
) -> ml_collections.ConfigDict:
  """A copy of `config` with dotted-key overrides applied.

  Args:
    config: left as it is.
    overrides: values of the field's type, or strings that parse to it.

  Returns:
    The new config.

  Raises:
    UserError: an unknown field, or a value that does not fit it.
  """
  config = config.copy_and_resolve_references()
  overrides = dict(overrides)
  for section in NAMED:
    name = overrides.pop(f"{section}.name", None)
    if name is not None and name != config[section].name:
      config[section] = defaults(section, str(name))
  flat = flatten(config)
  for key, value in overrides.items():
    if key not in flat:
      raise _unknown_field(key, flat)
    *path, last = key.split(".")
    owner = config
    for part in path:
      owner = owner[part]
    item = _items_of(path[0], config, last) if path else None
    owner[last] = values.parse(key, value, flat[key], item)
  return config


def _items_of(section: str, config: Any, field: str) -> type | None:
  """What a tuple's items are, where its class says so."""
  if section in NAMED:
    factory = _entry(section, config[section].name)
  elif section in ("view", "angles"):
    factory = _class_of(section)
  else:
    return None
  return entries.items_of(factory, field)


def complete(config: Mapping[str, Any]) -> ml_collections.ConfigDict:
  """A config with every field of `base()`, each of its field's type.

  Args:
    config: nested mappings; a field that is not there has its default.

  Raises:
    UserError: an unknown field, or a value that does not fit it.
  """
  return resolve(base(), flatten(config))


def _unknown_field(key: str, flat: Mapping[str, Any]) -> errors.UserError:
  """The error for a field that this config does not have."""
  section, _, field = key.partition(".")
  if f"{key}.name" in flat:  # --config.head=bins
    return errors.UserError(
      f"unknown config field {key!r}: it is a group of fields, and"
      f" {key}.name chooses among"
      f" {', '.join(sorted(_table(key)))}: --config.{key}.name=..."
    )
  if section in NAMED and field:
    having = [
      name
      for name, factory in sorted(_table(section).items())
      if field in entries.fields(name, factory)
    ]
    if having:
      return errors.UserError(
        f"unknown config field {key!r}: {section}.name ="
        f" {flat[f'{section}.name']!r} has no {field}; these have it:"
        f" {', '.join(having)} (--config.{section}.name={having[0]})"
      )
  return errors.unknown("config field", key, flat, entries.meant(key, flat))


def to_json(config: ml_collections.ConfigDict) -> str:
  """Sorted, indented JSON; tuples become lists and come back as tuples."""
  return json.dumps(config.to_dict(), indent=2, sort_keys=True) + "\n"


def from_json(text: str) -> ml_collections.ConfigDict:
  """The inverse of `to_json`."""

  def tuples(value):
    if isinstance(value, dict):
      return {k: tuples(v) for k, v in value.items()}
    return tuple(map(tuples, value)) if isinstance(value, list) else value

  return ml_collections.ConfigDict(tuples(json.loads(text)))


def identity(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """The fields that decide a run's numbers: two runs are the same if equal."""
  return deciding(flatten(from_json(to_json(config))))


def deciding(fields: Mapping[str, Any]) -> dict[str, Any]:
  """Those of some dotted fields that decide a run's numbers."""
  return {
    k: v
    for k, v in fields.items()
    if k not in _INCIDENTAL and k.split(".")[0] not in _INCIDENTAL
  }


def absolute(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """A copy whose places do not depend on the working directory."""
  flat = flatten(config)
  places = {
    key: os.path.abspath(os.path.expanduser(flat[key]))
    for key in _PLACES
    if flat.get(key) and "://" not in flat[key]
  }
  return resolve(config, places)


def digest(fields: Mapping[str, Any]) -> str:
  """Eight hexadecimal digits that name a set of overrides or a config."""
  text = json.dumps(dict(fields), sort_keys=True, default=str)
  return hashlib.sha256(text.encode()).hexdigest()[:8]
