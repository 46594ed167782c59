"""Seeds trained together, step by step: what it costs, and gains.

    python experiments/benchmarks/seeds.py --out experiments/results/seeds.md

The flagship's step for 1, 4 and 8 seeds as rotjax trains them together, against
`lax.conv`, which `vmap` over kernels turns into a grouped convolution. Images
are counted over all seeds; one after another they run at one seed's rate.
"""

import harness
import jax
import programs

from rotjax.run import experiment as experiment_lib

COUNTS = (1, 4, 8)


def measure(quick: bool, rounds: int):
  """Timings, seconds for one image of one seed."""
  size, batch_size = (12, 4) if quick else (28, 128)
  images = programs.pictures(64 if quick else 5000, size)
  config = programs.flagship(view__size=size, batch_size=batch_size)
  built = experiment_lib.Experiment.bound_to(config, images.shape[1:])
  candidates, work = {}, {}
  for stock in (False, True):
    for count in COUNTS[: 2 if quick else None]:
      layer = "lax.conv, vmap" if stock else "rotjax"
      name = f"{layer}, {count} seed{'s' * (count > 1)}"
      candidates[name] = programs.stepper(
        built, images, num_seeds=count, stock=stock
      )
      work[name] = count * batch_size
  seconds = 0.02 if quick else 0.5
  rows = harness.interleave(candidates, rounds, seconds)
  return {name: t.scaled(1 / work[name]) for name, t in rows.items()}


def main():
  """Prints and writes the table."""
  args = harness.parser(__doc__, rounds=9).parse_args()
  rows = measure(args.quick, args.rounds)
  one = rows["rotjax, 1 seed"]
  lines = [
    (
      name,
      f"{1 / t.median:,.0f}",
      f"{1 / t.high:,.0f}..{1 / t.low:,.0f}",
      harness.ratio(one, t),
      harness.ratio(t, rows[name.replace("lax.conv, vmap", "rotjax")]),
      f"{t.quiet}/{t.rounds}",
    )
    for name, t in rows.items()
  ]
  header = (
    "candidate",
    "images/s, all seeds",
    "10%..90%",
    "rate of one after another",
    "rotjax's is",
    "quiet windows",
  )
  text = [
    "# Seeds together: images a second over all seeds",
    f"`python experiments/benchmarks/seeds.py --rounds {args.rounds}`;"
    f" {harness.machine()}; {harness.versions('jax', 'flax')}"
    f" ({jax.devices()[0].device_kind}); the flagship's network, batch 128 a"
    " seed.",
    harness.markdown(header, lines),
    harness.contended(rows),
  ]
  harness.publish(text, args.out)


if __name__ == "__main__":
  main()
