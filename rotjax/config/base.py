"""The base config: every field that a run reads, commented; and its variants.

A config is an `ml_collections.ConfigDict`.
"""

from collections.abc import Mapping
from typing import Any

import ml_collections

from rotjax import errors
from rotjax.config import named, resolve


def base() -> ml_collections.ConfigDict:
  """The base config: every field that a run reads."""
  config = ml_collections.ConfigDict()
  # Set from the file's name and variant; names the run folder.
  config.name = "base"
  # Parameters, data order, angles, shifts and dropout all derive from it.
  config.seed = 0
  # Runs seed, seed + 1, ..., each in its own folder seed-N/; the average of
  # their densities is scored beside them, and predicts for the whole folder.
  config.num_seeds = 1
  # Seeds step by step together, in one program: "on", "off", or "auto" (on
  # accelerators).
  config.seeds_together = "auto"
  # "jit" (a mesh of devices), "fsdp" (they share parameters and optimizer, too)
  # or "pmap"; the same numbers to rounding.
  config.executor = "jit"
  # Several processes, one job: "auto" where a cluster's launcher started them,
  # "on" insists on it, "off" refuses it.
  config.distributed = "auto"
  # Images a step, over all devices.
  config.batch_size = 128
  # Parts that a batch is computed in, one after another: less memory, the same
  # numbers to rounding. Not where a batch's own statistics normalise it.
  config.microbatches = 1
  # Updates of the parameters; the schedule of the learning rate ends with them.
  config.num_steps = 1000
  # Steps scanned in one call; more than 1 pays on accelerators only. 0: up to
  # 32 there, of batches of small views that lie on the device; else 1.
  config.steps_per_call = 0
  # Arithmetic of the backbone: "float32" or "bfloat16".
  config.dtype = "float32"
  # How its float32 numbers are multiplied: "highest", in float32; "high" and
  # "default" are faster on accelerators: TF32 on a GPU, three passes or one of
  # bfloat16 on a TPU. The last layer and the head are always in float32.
  config.matmul_precision = "highest"
  # Start from the best network of this finished run, where its parameters fit
  # (fine-tuning), or of a model that comes with rotjax (ready:NAME); "" starts
  # anew.
  config.init_from = ""
  # Only so many of the training images, evenly spaced; 0 for all.
  config.num_train_images = 0
  # Sub-configs whose fields are those of the named entry.
  config.data = named.defaults("data", "mnist_5k")
  config.data.classes = (3,)
  config.model = named.defaults("model", "strided")
  config.head = named.defaults("head", "vonmises")
  config.optim = named.defaults("optim", "adam")
  config.head_first = named.defaults("head_first")
  # What the network sees, and which angles are drawn.
  config.view = named.defaults("view")
  config.angles = named.defaults("angles")
  config.eval = ml_collections.ConfigDict(
    {
      # Validation every so many steps, and at the end; 0: at the end only.
      "every_steps": 500,
      # Angles at which each image is turned.
      "num_angles": 36,
      # A second test under another interpolator, in its own column: "cubic"
      # (supersampled), "scipy" (splines, on the host), or "own" for none.
      "warp": "cubic",
      # Test-time averaging: "none", "rot90" over the four quarter turns, or
      # "rot8" over eight turns of 45 degrees.
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
      # Scalars to metrics.jsonl, and to `writers`, every so many steps.
      "every_steps": 50,
      # Some of "tensorboard", "wandb" and "mlflow" (extras of their names).
      "writers": ("tensorboard",),
      # "START:STOP": jax.profiler's trace of these steps, in the run folder's
      # profile/; "" for none.
      "profile": "",
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


# Colour photos on two CPU cores: squares, views and the backbone.
PHOTOS: dict[str, Any] = {
  "data.name": "folder",
  "data.channels": 3,
  # At least sqrt(2) times the view, as any turned square would need.
  "data.side": 192,
  "view.size": 128,
  # The disc is all but the largest of the square.
  "view.zoom": 0.675,
  "view.crop": "circle",
  "view.fineness": 1.5,
  # The random circles move, too.
  "view.jitter": 0.0,
  "view.radius_range": (0.65, 1.0),
  "view.flip": True,
  "view.brightness": 0.15,
  "view.contrast": 0.3,
  "view.color": 0.1,
  "view.grey": 0.1,
  "model.name": "efficientnet_lite0",
  "model.dropout": 0.3,
  # Several modes: a photo may look right in more than one way.
  "head.name": "bins",
  "head.loss": "gaussian",
  "head_first.views": 4,
  "head_first.epochs": 12,
  "optim.learning_rate": 6e-4,
  "optim.weight_decay": 0.01,
  "optim.freeze": "block4",
  "optim.backbone_rate": 0.5,
  "batch_size": 32,
  "eval.num_angles": 8,
  "eval.batch_views": 128,
  "checkpoint.every_steps": 250,
}
PHOTOS_FROZEN: dict[str, Any] = {
  "optim.freeze": "all",
  "num_steps": 20,
  "eval.num_angles": 4,
  "eval.warp": "own",
}
PHOTOS_224: dict[str, Any] = {
  "data.side": 320,
  "view.size": 224,
  "view.zoom": 0.705,
  "dtype": "bfloat16",
  "batch_size": 128,
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
# Of sweeps over photos: on digits, which need no photos and no network.
PHOTOS_SMOKE: dict[str, Any] = {
  **VARIANTS["smoke"],
  "num_seeds": 1,
  # All of a digit, larger than it is.
  "view.size": 32,
  "view.crop": "none",
  "view.zoom": 1.0,
  "view.radius_range": (1.0, 1.0),
  "model.weights": "",
  "head_first.views": 1,
  "head_first.epochs": 1,
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
  config = resolve.apply(base(), overrides)
  table = {**VARIANTS, **(variants or {})}
  for name in filter(None, variant.split(",")):
    if name not in table:
      raise errors.unknown("config variant", name, table)
    config = resolve.apply(config, table[name])
  return config


def complete(config: Mapping[str, Any]) -> ml_collections.ConfigDict:
  """A config with every field of `base()`, each of its field's type.

  Args:
    config: nested mappings; a field that is not there has its default.

  Raises:
    UserError: an unknown field, or a value that does not fit it.
  """
  return resolve.apply(base(), resolve.flatten(config))
