"""Is a config one that can be run? Checked before anything is written."""

import os

import ml_collections

from rotjax import distributed, errors, models
from rotjax.config import base, named, resolve
from rotjax.evaluation import averaging
from rotjax.training import executors, profile

_INT = 2**31 - 1  # steps and indices are int32 on the device
_RANGES = {
  "num_seeds": (1, 1000),
  "batch_size": (1, 2**20),
  "microbatches": (1, 2**20),
  "num_steps": (1, 10**9),
  "num_train_images": (0, _INT),
  "steps_per_call": (0, 10_000),
  "eval.every_steps": (0, _INT),
  "eval.num_angles": (1, 3600),
  "eval.batch_views": (1, 2**20),
  "checkpoint.every_steps": (1, _INT),
  "checkpoint.keep": (1, _INT),
  "log.every_steps": (1, _INT),
  "stream.threads": (0, 1000),
  "stream.prefetch": (1, 1000),
  "seed": (0, 2**32 - 1),
}
_CHOICES = {
  "executor": executors.EXECUTORS,
  "distributed": distributed.OPTIONS,
  "seeds_together": ("auto", "on", "off"),
  "dtype": ("float32", "bfloat16"),
  "matmul_precision": models.PRECISIONS,
  "eval.tta": averaging.PASSES,
  "eval.warp": ("own", "cubic", "scipy"),
}
# No machine holds a batch of more pixels than these, 64 GiB in float32.
_PIXELS = 2**34


def check(config: ml_collections.ConfigDict, trained: bool = True) -> None:
  """Checks the fields that no object checks by itself, and builds the others.

  Args:
    config: resolved.
    trained: whether it is trained on; False where it evaluates a run, which
      may have been trained on other angles.

  Raises:
    UserError: naming the field, its value and what is valid.
  """
  config = base.complete(config)
  flat = resolve.flatten(config)
  for key, (low, high) in _RANGES.items():
    errors.check_range(key, flat[key], low, high)
  for key, valid in _CHOICES.items():
    errors.choose(key, flat[key], valid)
  executors.program.check_divides(config.batch_size, 1, config.microbatches)
  last = config.seed + config.num_seeds - 1
  errors.check_range("seed + num_seeds - 1", last, 0, 2**32 - 1)
  _check_name(config.name)
  profile.span(config.log.profile)
  for section in named.NAMED:
    named.build(section, config[section])
  named.build("head_first", config.head_first)
  view = named.build("view", config.view)
  angles = named.build("angles", config.angles)
  if trained:
    averaging.check(config.eval.tta, angles, view.mask)
  if config.batch_size * view.size**2 > _PIXELS:
    raise errors.UserError(
      f"batch_size = {config.batch_size} x view.size = {view.size} squared is"
      f" {config.batch_size * view.size**2:,} pixels, which no memory holds:"
      " lower one of them"
    )


def _check_name(name: str) -> None:
  """It names the folder of a run."""
  if (
    name in ("", ".", "..")
    or os.sep in name
    or not name.isprintable()
    or len(name.encode()) > 200
  ):
    raise errors.UserError(
      f"name = {name!r} cannot name a run's folder: some printable characters"
      f" without {os.sep}, at most 200 bytes of them"
    )
