"""A sweep's folder made without training, for tables and reports."""

import numpy as np

from rotjax import angles as angles_lib
from rotjax import config as config_lib
from rotjax import metrics, run_folder, summary
from rotjax.ablation import manifest
from rotjax.ablation import sweep as sweep_lib

PROTOCOL = {
  "data": "synthetic",
  "test_images": 40,
  "angles_per_image": 6,
  "angles": "uniform",
  "view": "28 px",
}


def arm(name, **overrides):
  keys = {key.replace("__", "."): v for key, v in overrides.items()}
  config = config_lib.resolve(config_lib.base(), keys)
  config.name = name
  return sweep_lib.Arm(name, config, sweep_lib.address_of(config))


def predictions(scale, seed, num_images=40, arm_seed=0):
  """Errors of about `scale` degrees; images and angles do not depend on it."""
  angles = angles_lib.Angles()
  truth = angles.evaluation_deg(np.arange(num_images), 6)
  rng = np.random.default_rng([seed, arm_seed])
  hard = np.random.default_rng(7).uniform(0.5, 1.5, (num_images, 1))
  error = rng.normal(size=truth.shape) * hard * scale
  log_density = -0.5 * (error / scale) ** 2 - np.log(scale)
  return metrics.Predictions(
    angle_deg=truth,
    decoded_deg=angles_lib.wrap(truth + error, 360),
    example=np.arange(num_images),
    label=np.zeros(num_images, int),
    angles=angles,
    scores={"log_density": log_density},
  )


def finish_run(workdir, an_arm, seed, p):
  """Writes what a finished run leaves, as far as tables read it."""
  folder = manifest.seed_folders(workdir, an_arm)[seed]
  folder.mkdir(parents=True)
  summary.save_predictions(folder / "predictions.npz", p)
  (folder / "config.json").write_text(config_lib.to_json(an_arm.config))
  test = metrics.compute(p)
  chance = {f"chance_{k}": v for k, v in metrics.chance(p.angles).items()}
  run_folder.write_json(
    folder / "summary.json",
    {
      "config_name": an_arm.name,
      "seed": seed,
      "seconds": 12.0 + seed,
      "parameters": 1234,
      "protocol": PROTOCOL,
      "leaks": [],
      "test": {**test, **chance},
      "test_other_warp": {k: v * 1.25 for k, v in test.items()},
    },
  )


def sweep(arms, baseline=None, **kwargs):
  baseline = baseline or arms[0].name
  return sweep_lib.Sweep("demo", "Which?", arms, baseline, None, **kwargs)


def finished_sweep(workdir, scales, num_seeds=3):
  """A sweep whose arms err by these degrees, all runs finished."""
  arms = [
    arm(name, num_seeds=num_seeds, num_steps=100 + i)
    for i, name in enumerate(scales)
  ]
  plan = sweep(arms)
  manifest.write(workdir, plan)
  for i, (an_arm, scale) in enumerate(zip(arms, scales.values())):
    for seed in range(num_seeds):
      finish_run(workdir, an_arm, seed, predictions(scale, seed, arm_seed=i))
  return plan
