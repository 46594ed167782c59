"""Overrides onto a config, and what identifies it.

Files in configs/, `--config.x=y` flags and sweeps all go through `apply`: a new
`head.name` (likewise model, optim, data) first replaces that sub-config by the
named entry's defaults, then the other overrides apply; an unknown field is
refused with the near names.
"""

from collections.abc import Mapping
import hashlib
import json
import os
from typing import Any

import ml_collections

from rotjax import errors
from rotjax.config import named, shipped, values

# Fields and sections that may differ when a run is resumed and that name no
# folder: memory, dispatch, what is written when. They change no number.
INCIDENTAL = (
  *("name", "executor", "distributed", "seeds_together", "steps_per_call"),
  *("microbatches", "model.remat"),
  *("stream", "checkpoint", "log"),
  *("data.max_resident_mb", "eval.batch_views"),
)

# Fields that are places; they must not depend on the working directory.
PLACES = ("data.dir", "data.fonts", "init_from")

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
  "accumulate": "microbatches",
  "accumulation_steps": "microbatches",
  "gradient_accumulation_steps": "microbatches",
  "grad_accum": "microbatches",
  "checkpointing": "model.remat",
  "lr": "optim.learning_rate",
  "learning_rate": "optim.learning_rate",
  "beta1": "optim.b1",
  "beta2": "optim.b2",
  "grad_clip": "optim.clip_norm",
  "ema": "optim.ema_decay",
  "precision": "matmul_precision",
  "pretrained": "model.weights",
  "num_workers": "stream.threads",
  "workers": "stream.threads",
  "random_seed": "seed",
}


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
  """Dotted key -> value for every leaf."""
  flat = {}
  for key, value in config.items():
    if isinstance(value, (Mapping, ml_collections.ConfigDict)):
      flat.update(flatten(value, f"{prefix}{key}."))
    else:
      flat[prefix + key] = value
  return flat


def apply(
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
  for section in named.NAMED:
    name = overrides.pop(f"{section}.name", None)
    if name is not None and name != config[section].name:
      config[section] = named.defaults(section, str(name))
  flat = flatten(config)
  for key, value in overrides.items():
    if key not in flat:
      raise _unknown_field(key, flat)
    *path, last = key.split(".")
    owner = config
    for part in path:
      owner = owner[part]
    item = _items_of(path[0], config[path[0]], last) if path else None
    owner[last] = values.parse(key, value, flat[key], item)
  return config


def _items_of(section: str, sub: Any, field: str) -> type | None:
  """What a tuple's items are, where its class says so."""
  if section not in (*named.NAMED, *named.SINGLE):
    return None
  return named.items_of(named.entry(section, sub.get("name", "")), field)


def _unknown_field(key: str, flat: Mapping[str, Any]) -> errors.UserError:
  """The error for a field that this config does not have."""
  section, _, field = key.partition(".")
  if f"{key}.name" in flat:  # --config.head=bins
    return errors.UserError(
      f"unknown config field {key!r}: it is a group of fields, and"
      f" {key}.name chooses among"
      f" {', '.join(sorted(named.table(key)))}: --config.{key}.name=..."
    )
  if section in named.NAMED and field:
    having = [
      name
      for name, factory in sorted(named.table(section).items())
      if field in named.fields(name, factory)
    ]
    if having:
      return errors.UserError(
        f"unknown config field {key!r}: {section}.name ="
        f" {flat[f'{section}.name']!r} has no {field}; these have it:"
        f" {', '.join(having)} (--config.{section}.name={having[0]})"
      )
  return errors.unknown("config field", key, flat, meant(key, flat))


def meant(key: str, valid: Mapping[str, Any]) -> list[str]:
  """The fields that a mistyped one likely stands for, best first."""
  last = key.rpartition(".")[2].lower()
  alias = _ALIASES.get(last)
  ranked = []
  for field in valid:
    name = field.rpartition(".")[2]
    words = name.split("_")
    if alias in (field, name):
      ranked.append((0, field))
    elif name == last:
      ranked.append((1, field))
    elif len(words) > 1 and last == "".join(w[0] for w in words):
      ranked.append((2, field))
    elif len(last) > 3 and last in words:
      ranked.append((3, field))
  # Of its own section first.
  section = key.partition(".")[0]
  ranked.sort(key=lambda x: (x[0], not x[1].startswith(f"{section}."), x[1]))
  return [field for _, field in ranked[:3]]


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
    if k not in INCIDENTAL and k.split(".")[0] not in INCIDENTAL
  }


def absolute(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """A copy whose places do not depend on the working directory."""
  flat = flatten(config)
  places = {
    key: os.path.abspath(os.path.expanduser(flat[key]))
    for key in PLACES
    if flat.get(key) and "://" not in flat[key]
    if not flat[key].startswith(shipped.PREFIX)
  }
  weights = str(flat.get("model.weights", ""))
  if os.path.splitext(weights)[1]:  # a file, and no name such as "imagenet"
    places["model.weights"] = os.path.abspath(os.path.expanduser(weights))
  return apply(config, places)


def digest(fields: Mapping[str, Any]) -> str:
  """Eight hexadecimal digits that name a set of overrides or a config."""
  text = json.dumps(dict(fields), sort_keys=True, default=str)
  return hashlib.sha256(text.encode()).hexdigest()[:8]
