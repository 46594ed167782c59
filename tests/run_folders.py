"""Finished run folders and sweeps without training: made-up predictions."""

import functools
import json

import numpy as np
from PIL import Image

from rotjax import angles as angles_lib
from rotjax import metrics, report
from rotjax.ablation import manifest
from rotjax.ablation import sweep as sweep_lib
from rotjax.config import base, resolve
from rotjax.metrics import angular, probabilistic
from rotjax.run import layout
from rotjax.run import summary as summary_lib

NUM_IMAGES, NUM_ANGLES = 12, 6
STEPS = (10, 20, 30)
EVIL = "a<script>alert(1)"


def config(**overrides):
  return resolve.apply(
    base.base(), {k.replace("__", "."): v for k, v in overrides.items()}
  )


def predictions(sd_deg=5.0, seed=0, density=True, period_deg=360.0):
  """Answers off by a normal error; ranks of a calibrated density."""
  rng = np.random.default_rng(seed)
  half = period_deg / 2
  angles = angles_lib.Angles(range_deg=(-half, half), period_deg=period_deg)
  example = np.arange(NUM_IMAGES)
  truth = angles.evaluation_deg(example, NUM_ANGLES)
  noise = rng.normal(0, sd_deg, truth.shape)
  scores = {
    "recalibrated_hpd_rank": rng.uniform(size=truth.shape),
    "recalibrated_entropy": np.full(truth.shape, 0.7),
  }
  if density:
    scores |= {
      "hpd_rank": rng.uniform(size=truth.shape),
      # Least where the error is least: a density that knows.
      "entropy": np.abs(noise) / sd_deg,
      "log_density": -np.abs(noise) / sd_deg,
    }
  return metrics.Predictions(
    true_deg=truth,
    predicted_deg=angles_lib.wrap(truth + noise, period_deg),
    example=example,
    label=np.full(NUM_IMAGES, 3),
    angles=angles,
    scores=scores,
  )


@functools.cache
def _chance(angles):
  return {f"chance_{k}": v for k, v in metrics.chance(angles).items()}


def write_run(folder, settings, p, seed=0):
  """What a finished run of `settings` with the predictions `p` leaves."""
  (folder / "plots").mkdir(parents=True)
  single = resolve.apply(settings, {"seed": seed, "num_seeds": 1})
  (folder / "config.json").write_text(resolve.to_json(single))
  summary_lib.save_predictions(folder / "predictions.npz", p)
  test = angular.compute(p) | probabilistic.compute(p)
  lines = [
    {"step": s, "train/loss": 1 / s, "train/mae_deg": 9.0} for s in STEPS
  ]
  lines += [{"step": s, "val/mae_deg": test["mae_deg"] * 30 / s} for s in STEPS]
  rows = "".join(json.dumps(line) + "\n" for line in lines)
  (folder / "metrics.jsonl").write_text(rows)
  Image.new("L", (4, 2)).save(folder / "plots" / "gallery.png")
  summary = {
    "config_name": settings.name,
    "seed": seed,
    "step": 30,
    "seconds": 12.0,
    "parameters": 1234,
    "device": "cpu",
    "versions": {"rotjax": "0.1.0", "jax": "0.10"},
    "protocol": {
      "data": "made up",
      "test_images": NUM_IMAGES,
      "angles_per_image": NUM_ANGLES,
      "angles": "uniform",
      "view": "28 px",
    },
    "leaks": [],
    "test": test | _chance(p.angles),
  }
  (folder / "summary.json").write_text(json.dumps(summary))


def write_seeds(folder, settings, sd_deg=5.0):
  """The parent of seed-N/ folders."""
  for seed in range(settings.num_seeds):
    p = predictions(sd_deg, seed)
    write_run(folder / f"seed-{seed}", settings, p, seed)
  (folder / "config.json").write_text(resolve.to_json(settings))
  folders = layout.below(folder, 0, settings.num_seeds)
  summary_lib.over_seeds(folder, folders)


def write_sweep(workdir, arms, question="Which?", sds=None, tuning=None):
  """A sweep whose arms have results where `sds` names a spread of errors.

  Args:
    workdir: made here.
    arms: name -> config.
    question: of the sweep.
    sds: name -> standard deviation of the errors; all 5 by default.
    tuning: its budget.
  """
  sds = dict.fromkeys(arms, 5.0) if sds is None else sds
  for name, settings in arms.items():
    settings.name = name
  made = [
    sweep_lib.Arm(name, settings, sweep_lib.address_of(settings))
    for name, settings in arms.items()
  ]
  plan = sweep_lib.Sweep("tiny", question, made, next(iter(arms)), tuning)
  manifest.write(workdir, plan)
  for arm in made:
    if arm.name in sds:
      for seed, folder in manifest.seed_folders(workdir, arm).items():
        density = arm.config.head.name == "vonmises"
        p = predictions(sds[arm.name], seed, density)
        write_run(folder, arm.config, p, seed)
  return plan


def write_mixed_sweep(workdir):
  """An arm with a density, one without, a missing and a failed one."""
  arms = {
    "best": config(num_seeds=2),
    EVIL: config(num_seeds=2, head__name="vector"),
    "missing": config(num_seeds=2, num_steps=7),
    "failed": config(num_seeds=2, num_steps=9),
  }
  question = "Which </section><img src=x onerror=alert(1)> head?"
  plan = write_sweep(workdir, arms, question, {"best": 5.0, EVIL: 20.0})
  failed = manifest.folder(workdir, plan.arms[3])
  failed.mkdir()
  words = json.dumps({"error": "MemoryError: <b>too</b> [large]"})
  (failed / "failed.json").write_text(words)


def report_of(workdir):
  """Runs the command; returns the page."""
  report.main(["--workdir", str(workdir)])
  return (workdir / report.FILE).read_text()
