r"""Evaluation of a split at 36 angles against a Python loop over the angles.

    python experiments/benchmarks/evaluation.py --out \
      experiments/results/evaluation.md

1,010 pictures of 28 x 28 (as many as MNIST has test threes) at 36 angles each,
the flagship's network: decoded angle and log-density of every view. The loop
calls a compiled function once an angle on the whole split, which is how one
would write it by hand. The peak memory of each is its own process's.
"""

import argparse
from collections.abc import Callable
import json
import resource

import harness
import jax
import jax.numpy as jnp
import numpy as np
import programs

from rotjax.data import split as split_lib
from rotjax.evaluation import evaluator as evaluator_lib
from rotjax.image import view as view_lib
from rotjax.run import experiment as experiment_lib


def _split(images: np.ndarray) -> split_lib.Split:
  count = len(images)
  return split_lib.Split(
    images, np.zeros(count, np.int32), np.arange(count), "test"
  )


def candidates(
  count: int, num_angles: int, size: int = 28
) -> dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]]:
  """Calls that give decoded degrees and log-densities, `[count, num_angles]`.

  Log-densities are in nats per radian.
  """
  split = _split(programs.pictures(count, size))
  config = programs.flagship(view__size=size)
  built = experiment_lib.Experiment.bound_to(config, split.images.shape[1:])
  state = built.init_state(0)
  own = evaluator_lib.Evaluator(
    built.view, built.angles, built.model, built.head, num_angles
  )

  def evaluator():
    found = own(state.params, state.model_state, split)
    return found.predicted_deg, found.scores["log_density"]

  @jax.jit
  def predict(params, model_state, images, angle_deg):
    inputs = jax.vmap(
      lambda image, degrees: built.view.render(image, view_lib.Draw(degrees))
    )(images, angle_deg)
    outputs = built.model.apply(params, model_state, inputs)[0]
    theta = built.angles.to_theta(angle_deg)
    return built.head.decode(outputs), built.head.log_density(outputs, theta)

  images = jnp.asarray(split.images)
  angle_deg = built.angles.evaluation_deg(split.indices, num_angles)

  def loop():
    parts = [
      jax.device_get(
        predict(state.params, state.model_state, images, np.float32(column))
      )
      for column in angle_deg.T
    ]
    decoded, log_density = (np.stack(x, -1) for x in zip(*parts))
    return np.rad2deg(decoded), log_density

  return {"rotjax": evaluator, "loop over angles": loop}


def _peak_mib(name: str, count: int, num_angles: int) -> tuple[float, float]:
  """Peak memory of a process: before the first call, and after it."""
  flags = ["--only", name, "--count", str(count), "--angles", str(num_angles)]
  found = harness.child([__file__, *flags])
  return found["before"], found["after"]


def _resident_mib() -> float:
  """Largest resident set of this process so far."""
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
  """Prints and writes the table."""
  p = harness.parser(__doc__, rounds=9)
  p.add_argument("--only", help=argparse.SUPPRESS)
  p.add_argument("--count", type=int, default=1010, help="pictures")
  p.add_argument("--angles", type=int, default=36, help="of each")
  args = p.parse_args()
  count, num_angles = (12, 4) if args.quick else (args.count, args.angles)
  if args.only:
    call = candidates(count, num_angles)[args.only]
    before = _resident_mib()
    call()
    print(json.dumps({"before": before, "after": _resident_mib()}))
    return
  calls = candidates(count, num_angles)
  rows = harness.interleave(calls, args.rounds, 0.02 if args.quick else 0.5)
  memory = {name: _peak_mib(name, count, num_angles) for name in calls}
  lines = [
    (
      name,
      f"{t.median:.3f}",
      f"{t.low:.3f}..{t.high:.3f}",
      harness.ratio(t, rows["rotjax"]),
      f"{memory[name][1]:.0f}",
      f"{memory[name][1] - memory[name][0]:.0f}",
      f"{t.quiet}/{t.rounds}",
    )
    for name, t in rows.items()
  ]
  header = (
    "candidate",
    "seconds",
    "10%..90%",
    "rotjax is",
    "peak MiB",
    "of that, compiling and evaluating",
    "quiet windows",
  )
  text = [
    f"# Evaluation: {count} pictures at {num_angles} angles",
    f"`python experiments/benchmarks/evaluation.py --rounds {args.rounds}`;"
    f" {harness.machine()}; {harness.versions('jax', 'flax')}"
    f" ({jax.devices()[0].device_kind}).",
    harness.markdown(header, lines),
    harness.contended(rows),
  ]
  harness.publish(text, args.out)


if __name__ == "__main__":
  main()
