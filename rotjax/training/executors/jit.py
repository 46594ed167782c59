"""The executor "jit": a mesh ("seed", "data") and sharded arguments."""

from collections.abc import Callable
import functools
from typing import Any

import jax
import numpy as np

from rotjax.training import step as step_lib
from rotjax.training.executors import program as program_lib


def mesh_shape(
  num_devices: int, num_seeds: int, batch_size: int, microbatches: int = 1
) -> tuple[int, int]:
  """Devices along the axes ("seed", "data").

  The seed axis takes as many devices as divide the seeds: seeds need no
  communication.

  Raises:
    UserError: the remaining devices do not divide the batch.
  """
  along_seed = int(np.gcd(num_devices, num_seeds))
  along_data = num_devices // along_seed
  program_lib.check_divides(batch_size, along_data, microbatches)
  return along_seed, along_data


def build(
  make_step: Callable[..., step_lib.TrainStep],
  batch_size: int,
  num_seeds: int,
  devices: list[jax.Device],
  microbatches: int = 1,
  split: Callable[[tuple[int, ...], int], int | None] | None = None,
) -> program_lib.Executor:
  """The executor over a mesh of all devices; see `executors.build`.

  Args:
    make_step: as there.
    batch_size: as there.
    num_seeds: as there.
    devices: as there.
    microbatches: as there.
    split: the shape of an array of one seed's state, and the number of devices
      that share its batch -> the axis along which they share the array, too,
      or None where each has it whole; None where each has all of them whole.
  """
  shape = mesh_shape(len(devices), num_seeds, batch_size, microbatches)
  mesh = jax.sharding.Mesh(
    np.asarray(devices).reshape(shape),
    ("seed", "data"),
    # Explicit axes, the default since jax 0.9, refuse ordinary layers.
    axis_types=(jax.sharding.AxisType.Auto,) * 2,
  )

  def spread(*axes):
    return jax.sharding.NamedSharding(mesh, program_lib.P(*axes))

  lead = ("seed",) if num_seeds > 1 else ()

  def of_state(x):
    axis = split(x.shape[len(lead) :], shape[1]) if split else None
    return spread(*lead, *(() if axis is None else (*[None] * axis, "data")))

  def pin(state):
    place = jax.lax.with_sharding_constraint
    return jax.tree.map(lambda x: place(x, of_state(x)), state)

  def gather(params):
    # Left to itself the compiler would gather the pictures instead and split
    # the layers. Its gradient is added up where the array lies.
    def one(x):
      axis = split(x.shape, shape[1])
      if axis is None:
        return x
      own = spread(*[None] * axis, "data")
      return _placed(x, spread(), own)

    return jax.tree.map(one, params)

  batch_sharding = spread(None, "seed", "data")
  program = jax.jit(
    program_lib.build(make_step(None, gather), num_seeds, pin)
    if split
    else program_lib.build(make_step(None), num_seeds),
    donate_argnums=0,
    out_shardings=(None if split else spread(*lead), spread()),
  )
  local = np.zeros((num_seeds, batch_size), bool)
  rows = spread("seed", "data").addressable_devices_indices_map(local.shape)
  for row in rows.values():
    local[row] = True

  # Which of the local rows an example is.
  place = local.cumsum().reshape(local.shape) - 1

  def whole_shape(name, x):
    # A batch that brings its own images brings the local ones alone.
    own = name == "image"
    return (x.shape[0], *local.shape, *x.shape[2:]) if own else x.shape

  def put(name, x):
    if name != "image":
      return _put(x, batch_sharding)
    shape = whole_shape(name, x)
    if local.all():
      return jax.device_put(x.reshape(shape), batch_sharding)
    return jax.make_array_from_callback(
      shape, batch_sharding, lambda index: x[:, place[index[1:3]]]
    )

  def arguments(state, images, seeds, batch):
    batch = {name: put(name, x) for name, x in batch.items()}
    return state, images, seeds, batch

  def shapes(state, images, seeds, batch):
    # Of the arguments: the devices may be those of another machine.
    def shaped(x, sharding=None, shape=None):
      shape = x.shape if shape is None else shape
      return jax.ShapeDtypeStruct(shape, x.dtype, sharding=sharding)

    return (
      jax.tree.map(lambda x: shaped(x, of_state(x)), state),
      jax.tree.map(lambda x: shaped(x, spread()), images),
      shaped(seeds),
      {
        name: shaped(x, batch_sharding, whole_shape(name, x))
        for name, x in batch.items()
      },
    )

  def place_state(state):
    # By way of the host, whose arrays are the same on every process: no device
    # need hold more than its part. Copied: the step donates its buffers.
    def place(x):
      return jax.make_array_from_callback(
        x.shape, of_state(x), lambda index: np.array(x[index])
      )

    return jax.tree.map(place, jax.device_get(state))

  whole = jax.jit(program_lib.copy, out_shardings=spread())

  def fetch(state, part=program_lib.as_it_is):
    if jax.process_count() == 1:
      return jax.device_get(part(state))
    # One array after another: the devices need not hold the whole state.
    return jax.tree.map(
      lambda x: jax.device_get(x if x.is_fully_replicated else whole(x)),
      part(state),
    )

  return program_lib.Executor(
    place_state=place_state,
    fetch_state=fetch,
    place_images=lambda images: _put(images, spread()),
    run=lambda *args: program(*arguments(*args)),
    local=local,
    check=lambda *args: program.eval_shape(*shapes(*args)),
    compiled=lambda *args: program.lower(*shapes(*args)).compile(),
    seeds_apart=shape[0] > 1,
  )


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _placed(x, forward, backward):
  """The same array in the sharding `forward`, its gradient in `backward`."""
  del backward
  return jax.lax.with_sharding_constraint(x, forward)


_placed.defvjp(
  lambda x, forward, backward: (_placed(x, forward, backward), None),
  lambda forward, backward, _, gradient: (
    jax.lax.with_sharding_constraint(gradient, backward),
  ),
)


def _put(x: np.ndarray | None, sharding: jax.sharding.Sharding) -> Any:
  """A host array, the same on every process, to the devices of all of them.

  device_put would first compare the hosts' arrays, byte by byte.
  """
  if x is None or jax.process_count() == 1:
    return jax.device_put(x, sharding)
  return jax.make_array_from_callback(x.shape, sharding, lambda i: x[i])
