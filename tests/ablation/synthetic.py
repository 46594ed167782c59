"""Sweeps without training whose arms err by as much as a test needs."""

import json

from rotjax.ablation import manifest
from rotjax.ablation import sweep as sweep_lib
from tests import run_folders


def arm(name, **overrides):
  config = run_folders.config(**overrides)
  config.name = name
  return sweep_lib.Arm(name, config, sweep_lib.address_of(config))


def sweep(arms, baseline=None):
  baseline = baseline or arms[0].name
  return sweep_lib.Sweep("demo", "Which?", arms, baseline, None)


def finish_run(workdir, an_arm, seed, sd_deg, noise_seed=None):
  """A finished run; the same noise seed gives the same errors, scaled."""
  noise_seed = seed if noise_seed is None else noise_seed
  p = run_folders.predictions(sd_deg, noise_seed)
  folder = manifest.seed_folders(workdir, an_arm)[seed]
  run_folders.write_run(folder, an_arm.config, p, seed)
  file = folder / "summary.json"
  summary = json.loads(file.read_text())
  other = {name: 1.25 * value for name, value in summary["test"].items()}
  file.write_text(json.dumps({**summary, "test_other_warp": other}))


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
      finish_run(workdir, an_arm, seed, scale, 100 * i + seed)
  return plan
