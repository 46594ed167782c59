"""The executor "jit": a mesh ("seed", "data") and sharded arguments."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from rotjax.training import step as step_lib
from rotjax.training.executors import program as program_lib


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
  program_lib.check_divides(batch_size, along_data)
  return along_seed, along_data


def build(
  make_step: Callable[[str | None], step_lib.TrainStep],
  batch_size: int,
  num_seeds: int,
  devices: list[jax.Device],
) -> program_lib.Executor:
  """The executor over a mesh of all devices; see `executors.build`."""
  shape = mesh_shape(len(devices), num_seeds, batch_size)
  mesh = jax.sharding.Mesh(
    np.asarray(devices).reshape(shape),
    ("seed", "data"),
    # Explicit axes, the default since jax 0.9, refuse ordinary layers.
    axis_types=(jax.sharding.AxisType.Auto,) * 2,
  )

  def spread(*axes):
    return jax.sharding.NamedSharding(mesh, program_lib.P(*axes))

  state_sharding = spread("seed") if num_seeds > 1 else spread()
  batch_sharding = spread(None, "seed", "data")
  program = jax.jit(
    program_lib.build(make_step(None), num_seeds),
    donate_argnums=0,
    out_shardings=(state_sharding, spread()),
  )
  local = np.zeros((num_seeds, batch_size), bool)
  rows = spread("seed", "data").addressable_devices_indices_map(local.shape)
  for row in rows.values():
    local[row] = True

  # Which of the local rows an example is.
  place = local.cumsum().reshape(local.shape) - 1

  def put(name, x):
    if name != "image":
      return _put(x, batch_sharding)
    whole = (len(x), *local.shape, *x.shape[2:])
    if local.all():
      return jax.device_put(x.reshape(whole), batch_sharding)
    return jax.make_array_from_callback(
      whole, batch_sharding, lambda index: x[:, place[index[1:3]]]
    )

  def arguments(state, images, seeds, batch):
    batch = {name: put(name, x) for name, x in batch.items()}
    return state, images, seeds, batch

  def place_state(state):
    # What lies on a device of this process alone is no argument of a program
    # of all; as a host array it is the same everywhere.
    several = jax.process_count() > 1
    return copy(jax.device_get(state) if several else state)

  def fetch(state):
    return jax.device_get(whole(state) if num_seeds > 1 else state)

  # A copy made by XLA: device_put of an array that is already there may share
  # its buffer, which the donating step would then delete.
  copy = jax.jit(program_lib.copy, out_shardings=state_sharding)
  whole = jax.jit(program_lib.copy, out_shardings=spread())
  return program_lib.Executor(
    place_state=place_state,
    fetch_state=fetch,
    place_images=lambda images: _put(images, spread()),
    run=lambda *args: program(*arguments(*args)),
    local=local,
    compiled_text=lambda *args: (
      program.lower(*arguments(*args)).compile().as_text()
    ),
    seeds_apart=shape[0] > 1,
  )


def _put(x: np.ndarray | None, sharding: jax.sharding.Sharding) -> Any:
  """A host array, the same on every process, to the devices of all of them.

  device_put would first compare the hosts' arrays, byte by byte.
  """
  if x is None or jax.process_count() == 1:
    return jax.device_put(x, sharding)
  return jax.make_array_from_callback(x.shape, sharding, lambda i: x[i])
