"""Executors: the one pure step, compiled for the devices of all processes.

"jit" spreads the batch over a mesh and lets the compiler place the one
all-reduce; "pmap" maps the step over devices by hand. Both give the same
parameters to rounding. Seeds trained together add a leading axis to the state,
by `jax.vmap` of the step, or take turns on a CPU; several steps a call are a
`lax.scan`.

Every process of a job calls the same functions in the same order, with the
batch of the whole job; its own devices take their part of it.
"""

from collections.abc import Callable
import dataclasses
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from rotjax import errors, processes
from rotjax import step as step_lib

P = jax.sharding.PartitionSpec
EXECUTORS = ("jit", "pmap")


@dataclasses.dataclass(frozen=True)
class Executor:
  """How a run computes.

  Attributes:
    place_state: a state on the host (leading axis R where seeds train
      together) -> the same on the devices, in a form of this executor's own.
    fetch_state: the inverse; NumPy leaves, the same on every process.
    place_images: `[N, H, W, C]` uint8, the resident dataset -> on the devices.
    run: `(state, images, seeds [R], batch) -> (state, metrics)`, with a batch
      as `data.batches` makes it: each leaf `[S, R, B, ...]`; metrics `[S, R]`.
      The state is donated. A batch that brings its own images ("image" in
      place of "index") needs no others: `images` is then None.
    local: bool `[R, B]`, the examples that this process's devices work on:
      what the others' "image" holds does not matter here.
    compiled_text: the arguments of `run` -> the optimised program as text,
      for looking at its collectives.
  """

  place_state: Callable[[Any], Any]
  fetch_state: Callable[[Any], Any]
  place_images: Callable[[np.ndarray], jax.Array]
  run: Callable[..., tuple[Any, dict]]
  local: np.ndarray
  compiled_text: Callable[..., str | None]


def _program(train_step: step_lib.TrainStep, num_seeds: int):
  """`(state, images, seeds, batch) -> (state, metrics)` for S steps, R seeds.

  With one seed the state has no leading axis: `vmap` over an axis of one would
  still turn plain convolutions into grouped ones.
  """

  def one(state, seed, batch, images):
    batch = dict(batch, seed=seed)
    if "index" in batch:
      batch["image"] = images[batch.pop("index")]
    return train_step(state, batch)

  def step(state, seeds, batch, images):
    if num_seeds > 1:
      return jax.vmap(one, in_axes=(0, 0, 0, None))(state, seeds, batch, images)
    state, metrics = one(
      state, seeds[0], jax.tree.map(lambda x: x[0], batch), images
    )
    return state, jax.tree.map(lambda x: x[None], metrics)

  def program(state, images, seeds, batch):
    num_steps = len(batch["mask"])
    if num_steps == 1:  # a loop of one still costs 10x on CPU backends
      first = jax.tree.map(lambda x: x[0], batch)
      state, metrics = step(state, seeds, first, images)
      return state, jax.tree.map(lambda x: x[None], metrics)
    return lax.scan(lambda s, b: step(s, seeds, b, images), state, batch)

  return program


def mesh_shape(
  num_devices: int, num_seeds: int, batch_size: int
) -> tuple[int, int]:
  """Devices along the axes ("seed", "data").

  The seed axis takes as many devices as divide the seeds: seeds need no
  communication.

  Raises:
    UserError: the remaining devices do not divide the batch.
  """
  along_seed = int(np.gcd(num_devices, num_seeds))
  along_data = num_devices // along_seed
  _check_divides(batch_size, along_data)
  return along_seed, along_data


def _check_divides(batch_size: int, num_devices: int):
  if batch_size % num_devices:
    near = max(batch_size // num_devices, 1) * num_devices
    raise errors.UserError(
      f"batch_size = {batch_size} is not a multiple of the {num_devices}"
      f" devices that share it: use for example batch_size={near}"
    )


def jit_executor(
  make_step: Callable[[str | None], step_lib.TrainStep],
  batch_size: int,
  num_seeds: int,
  devices: list[jax.Device],
) -> Executor:
  """A mesh with axes ("seed", "data"), sharded arguments, `jax.jit`."""
  shape = mesh_shape(len(devices), num_seeds, batch_size)
  mesh = jax.sharding.Mesh(
    np.asarray(devices).reshape(shape),
    ("seed", "data"),
    # Explicit axes, the default since jax 0.9, refuse ordinary layers.
    axis_types=(jax.sharding.AxisType.Auto,) * 2,
  )

  def spread(*axes):
    return jax.sharding.NamedSharding(mesh, P(*axes))

  state_sharding = spread("seed") if num_seeds > 1 else spread()
  batch_sharding = spread(None, "seed", "data")
  program = jax.jit(
    _program(make_step(None), num_seeds),
    donate_argnums=0,
    out_shardings=(state_sharding, spread()),
  )
  local = np.zeros((num_seeds, batch_size), bool)
  rows = spread("seed", "data").addressable_devices_indices_map(local.shape)
  for row in rows.values():
    local[row] = True

  def arguments(state, images, seeds, batch):
    batch = jax.tree.map(lambda x: _put(x, batch_sharding), batch)
    return state, images, seeds, batch

  def place(state):
    # What lies on a device of this process alone is no argument of a program
    # of all; as a host array it is the same everywhere.
    several = jax.process_count() > 1
    return copy(jax.device_get(state) if several else state)

  def fetch(state):
    return jax.device_get(whole(state) if num_seeds > 1 else state)

  # A copy made by XLA: device_put of an array that is already there may share
  # its buffer, which the donating step would then delete.
  copy = jax.jit(_copy, out_shardings=state_sharding)
  whole = jax.jit(_copy, out_shardings=spread())
  return Executor(
    place,
    fetch,
    lambda images: _put(images, spread()),
    lambda *args: program(*arguments(*args)),
    local,
    lambda *args: program.lower(*arguments(*args)).compile().as_text(),
  )


def _copy(tree: Any) -> Any:
  return jax.tree.map(jnp.copy, tree)


def _put(x: np.ndarray | None, sharding: jax.sharding.Sharding) -> Any:
  """A host array, the same on every process, to the devices of all of them.

  device_put would first compare the hosts' arrays, byte by byte.
  """
  if x is None or jax.process_count() == 1:
    return jax.device_put(x, sharding)
  return jax.make_array_from_callback(x.shape, sharding, lambda i: x[i])


def pmap_executor(
  make_step: Callable[[str | None], step_lib.TrainStep],
  batch_size: int,
  num_seeds: int,
  devices: list[jax.Device],
) -> Executor:
  """`jax.pmap` over the batch; the state is replicated, without an axis.

  In a job of several processes each passes, and gets, what is its own.
  """
  count = len(devices)
  _check_divides(batch_size, count)
  here = [d.process_index == jax.process_index() for d in devices]
  local = np.repeat(here, batch_size // count)
  program = jax.pmap(
    _program(make_step("data"), num_seeds),
    axis_name="data",
    in_axes=(None, None, None, 0),
    out_axes=None,
    devices=devices,
    donate_argnums=0,
  )
  mesh = jax.sharding.Mesh(
    np.asarray(devices)[here],
    ("data",),
    axis_types=(jax.sharding.AxisType.Auto,),
  )
  replicated = jax.sharding.NamedSharding(mesh, P())
  copy = jax.jit(_copy, out_shardings=replicated)

  def split(leaf):  # [S, R, B, ...] -> [this process's D, S, R, B / D, ...]
    parts = leaf.reshape(*leaf.shape[:2], count, -1, *leaf.shape[3:])
    return np.moveaxis(parts, 2, 0)[here]

  def arguments(state, images, seeds, batch):
    return state, images, seeds, jax.tree.map(split, batch)

  return Executor(
    copy,
    jax.device_get,
    lambda images: jax.device_put(images, replicated),
    lambda *args: program(*arguments(*args)),
    np.broadcast_to(local, (num_seeds, batch_size)),
    lambda *args: program.lower(*arguments(*args)).compile().as_text(),
  )


def build(
  name: str,
  make_step: Callable[[str | None], step_lib.TrainStep],
  batch_size: int,
  num_seeds: int = 1,
  devices: list[jax.Device] | None = None,
) -> Executor:
  """The executor of that name.

  Args:
    name: "jit" or "pmap".
    make_step: builds the train step for a mapped axis name, or for None.
    batch_size: global, of one seed.
    num_seeds: R, trained together.
    devices: those of all processes when None.

  Returns:
    The executor.

  Raises:
    UserError: a batch that the devices do not divide.
  """
  devices = jax.devices() if devices is None else devices
  make = jit_executor if name == "jit" else pmap_executor
  if _better_in_turn(name, devices, num_seeds, batch_size):
    return _in_turn(make(make_step, batch_size, 1, devices), num_seeds)
  return make(make_step, batch_size, num_seeds, devices)


def _better_in_turn(name, devices, num_seeds, batch_size) -> bool:
  """Whether seeds of the same devices had better not be an axis.

  XLA's CPU backend runs a batch of small matrix products at less than half of
  their rate one by one.
  """
  if num_seeds == 1 or devices[0].platform != "cpu":
    return False
  if name == "pmap":
    return True
  return mesh_shape(len(devices), num_seeds, batch_size)[0] == 1


def _in_turn(one: Executor, num_seeds: int) -> Executor:
  """The executor of several seeds that calls that of one for each."""

  def place(state):
    return [one.place_state(s) for s in unstack_seeds(state, num_seeds)]

  def fetch(states):
    fetched = [one.fetch_state(state) for state in states]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *fetched)

  def arguments(r, states, images, seeds, batch):
    batch = jax.tree.map(lambda x: x[:, r : r + 1], batch)
    return states[r], images, seeds[r : r + 1], batch

  def run(*args):
    pairs = [one.run(*arguments(r, *args)) for r in range(num_seeds)]
    states, metrics = zip(*pairs)
    return states, jax.tree.map(lambda *x: jnp.concatenate(x, 1), *metrics)

  return Executor(
    place,
    fetch,
    one.place_images,
    run,
    np.repeat(one.local, num_seeds, axis=0),
    lambda *args: one.compiled_text(*arguments(0, *args)),
  )


def check_options(config: Any) -> None:
  """Checks `config.executor` and `config.seeds_together`.

  Raises:
    UserError: naming the value and what is valid.
  """
  if config.executor not in EXECUTORS:
    raise errors.unknown("executor", config.executor, EXECUTORS)
  if config.distributed not in processes.OPTIONS:
    raise errors.unknown("distributed", config.distributed, processes.OPTIONS)
  if config.seeds_together not in ("auto", "on", "off"):
    raise errors.unknown(
      "seeds_together", config.seeds_together, ("auto", "on", "off")
    )


def stack_seeds(states: list[Any]) -> Any:
  """States of single runs -> one state with a leading seed axis (R > 1)."""
  if len(states) == 1:
    return states[0]
  return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def unstack_seeds(state: Any, num_seeds: int) -> list[Any]:
  """The inverse of `stack_seeds`."""
  if num_seeds == 1:
    return [state]
  return [jax.tree.map(lambda x, r=r: x[r], state) for r in range(num_seeds)]


def seeds_together(option: str, num_seeds: int) -> bool:
  """Whether seeds train step by step together ("auto": on accelerators).

  On CPU one after another is at least as fast: a single seed fills the cores.
  """
  if option == "auto":
    return num_seeds > 1 and jax.default_backend() != "cpu"
  return option == "on" and num_seeds > 1
