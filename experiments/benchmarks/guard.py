"""Has anything become slower? Ratios in one process against stored floors.

    python experiments/benchmarks/guard.py

Each ratio is of two programs that take turns, so that it hardly depends on the
machine or on who shares it; seconds are not looked at. Floors lie in
floors.json, well below what was measured. Exit status 1 where one is undercut,
which a second run should confirm.
"""

from collections.abc import Callable
import json
import pathlib
import sys

import harness
import jax
import numpy as np
import peers_jax
import programs

from rotjax.image import warp
from rotjax.run import experiment as experiment_lib

FLOORS = pathlib.Path(__file__).with_name("floors.json")
# What a ratio is of: (the slower, ours).
Pair = tuple[Callable[[], None], Callable[[], None]]


def _ready(function, *arguments):
  compiled = jax.jit(function)
  return lambda: jax.block_until_ready(compiled(*arguments))


def _warp_pair(count, size, channels) -> Pair:
  images = programs.pictures(count, size, channels)
  degrees = np.linspace(0, 359, count, dtype=np.float32)
  return tuple(
    _ready(jax.vmap(turn), images, degrees)
    for turn in (peers_jax.map_coordinates, warp.rotate)
  )


def _step_pair(config, size, num_seeds=1) -> Pair:
  images = programs.pictures(256, size)
  built = experiment_lib.Experiment.bound_to(config, images.shape[1:])
  return tuple(
    programs.stepper(built, images, num_seeds=num_seeds, stock=stock)
    for stock in (True, False)
  )


def _still_pair(config, size) -> Pair:
  """The view alone against the step: the reciprocal of its share."""
  images = programs.pictures(256, size)
  built = experiment_lib.Experiment.bound_to(config, images.shape[1:])
  return programs.stepper(built, images), programs.view_only(built, images)


def pairs(quick: bool) -> dict[str, Callable[[], Pair]]:
  """Name -> what makes the two calls."""
  size, batch_size = (12, 4) if quick else (28, 128)
  classic = programs.classic(view__size=size, batch_size=batch_size)
  flagship = programs.flagship(view__size=size, batch_size=batch_size)
  few, side = (4, 16) if quick else (256, 64)
  return {
    "warp, 1 channel: map_coordinates / rotjax": lambda: _warp_pair(
      few, size, 1
    ),
    "warp, 3 channels: map_coordinates / rotjax": lambda: _warp_pair(
      few, side, 3
    ),
    "classic step: lax.conv / rotjax": lambda: _step_pair(classic, size),
    "flagship step: lax.conv / rotjax": lambda: _step_pair(flagship, size),
    "4 seeds, flagship step: lax.conv / rotjax": lambda: _step_pair(
      flagship, size, num_seeds=4
    ),
    "flagship: step / its views alone": lambda: _still_pair(flagship, size),
  }


def measure(quick: bool, rounds: int) -> dict[str, harness.Ratio]:
  """Every ratio."""
  found = {}
  for name, make in pairs(quick).items():
    slow, fast = make()
    rows = harness.interleave(
      {"slow": slow, "fast": fast}, rounds, 0.02 if quick else 0.4
    )
    found[name] = harness.ratio(rows["slow"], rows["fast"])
  return found


def verdicts(
  found: dict[str, harness.Ratio], floors: dict[str, float]
) -> list[tuple[str, str, float, str]]:
  """Rows (name, ratio, floor, "ok" or "BELOW").

  Raises:
    ValueError: the floors are of other ratios.
  """
  if found.keys() != floors.keys():
    odd = sorted(found.keys() ^ floors.keys())
    raise ValueError(f"floors.json does not fit the ratios: {odd}")
  return [
    (
      name,
      str(value),
      floors[name],
      "ok" if value.median >= floors[name] else "BELOW",
    )
    for name, value in found.items()
  ]


def main() -> int:
  """Prints and writes the table; 1 where a floor is undercut."""
  args = harness.parser(__doc__, rounds=9).parse_args()
  floors = json.loads(FLOORS.read_text())
  rows = verdicts(measure(args.quick, args.rounds), floors)
  text = [
    "# Guard: same-process ratios and their floors",
    f"{harness.machine()}; {harness.versions('jax', 'flax')}"
    f" ({jax.devices()[0].device_kind}).",
    harness.markdown(("ratio", "measured", "floor", ""), rows),
  ]
  if args.quick:
    text.append("--quick: tiny shapes, floors not enforced.")
  harness.publish(text, args.out)
  below = any(verdict != "ok" for *_, verdict in rows)
  return int(below and not args.quick)


if __name__ == "__main__":
  sys.exit(main())
