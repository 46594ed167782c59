r"""Start-up: from the shell's prompt to the first step done.

    python experiments/benchmarks/startup.py --out \
      experiments/results/startup.md

Every line is a process of its own, the median of several. A first start has an
empty compile cache, a second finds what the first left; another has the cache
turned off as `--no_compile_cache` does. The steps of a start are those of
`rotjax.main`: flags, imports, config, data, parameters, one training step; no
run folder is written. Below, what each command imports before it knows what it
is to do.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import harness
import numpy as np

# Seconds each takes to import and not needed by every command.
HEAVY = (
  "matplotlib",
  "optax",
  "orbax",
  "PIL",
  "pandas",
  "scipy",
  "sklearn",
  "tensorboardX",
  "tensorflow",
  "tensorflow_datasets",
)
COMMANDS = ("main", "audit", "ablate", "tables", "report", "predict", "export")


def first_step(config_name: str, no_compile_cache: bool) -> dict[str, float]:
  """Does what a run does up to its first step.

  Returns:
    Stage -> seconds.
  """
  stages, last = {}, time.perf_counter()

  def done(stage):
    nonlocal last
    now = time.perf_counter()
    stages[stage] = now - last
    last = now

  from rotjax.cli import environment

  environment.use_compile_cache(not no_compile_cache)
  import jax

  from rotjax.config import load
  from rotjax.data import batches
  from rotjax.run import experiment as experiment_lib
  from rotjax.run import (
    loop,  # noqa: F401
  )

  # The last two are not used here, and a run imports them.
  from rotjax.training import executors

  done("imports")
  config = load.config(config_name, {})
  experiment = experiment_lib.Experiment.from_config(config)
  images = experiment.training_split().images
  done("config and data")
  executor = executors.build(
    config.executor, experiment.make_step, config.batch_size
  )
  resident = executor.place_images(images)
  state = executor.place_state(experiment.init_state(0))
  jax.block_until_ready(state)
  done("parameters")
  batch = batches.batch(len(images), config.batch_size, [0], 0, 1)
  state, _ = executor.run(state, resident, np.zeros(1, np.uint32), batch)
  jax.block_until_ready(state)
  done("compile and first step")
  return stages


def _wall(arguments, environment=None):
  start = time.perf_counter()
  subprocess.run(
    [sys.executable, *arguments],
    env={**os.environ, **(environment or {})},
    check=True,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )
  return time.perf_counter() - start


def _start(config, cache, *flags):
  """Stage -> seconds of one start, "all" from the prompt to the last."""
  start = time.perf_counter()
  stages = harness.child(
    [__file__, "--child", "--config", config, *flags],
    # The tests' own cache must not stand in for the user's.
    {"XDG_CACHE_HOME": cache, "JAX_COMPILATION_CACHE_DIR": ""},
  )
  return stages | {"all": time.perf_counter() - start}


def starts(config: str, repeats: int) -> dict[str, dict[str, list[float]]]:
  """Kind of start -> stage -> seconds of each repetition."""
  found = {
    kind: [] for kind in ("first start", "second start", "--no_compile_cache")
  }
  for _ in range(repeats):
    with tempfile.TemporaryDirectory() as cache:
      found["first start"].append(_start(config, cache))
      found["second start"].append(_start(config, cache))
      found["--no_compile_cache"].append(
        _start(config, cache, "--no_compile_cache")
      )
  return {
    kind: {stage: [r[stage] for r in runs] for stage in runs[0]}
    for kind, runs in found.items()
  }


def commands(repeats: int) -> dict[str, list[float]]:
  """What needs no step -> seconds of each repetition."""
  lines = {
    "an empty Python": ["-c", "pass"],
    "import jax": ["-c", "import jax"],
    "import rotjax.main": ["-c", "import rotjax.main"],
    "python -m rotjax.main --help": ["-m", "rotjax.main", "--help"],
    "import rotjax.run.train, rotjax.run.loop": [
      "-c",
      "import rotjax.run.train, rotjax.run.loop",
    ],
  }
  found = {name: [] for name in lines}
  for _ in range(repeats):
    for name, arguments in lines.items():
      found[name].append(_wall(arguments))
  return found


def parse_importtime(text: str) -> dict[str, tuple[float, float]]:
  """What `-X importtime` wrote -> module: seconds, own and with its imports."""
  found = {}
  for line in text.splitlines():
    fields = line.removeprefix("import time:").split("|")
    if line.startswith("import time:") and fields[0].strip().isdigit():
      own, cumulative, name = (field.strip() for field in fields)
      found[name] = (int(own) / 1e6, int(cumulative) / 1e6)
  return found


def heavy_imports(arguments: list[str]) -> dict[str, float]:
  """Heavy packages that a command imports -> seconds, with what they import."""
  done = subprocess.run(
    [sys.executable, "-X", "importtime", *arguments],
    check=True,
    capture_output=True,
    text=True,
  )
  found = parse_importtime(done.stderr)
  seconds = {}
  for name, (own, cumulative) in found.items():
    top = name.split(".")[0]
    if top in HEAVY:
      whole = cumulative if name == top else 0.0
      seconds[top] = max(seconds.get(top, 0.0), own, whole)
  return seconds


def _median(values):
  low, median, high = np.percentile(values, (10, 50, 90))
  return f"{median:.2f} ({low:.2f}..{high:.2f})"


def _imports_table(commands):
  rows = {
    f"rotjax.{name} --help": ["-m", f"rotjax.{name}", "--help"]
    for name in commands
  }
  rows["import rotjax.run.train"] = ["-c", "import rotjax.run.train"]
  rows["import rotjax.run.loop"] = ["-c", "import rotjax.run.loop"]
  return harness.markdown(
    ("command", "heavy packages imported, seconds"),
    [
      (
        name,
        ", ".join(
          f"{package} {seconds:.2f}"
          for package, seconds in sorted(heavy_imports(arguments).items())
        )
        or "none",
      )
      for name, arguments in rows.items()
    ],
  )


def main():
  """Prints and writes the tables."""
  p = harness.parser(__doc__, rounds=5)
  p.add_argument("--config", default="vonmises", help="what is started")
  p.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
  p.add_argument("--no_compile_cache", action="store_true")
  args = p.parse_args()
  if args.child:
    print(json.dumps(first_step(args.config, args.no_compile_cache)))
    return
  repeats, config = args.rounds, args.config
  if args.quick:
    repeats, config = 1, f"{config}:smoke"
  found = starts(config, repeats)
  stages = list(found["first start"])
  text = [
    "# Start-up: seconds, median (10%..90%)",
    f"`python experiments/benchmarks/startup.py --rounds {args.rounds}`;"
    f" {harness.machine()};"
    f" {harness.versions('jax', 'flax', 'orbax-checkpoint')}; {config}.",
    harness.markdown(
      ("start", *stages),
      [
        (kind, *(_median(runs[stage]) for stage in stages))
        for kind, runs in found.items()
      ],
    ),
    harness.markdown(
      ("command", "seconds"),
      [(name, _median(v)) for name, v in commands(repeats).items()],
    ),
    _imports_table(COMMANDS[:1] if args.quick else COMMANDS),
  ]
  harness.publish(text, args.out)


if __name__ == "__main__":
  main()
