r"""CPU seconds from process start to a test error, on the honest MNIST threes.

    python experiments/benchmarks/time_to_accuracy.py --out \
      experiments/results/time_to_accuracy.md

Contenders, each in a process of its own:
- rotjax: the flagship, `configs/vonmises.py:mnist`, as shipped, or with its
  schedule cut to `--num_steps`;
- the forum post's network in Keras, in the form that works (linear outputs,
  cosine loss, Adam 1e-3, pixels in 0..1);
- RotNet's network and recipe in Keras: 360 classes, whole degrees, Adam.
Keras sees the same training threes in the same view (about the digits' centre,
shifted by up to a pixel, disc mask) through RotNet's OpenCV generator.

Counted: all CPU time of the process and its children on all cores, from its
start: imports, compilation (without a compile cache), data, training. Not
counted: the test after every `--every` steps, on all test threes at `--angles`
angles (36 would take most of the time and tell the same), whose inputs are
rendered beforehand by rotjax's warp, the same for all.
Conservative: rotjax reads its dataset through TFDS, Keras two prepared arrays.
Nothing is chosen by these tests. A contender that has not come to the lower
target at the limit leaves a lower bound.
"""

import os
import sys

if "--keras_backend" in sys.argv:  # before keras is imported
  os.environ["KERAS_BACKEND"] = sys.argv[sys.argv.index("--keras_backend") + 1]

import argparse
from collections.abc import Callable, Iterator
import json
import pathlib
import tempfile
import time

import harness
import numpy as np

TARGETS_DEG = (10.0, 8.0)
CONTENDERS = ("rotjax", "rotjax-short", "keras-forum", "keras-rotnet")
NAMES = {
  "rotjax": "rotjax, flagship as shipped",
  "rotjax-short": "rotjax, flagship, schedule of {num_steps} steps",
  "keras-forum": "forum's network, Keras on {keras_backend}",
  "keras-rotnet": "RotNet's recipe, Keras on {keras_backend}",
}
# Yields (steps done, the error in degrees when called).
Training = Iterator[tuple[int, Callable[[], float]]]


def mae_deg(predicted: np.ndarray, truth: np.ndarray) -> float:
  """Mean absolute difference on the circle, degrees."""
  return float(np.abs((predicted - truth + 180) % 360 - 180).mean())


def cpu_seconds() -> float:
  """Of this process and its finished children since its start."""
  return sum(os.times()[:4])


def load_test(folder: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
  """Inputs `[N, S, S, 1]` and angles `[N]` in degrees."""
  return np.load(folder / "inputs.npy"), np.load(folder / "degrees.npy")


def _config(args):
  from rotjax.config import load, resolve

  # The source as it is: Keras turns the same pictures.
  config = resolve.apply(load.load("vonmises:mnist"), {"view.fineness": 0.0})
  if args.quick:
    smoke = {"data.name": "mnist_5k", "data.classes": (3,), "batch_size": 16}
    config = resolve.apply(config, smoke)
  if args.contender == "rotjax-short":
    config = resolve.apply(config, {"num_steps": args.num_steps})
  return config


def prepare(args, folder: pathlib.Path) -> int:
  """Writes what Keras trains on and what all are tested on.

  Returns:
    How many pictures are tested.
  """
  import jax
  import jax.numpy as jnp

  from rotjax.image import view as view_lib
  from rotjax.run import experiment as experiment_lib

  experiment = experiment_lib.Experiment.from_config(_config(args))
  train, test = (experiment.dataset.load(s) for s in ("train", "test"))
  if args.quick:
    test = test.rows(np.arange(4))
  degrees = np.float32(
    experiment.angles.evaluation_deg(test.indices, args.angles)
  )
  render = jax.jit(
    jax.vmap(
      lambda image, angle: experiment.view.render(image, view_lib.Draw(angle))
    )
  )
  inputs = [
    np.asarray(render(jnp.asarray(test.images), column)) for column in degrees.T
  ]
  np.save(folder / "inputs.npy", np.concatenate(inputs))
  np.save(folder / "degrees.npy", degrees.T.reshape(-1))
  np.save(folder / "train.npy", train.images)
  return len(test)


def rotjax_training(args, folder: pathlib.Path) -> Training:
  """The flagship's run without its run folder."""
  import jax

  from rotjax.data import batches
  from rotjax.run import experiment as experiment_lib
  from rotjax.run import loop  # noqa: F401

  # The last one is not used here, and a run imports it: that counts.
  from rotjax.training import executors

  config = _config(args)
  experiment = experiment_lib.Experiment.from_config(config)
  images = experiment.training_split().images
  executor = executors.build(
    config.executor, experiment.make_step, config.batch_size
  )
  resident = executor.place_images(images)
  state = executor.place_state(experiment.init_state(args.seed))
  seeds = np.asarray([args.seed], np.uint32)

  @jax.jit
  def predict(state, inputs):
    params, model_state = state.eval_params, state.eval_model_state
    outputs = experiment.model.apply(params, model_state, inputs)[0]
    return experiment.angles.to_degrees(experiment.head.decode(outputs))

  def test():
    inputs, degrees = load_test(folder)
    decoded = [np.asarray(predict(state, part)) for part in _in_parts(inputs)]
    return mae_deg(np.concatenate(decoded)[: len(degrees)], degrees)

  for step in range(config.num_steps):
    batch = batches.batch(len(images), config.batch_size, [args.seed], step, 1)
    state, _ = executor.run(state, resident, seeds, batch)
    jax.block_until_ready(state)
    yield step + 1, test


def keras_training(args, folder: pathlib.Path) -> Training:
  """One of the Keras recipes, until it is told to stop."""
  import keras
  import peers_keras

  keras.utils.set_random_seed(args.seed)
  images = np.load(folder / "train.npy")
  recipe = {
    "keras-forum": peers_keras.forum,
    "keras-rotnet": peers_keras.rotnet,
  }[args.contender](images.shape[1])
  # MNIST's digits have their centre of mass on (14, 14).
  view = peers_keras.View((14.0, 14.0), jitter=1.0, disc=True)
  size = 16 if args.quick else 128
  call = peers_keras.stepper(recipe, view, images, size)

  def test():
    inputs, degrees = load_test(folder)
    answers = [recipe.model.predict_on_batch(x) for x in _in_parts(inputs)]
    decoded = recipe.decode(np.concatenate(answers)[: len(degrees)])
    return mae_deg(decoded, degrees)

  step = 0
  while True:
    call()
    step += 1
    yield step, test


def _in_parts(inputs, size=1024):
  """Equal parts; the last is padded, so that one program serves all."""
  padding = -len(inputs) % size
  padded = np.concatenate([inputs, np.repeat(inputs[:1], padding, axis=0)])
  return padded.reshape(-1, size, *inputs.shape[1:])


def run(training: Training, every: int, limit: float) -> list[dict]:
  """Trains until both targets are met or `limit` CPU seconds are spent.

  Args:
    training: as `rotjax_training`.
    every: steps between tests.
    limit: CPU seconds, tests not counted.

  Returns:
    The tests: "step", "cpu", seconds without the tests, "mae".
  """
  curve, tests = [], 0.0
  for step, test in training:
    cpu = cpu_seconds() - tests
    if step % every == 0 or cpu > limit:
      before = cpu_seconds()
      mae = test()
      tests += cpu_seconds() - before
      curve.append({"step": step, "cpu": cpu, "mae": mae})
      if mae <= min(TARGETS_DEG) or cpu > limit:
        break
  return curve


def reached(curve: list[dict], target: float) -> dict | None:
  """The first test at or below a target."""
  return next((point for point in curve if point["mae"] <= target), None)


def versus(curve: list[dict], ours: list[dict], target: float) -> str:
  """How many times our CPU seconds a contender needs, or more than that."""
  own, theirs = reached(ours, target), reached(curve, target)
  if own is None:
    return "rotjax did not reach it"
  if theirs is None:
    return f"> {curve[-1]['cpu'] / own['cpu']:.1f}x"
  return f"{theirs['cpu'] / own['cpu']:.1f}x"


def _row(name, curve, ours):
  cells = [name]
  for target in TARGETS_DEG:
    point = reached(curve, target)
    cells += [
      f"{point['cpu']:.0f} s, step {point['step']}"
      if point
      else f"not in {curve[-1]['cpu']:.0f} s",
      versus(curve, ours, target),
    ]
  return [*cells, f"{curve[-1]['mae']:.2f}"]


def main():
  """Prints and writes the table."""
  p = harness.parser(__doc__)
  p.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=None)
  p.add_argument("--every", type=int, default=25, help="steps between tests")
  p.add_argument("--limit", type=float, default=150, help="CPU s of each")
  p.add_argument("--num_steps", type=int, default=1000, help="rotjax-short's")
  p.add_argument("--angles", type=int, default=8, help="of each test three")
  p.add_argument("--seed", type=int, default=0)
  p.add_argument("--keras_backend", default="torch", help="or jax")
  p.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
  p.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
  args = p.parse_args()
  if args.quick:
    args.every, args.limit, args.num_steps, args.angles = 2, 0.0, 4, 2
  if args.contender:
    make = rotjax_training if "rotjax" in args.contender else keras_training
    curve = run(make(args, args.folder), args.every, args.limit)
    print(json.dumps({"curve": curve}))
    return
  start, curves = time.perf_counter(), {}
  with tempfile.TemporaryDirectory() as folder:
    count = prepare(args, pathlib.Path(folder))
    for name in args.contenders or CONTENDERS:
      flags = ["--quick"] if args.quick else []
      for flag in ("every", "limit", "num_steps", "seed", "keras_backend"):
        flags += [f"--{flag}", str(getattr(args, flag))]
      flags += ["--contender", name, "--folder", folder]
      # No compile cache, ours or a test's: compiling is counted.
      cold = {"JAX_COMPILATION_CACHE_DIR": ""}
      curves[name] = harness.child([__file__, *flags], cold)["curve"]
      print(f"{name}: {curves[name][-1]}", flush=True)
  base = "rotjax" if "rotjax" in curves else next(iter(curves))
  header = ["contender"]
  for target in TARGETS_DEG:
    header += [f"CPU to {target:g} degrees", f"over {base}'s"]
  text = [
    "# Time to accuracy: CPU seconds from process start",
    f"Flags: `{' '.join(sys.argv[1:])}`; {harness.machine()};"
    f" {harness.versions('jax', 'flax', 'keras', 'torch')}."
    f" {count} test threes at {args.angles} angles, tested every {args.every}"
    " steps at a cost that is not counted; compilation is.",
    harness.markdown(
      [*header, "last error"],
      [
        _row(NAMES[name].format(**vars(args)), curve, curves[base])
        for name, curve in curves.items()
      ],
    ),
    f"{time.perf_counter() - start:.0f} s in all.",
  ]
  harness.publish(text, args.out)


if __name__ == "__main__":
  main()
