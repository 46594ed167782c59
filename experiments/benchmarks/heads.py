r"""What a head costs of the flagship's training step.

python experiments/benchmarks/heads.py --out experiments/results/heads_cost.md

The same backbone, data and batch; every head of the catalogue takes its turn.
Outputs are decoded on logged steps alone, one in `log.every_steps`, so a window
is a multiple of that many steps.
"""

import harness
import jax
import programs

from rotjax import heads
from rotjax.config import resolve
from rotjax.run import experiment as experiment_lib

# Beside every head as it is by default.
EXTRA = {
  "mixture of 8": {"head.name": "mixture", "head.num_components": 8},
  "bins, Gaussian labels": {"head.name": "bins", "head.loss": "gaussian"},
}


def main():
  """Prints and writes the table."""
  args = harness.parser(__doc__, rounds=7).parse_args()
  small = (
    {"view.size": 12, "batch_size": 4, "log.every_steps": 2}
    if args.quick
    else {}
  )
  flagship = resolve.apply(programs.flagship(), small)
  images = programs.pictures(350, flagship.view.size)
  names = ("vonmises", "vector") if args.quick else heads.HEADS
  arms = {name: {"head.name": name} for name in names}
  if not args.quick:
    arms |= EXTRA
  steps = flagship.log.every_steps
  candidates = {
    name: programs.stepper(
      experiment_lib.Experiment.bound_to(
        resolve.apply(flagship, overrides), images.shape[1:]
      ),
      images,
      steps=steps,
    )
    for name, overrides in arms.items()
  }
  rows = harness.interleave(
    candidates, args.rounds, 0.02 if args.quick else 0.3
  )
  own = rows["vonmises"]
  lines = [
    (
      name,
      f"{1e3 * t.median / steps:.2f}",
      harness.ratio(t, own),
      f"{t.quiet}/{t.rounds}",
    )
    for name, t in sorted(rows.items(), key=lambda item: item[1].median)
  ]
  text = [
    "# What a head costs of the flagship's step",
    f"`python experiments/benchmarks/heads.py --rounds {args.rounds}`;"
    f" {harness.machine()}; {harness.versions('jax', 'flax')}"
    f" ({jax.devices()[0].device_kind}); batch {flagship.batch_size}.",
    harness.markdown(
      ("head", "ms a step", "of the von Mises step", "quiet windows"), lines
    ),
    harness.contended(rows),
  ]
  harness.publish(text, args.out)


if __name__ == "__main__":
  main()
