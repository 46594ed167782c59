"""The training step of the classic Keras MNIST network against the peers.

    pip install -e ".[bench]"
    python experiments/benchmarks/step.py --out experiments/results/step.md

conv 32, conv 64, max-pool, dense 128, dense 2, both dropouts; batch 128,
float32, Adam, cosine loss, each image turned by an angle of its own inside the
step. One process compares rotjax with itself on `lax.conv` and with torch. A
Keras backend is fixed when keras is imported, so each has a process of its own,
in which rotjax takes its turns, too: every ratio is of one process.
"""

import os
import sys

if "--keras" in sys.argv:  # before keras is imported
  os.environ["KERAS_BACKEND"] = sys.argv[sys.argv.index("--keras") + 1]

import dataclasses
import json

import harness
import programs

from rotjax.run import experiment as experiment_lib

OURS = "rotjax"


def _ours(images, batch_size):
  built = experiment_lib.Experiment.bound_to(
    programs.classic(batch_size=batch_size), images.shape[1:]
  )
  return {
    OURS: programs.stepper(built, images),
    "rotjax on lax.conv, reduce_window": programs.stepper(
      built, images, stock=True
    ),
  }


def _torch(images, batch_size, compiled):
  """Candidates, and why some are missing."""
  try:
    import peers_torch
  except ImportError:
    return {}, ["torch is not installed"]

  def make(**options):
    return peers_torch.stepper(images, batch_size, **options)

  candidates = {
    "torch eager, NCHW": make(),
    "torch eager, channels_last": make(channels_last=True),
  }
  why = peers_torch.why_not_compile() if compiled else "--quick"
  if not why:
    call = make(channels_last=True, compiled=True)
    try:
      call()
      candidates["torch.compile, channels_last"] = call
    except Exception as error:  # whatever a tool chain may complain of
      why = str(error).strip().splitlines()[0]
  return candidates, [f"torch.compile left out: {why}"] if why else []


def _keras(images, batch_size):
  """Candidates of the backend in $KERAS_BACKEND."""
  import peers_keras

  middle = (images.shape[1] - 1) / 2
  view = peers_keras.View((middle, middle))
  recipe = peers_keras.forum(images.shape[1])
  name = f"Keras on {os.environ['KERAS_BACKEND']}, OpenCV generator"
  return {name: peers_keras.stepper(recipe, view, images, batch_size)}


def measure(quick: bool, rounds: int, backend: str = ""):
  """Timings of one process's candidates, and notes; seconds a step."""
  size, batch_size = (12, 8) if quick else (28, 128)
  images = programs.pictures(64 if quick else 5000, size)
  candidates, notes = _ours(images, batch_size), []
  if backend:
    candidates.pop("rotjax on lax.conv, reduce_window")
    candidates |= _keras(images, batch_size)
  else:
    theirs, notes = _torch(images, batch_size, compiled=not quick)
    candidates |= theirs
  seconds = 0.02 if quick else 1.0
  return harness.interleave(candidates, rounds, seconds), batch_size, notes


def _in_child(backend, args):
  flags = ["--keras", backend, "--rounds", str(args.rounds)]
  if args.quick:
    flags.append("--quick")
  found = harness.child([__file__, *flags])
  return {name: harness.Timing(**t) for name, t in found.items()}


def main():
  """Prints and writes the tables."""
  p = harness.parser(__doc__, rounds=9)
  p.add_argument("--keras", metavar="BACKEND", help="one process's rows: JSON")
  args = p.parse_args()
  if args.keras:
    rows, _, _ = measure(args.quick, args.rounds, args.keras)
    print(json.dumps({n: dataclasses.asdict(t) for n, t in rows.items()}))
    return
  rows, batch_size, notes = measure(args.quick, args.rounds)
  text = [
    "# The step: images a second, and how many times faster rotjax is",
    f"`python experiments/benchmarks/step.py --rounds {args.rounds}`;"
    f" {harness.machine()};"
    f" {harness.versions('jax', 'flax', 'torch', 'keras')}. The classic Keras"
    f" MNIST network, batch {batch_size}, float32, Adam, the rotation inside.",
    "## rotjax, torch: one process",
    harness.table(rows, batch_size, OURS),
    *notes,
  ]
  for backend in ("jax", "torch"):
    text.append(f"## rotjax, Keras on {backend}: a process of their own")
    try:
      rows = _in_child(backend, args)
      text.append(harness.table(rows, batch_size, OURS))
    except RuntimeError as error:
      text.append(f"Left out: {error}")
  harness.publish(text, args.out)


if __name__ == "__main__":
  main()
