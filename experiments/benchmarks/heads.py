r"""What a head costs of the flagship's training step.

python experiments/benchmarks/heads.py --out experiments/results/heads_cost.md

The same backbone, data and batch; every head of the catalogue takes its turn.
Outputs are decoded on logged steps alone, one in `log.every_steps`, so a window
is a multiple of that many steps.
"""

import argparse
import pathlib

import harness
import jax
import numpy as np

from rotjax import config as config_lib
from rotjax import config_files, executors, heads
from rotjax import experiment as experiment_lib
from rotjax.data import batches

# Beside every head as it is by default.
EXTRA = {
  "mixture of 8": {"head.name": "mixture", "head.num_components": 8},
  "bins, Gaussian labels": {"head.name": "bins", "head.loss": "gaussian"},
}


def stepper(config):
  """A call that trains for as many steps as one is logged of."""
  experiment = experiment_lib.Experiment.from_config(config)
  executor = executors.build(
    "jit", experiment.make_step, config.batch_size, num_seeds=1
  )
  images = experiment.dataset.load("train").images
  resident = executor.place_images(images)
  seeds = np.zeros(1, np.uint32)
  state = executor.place_state(
    executors.stack_seeds([experiment.init_state(0)])
  )

  def call():
    nonlocal state
    for step in range(config.log.every_steps):
      batch = batches.batch(len(images), config.batch_size, [0], step, 1)
      state, _ = executor.run(state, resident, seeds, batch)
    jax.block_until_ready(state)

  return call


def main():
  """Prints and writes the table."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--out", type=pathlib.Path)
  parser.add_argument("--rounds", type=int, default=7)
  args = parser.parse_args()
  flagship = config_files.load("vonmises")
  arms = {name: {"head.name": name} for name in heads.HEADS} | EXTRA
  candidates = {
    name: stepper(config_lib.resolve(flagship, overrides))
    for name, overrides in arms.items()
  }
  rows = harness.interleave(candidates, args.rounds)
  own, steps = rows["vonmises"].median, flagship.log.every_steps
  lines = [
    "# What a head costs of the flagship's step",
    f"`python experiments/benchmarks/heads.py --rounds {args.rounds}`;"
    f" {harness.machine()}; jax {jax.__version__}"
    f" ({jax.devices()[0].device_kind}); batch {flagship.batch_size}.",
    "| head | ms a step | of the von Mises step | quiet windows |\n"
    "|---|---|---|---|\n"
    + "\n".join(
      f"| {name} | {1e3 * t.median / steps:.2f} | {t.median / own:.3f} |"
      f" {t.quiet}/{t.rounds} |"
      for name, t in sorted(rows.items(), key=lambda item: item[1].median)
    ),
  ]
  text = "\n\n".join(lines) + "\n"
  print(text)
  if args.out:
    args.out.write_text(text)


if __name__ == "__main__":
  main()
