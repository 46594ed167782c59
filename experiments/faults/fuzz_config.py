"""Odd values in every config field: a line that says so, or a step that traces.

    python experiments/faults/fuzz_config.py --minutes 15 --seed 0

Draws a shipped config and a variant, then a few fields of its own flat list and
a value for each that is wrong, extreme or plain odd, as text as the command
line gives it or as an object as a sweep does. The config is resolved, checked,
built, and one training step and one evaluation are traced without computing
anything. All must end well or in a `UserError` of one line; anything else is
printed with what repeats it. Status 1: something was.
"""

import argparse
from collections.abc import Iterator
import dataclasses
import itertools
import pathlib
import random
import sys
import time
import traceback
from typing import Any
import warnings

import jax
import jax.numpy as jnp
import ml_collections

from rotjax import errors
from rotjax.config import base, load, named, resolve, validate
from rotjax.evaluation import evaluator
from rotjax.run import experiment

_CONFIGS = sorted((pathlib.Path(__file__).parents[2] / "configs").glob("*.py"))
_NUMBERS = (
  *(0, 1, -1, 2, 3, 7, 10**3, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 10**30),
  *(0.0, -0.0, 1.0, 0.5, -1.5, 1e3, 1e-30, 1e-45, 1e30, 1e39, 1e308),
  *(float("nan"), float("inf"), float("-inf"), True, False, 360.0, 180.0),
)
_TEXTS = (
  *("", " ", "none", "None", "nan", "inf", "-1", "1e3", "0x10", "1_000"),
  *("()", "(,)", "[]", "{}", "(1,)", "((1,),)", "('a',)", "(0, None)"),
  *("(1, 'a')", "1,2,3", "(0, 90, 180, 270)", "(1e400,)", "(nan,)", "1" * 99),
  *("true", "False", "'", '"', "\\", "\\d", "a/b", "../x", "~", "gs://b/x"),
  *("ü°", "日本", "\n", "x" * 300, "lambda: 0", "__import__('os')", "0or"),
  *("(" * 300, "1" * 5000, "9" * 4400, "-0", "+5", "1.", ".5", "1e-46"),
  *("os.path.join", "os.path", "os", "pathlib.Path", "builtins.int", "..x"),
  *("rotjax.heads.Head", "rotjax.heads.vector.Vector", "rotjax.heads", "a.b"),
  *("rotjax.training.optim.Optimizer", "rotjax.models.strided.Strided"),
  *("14,14", "0,0", "nan,1", "1e30,1", "(14, 14)", "1,2,3", "centroid"),
)
_OBJECTS = (
  *(None, (), [], {}, (1,), [1, 2], ("a",), ((1,),), (0, None), (1, "a")),
  *((1.5, 2), (float("nan"),), (0,), (-1,), (10**9,), (2**31,), (1,) * 40),
  *((0.0, 90.0), (90.0, 0.0), (0.0, 360.0), (-1e30, 1e30), (0.0, 1e-30)),
  *(b"bytes", 1j, object, len, "a\0b", "\ud800", range(3), {1}),
)


def _shipped() -> dict[str, ml_collections.ConfigDict]:
  """Every shipped config under every variant that it can have."""
  found = {}
  for file, variant in itertools.product(_CONFIGS, ["", *base.VARIANTS]):
    spec = f"{file.stem}:{variant}"
    try:
      found[spec] = load.load(spec)
    except errors.UserError:
      continue  # photos have no digits to choose from
  return found


def cases(seed: int) -> Iterator[tuple[str, Any, dict[str, Any]]]:
  """Endless `(its name, a config, overrides)`, the same for a seed."""
  draw = random.Random(seed)
  shipped = _shipped()
  # All of them first, as they are.
  yield from ((spec, config, {}) for spec, config in shipped.items())
  while True:
    spec = draw.choice(list(shipped))
    overrides: dict[str, Any] = {}
    for section in named.NAMED:
      # Else the fields of the shipped configs' own heads would be all.
      if draw.random() < 0.3:
        names = sorted(named.table(section))
        overrides[f"{section}.name"] = draw.choice(names)
    flat = resolve.flatten(resolve.apply(shipped[spec], overrides))
    for key in draw.sample(sorted(flat), draw.randint(1, 3)):
      overrides[key] = _value(draw, flat[key])
    yield spec, shipped[spec], overrides


def _value(draw: random.Random, now: Any) -> Any:
  kind = draw.random()
  if kind < 0.3:
    return str(draw.choice(_NUMBERS))
  if kind < 0.5:
    return draw.choice(_NUMBERS)
  if kind < 0.7:
    return draw.choice(_TEXTS)
  if kind < 0.85:
    return draw.choice(_OBJECTS)
  # Near what is there: what passes the checks goes on to be traced.
  if isinstance(now, tuple):
    items = [x if isinstance(x, str) else x * 2 for x in now]
    return tuple(items[: draw.randint(0, len(items))]) * draw.randint(1, 2)
  if isinstance(now, bool) or isinstance(now, str):
    return now
  return draw.choice([now * 2, now // 2, now + 1, -now, now * 1000, now / 3])


def attempt(config: Any, overrides: dict[str, Any], trace: bool = True) -> str:
  """Resolves, checks, builds, traces; "done", or the line of a UserError."""
  try:
    with warnings.catch_warnings():
      warnings.simplefilter("error")
      config = resolve.apply(config, overrides)
      validate.check(config)
      _same_again(config)
      if trace:
        _trace(config)
  except errors.UserError as error:
    return str(error) or "an empty message"
  return "done"


def _same_again(config: ml_collections.ConfigDict) -> None:
  text = resolve.to_json(config)
  again = base.complete(resolve.from_json(text))
  assert resolve.to_json(again) == text, "config.json comes back otherwise"


def _trace(config: ml_collections.ConfigDict) -> None:
  """One step and one evaluation on pictures of a plausible size, abstractly."""
  channels = config.data.get("channels", 1)
  side = config.data.get("side", 28)
  shape = (side, side, channels)
  bound = experiment.Experiment.bound_to(config, shape)
  state = jax.eval_shape(lambda: bound.init_state(0, pretrained=False))
  count = 2
  batch = {
    "image": jax.ShapeDtypeStruct(
      (count, *bound.view.finer_shape(shape)), jnp.uint8
    ),
    "slot": jax.ShapeDtypeStruct((count,), jnp.int32),
    "mask": jax.ShapeDtypeStruct((count,), jnp.bool_),
    "seed": jax.ShapeDtypeStruct((), jnp.uint32),
  }
  new, metrics = jax.eval_shape(bound.make_step(), state, batch)
  assert jax.tree.map(_kind, new) == jax.tree.map(_kind, state)
  assert metrics["loss"].shape == ()
  size = (count, bound.view.size, bound.view.size, channels)

  def answer(params: Any, model_state: Any, inputs: jax.Array) -> Any:
    return evaluator.predict(
      lambda x: bound.model.apply(params, model_state, x)[0],
      bound.head,
      bound.angles,
      inputs,
      config.eval.tta,
    )

  inputs = jax.ShapeDtypeStruct(size, jnp.float32)
  found = jax.eval_shape(answer, state.params, state.model_state, inputs)
  assert found["predicted_theta"].shape == (count,)


def _kind(x: jax.ShapeDtypeStruct) -> tuple:
  return x.shape, x.dtype


@dataclasses.dataclass
class Outcome:
  """What a fuzzing found: counts, and the faults with what repeats them."""

  done: int = 0
  refused: int = 0
  faults: list[str] = dataclasses.field(default_factory=list)


def run(
  seed: int, minutes: float, limit: int | None = None, trace_every: int = 1
) -> Outcome:
  """Attempts cases until the time or their number is over.

  Args:
    seed: of the cases.
    minutes: after which no other is begun.
    limit: their number.
    trace_every: traces one of so many, which is what takes the time.
  """
  outcome, end = Outcome(), time.monotonic() + 60 * minutes
  drawn = itertools.islice(cases(seed), limit)
  for number, (spec, config, overrides) in enumerate(drawn):
    if time.monotonic() > end:
      break
    try:
      line = attempt(config, overrides, number % trace_every == 0)
      assert "\n" not in line, f"more than one line: {line}"
    except BaseException as error:
      if isinstance(error, KeyboardInterrupt):
        raise
      outcome.faults.append(
        f"{spec} {overrides!r}\n{traceback.format_exc(limit=-6)}"
      )
      print(outcome.faults[-1], file=sys.stderr, flush=True)
      continue
    outcome.done += line == "done"
    outcome.refused += line != "done"
  return outcome


def main() -> int:
  """Runs the command."""
  p = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  p.add_argument("--minutes", type=float, default=15.0)
  p.add_argument("--seed", type=int, default=0)
  args = p.parse_args()
  outcome = run(args.seed, args.minutes)
  print(
    f"{outcome.done} traced, {outcome.refused} refused in one line,"
    f" {len(outcome.faults)} faults"
  )
  return 1 if outcome.faults else 0


if __name__ == "__main__":
  sys.exit(main())
