"""What every executor is made of: the step as a program, seeds, checks.

Seeds trained together add a leading axis to the state, by `jax.vmap` of the
step, or take turns on a CPU; several steps a call are a `lax.scan`.
"""

from collections.abc import Callable
import dataclasses
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from rotjax import errors
from rotjax.training import step as step_lib

P = jax.sharding.PartitionSpec


@dataclasses.dataclass(frozen=True)
class Executor:
  """How a run computes.

  Attributes:
    place_state: a state on the host (leading axis R where seeds train
      together) -> the same on the devices, in a form of this executor's own.
    fetch_state: the inverse; NumPy leaves, the same on every process. Of a part
      of the state alone where a function is given that picks it.
    place_images: `[N, H, W, C]` uint8, the resident dataset -> on the devices.
    run: `(state, images, seeds [R], batch) -> (state, metrics)`, with a batch
      as `data.batches` makes it: each leaf `[S, R, B, ...]`; metrics `[S, R]`.
      The state is donated. A batch that brings its own images ("image" in
      place of "index"; of the n `local` examples alone, in their order:
      `[S, n, H, W, C]`) needs no others: `images` is then None.
    local: bool `[R, B]`, the examples that this process's devices work on.
    check: the arguments of `run` -> traces the program, and computes nothing.
    compiled: the arguments of `run` -> the optimised program, for looking at
      its collectives and its memory.
    seeds_apart: whether seeds trained together have devices of their own.
  """

  place_state: Callable[[Any], Any]
  fetch_state: Callable[..., Any]
  place_images: Callable[[np.ndarray], jax.Array]
  run: Callable[..., tuple[Any, dict]]
  local: np.ndarray
  check: Callable[..., Any]
  compiled: Callable[..., jax.stages.Compiled]
  seeds_apart: bool = False


def as_it_is(tree: Any) -> Any:
  """The tree."""
  return tree


def build(
  train_step: step_lib.TrainStep,
  num_seeds: int,
  pin: Callable[[Any], Any] = as_it_is,
) -> Callable:
  """The program of a call: S steps of R seeds.

  Args:
    train_step: of one seed.
    num_seeds: R.
    pin: the state -> the same, told where its arrays are to lie; after each
      step.

  Returns:
    `(state, images, seeds, batch) -> (state, metrics)`, see `Executor.run`.
  """

  # With one seed the state has no leading axis: `vmap` over an axis of one
  # would still turn plain convolutions into grouped ones.
  def one(state, seed, batch, images):
    batch = dict(batch, seed=seed)
    if "index" in batch:
      batch["image"] = images[batch.pop("index")]
    return train_step(state, batch)

  def step(state, seeds, batch, images):
    if num_seeds > 1:
      every = jax.vmap(one, in_axes=(0, 0, 0, None))
      state, metrics = every(state, seeds, batch, images)
      return pin(state), metrics
    state, metrics = one(
      state, seeds[0], jax.tree.map(lambda x: x[0], batch), images
    )
    return pin(state), jax.tree.map(lambda x: x[None], metrics)

  def program(state, images, seeds, batch):
    num_steps = len(batch["mask"])
    if num_steps == 1:  # a loop of one still costs 10x on CPU backends
      first = jax.tree.map(lambda x: x[0], batch)
      state, metrics = step(state, seeds, first, images)
      return state, jax.tree.map(lambda x: x[None], metrics)
    return lax.scan(lambda s, b: step(s, seeds, b, images), state, batch)

  return program


def check_divides(
  batch_size: int, num_devices: int, microbatches: int = 1
) -> None:
  """Raises UserError unless the devices divide each part of the batch."""
  unit = num_devices * microbatches
  if batch_size % unit == 0:
    return
  near = max(batch_size // unit, 1) * unit
  factors = {
    f"microbatches = {microbatches}": microbatches,
    f"the {num_devices} devices that share it": num_devices,
  }
  who = " times ".join(words for words, n in factors.items() if n > 1)
  raise errors.UserError(
    f"batch_size = {batch_size} is not a multiple of {who}: use for example"
    f" batch_size={near}"
  )


def copy(tree: Any) -> Any:
  """The same arrays in buffers of their own, made by XLA."""
  return jax.tree.map(jnp.copy, tree)


def in_turn(one: Executor, num_seeds: int) -> Executor:
  """An executor of several seeds that calls that of one seed for each."""

  def place(state):
    return [one.place_state(s) for s in unstack_seeds(state, num_seeds)]

  def fetch(states, part=as_it_is):
    fetched = [one.fetch_state(state, part) for state in states]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *fetched)

  def arguments(r, states, images, seeds, batch):
    part = {k: x[:, r : r + 1] for k, x in batch.items() if k != "image"}
    if "image" in batch:
      part["image"] = np.split(batch["image"], num_seeds, axis=1)[r]
    return states[r], images, seeds[r : r + 1], part

  def run(*args):
    pairs = [one.run(*arguments(r, *args)) for r in range(num_seeds)]
    states, metrics = zip(*pairs)
    return states, jax.tree.map(lambda *x: jnp.concatenate(x, 1), *metrics)

  return Executor(
    place_state=place,
    fetch_state=fetch,
    place_images=one.place_images,
    run=run,
    local=np.repeat(one.local, num_seeds, axis=0),
    check=lambda *args: one.check(*arguments(0, *args)),
    compiled=lambda *args: one.compiled(*arguments(0, *args)),
  )


def stack_seeds(states: list[Any]) -> Any:
  """States of single runs -> one state with a leading seed axis (R > 1)."""
  if len(states) == 1:
    return states[0]
  return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def unstack_seeds(state: Any, num_seeds: int) -> list[Any]:
  """One state with a leading seed axis (R > 1) -> states of single runs."""
  if num_seeds == 1:
    return [state]
  return [jax.tree.map(lambda x, r=r: x[r], state) for r in range(num_seeds)]
