"""Is a config one that can be run? Checked before anything is written."""

import ml_collections

from rotjax import config as config_lib
from rotjax import errors, executors

_LEAST = {
  "num_seeds": 1,
  "batch_size": 1,
  "num_steps": 1,
  "num_train_images": 0,
  "steps_per_call": 1,
  "eval.every_steps": 0,
  "eval.num_angles": 1,
  "eval.batch_views": 1,
  "checkpoint.every_steps": 1,
  "checkpoint.keep": 1,
  "log.every_steps": 1,
  "stream.threads": 0,
  "stream.prefetch": 1,
  "seed": 0,
}
_CHOICES = {
  "dtype": ("float32", "bfloat16"),
  "eval.tta": ("none", "rot90"),
  "eval.warp": ("own", "cubic", "scipy"),
}


def check(config: ml_collections.ConfigDict, trained: bool = True) -> None:
  """Checks the fields that no object checks by itself, and builds the others.

  Args:
    config: resolved.
    trained: whether it is trained on; False where it evaluates a run, which
      may have been trained on other angles.

  Raises:
    UserError: naming the field, its value and what is valid.
  """
  flat = config_lib.flatten(config)
  for key, low in _LEAST.items():
    if flat[key] < low:
      raise errors.UserError(f"{key} = {flat[key]} must be at least {low}")
  for key, valid in _CHOICES.items():
    if flat[key] not in valid:
      raise errors.unknown(key, flat[key], valid)
  executors.check_options(config)
  for section in config_lib.NAMED:
    config_lib.build(section, config[section])
  config_lib.build_view(config)
  angles = config_lib.build_angles(config)
  if trained:
    angles.check_tta(config.eval.tta)
