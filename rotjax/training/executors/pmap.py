"""The executor "pmap": maps the step over the devices by hand."""

from collections.abc import Callable

import jax
import numpy as np

from rotjax.training import step as step_lib
from rotjax.training.executors import program as program_lib


def build(
  make_step: Callable[[str | None], step_lib.TrainStep],
  batch_size: int,
  num_seeds: int,
  devices: list[jax.Device],
  microbatches: int = 1,
) -> program_lib.Executor:
  """The executor over `jax.pmap`; see `executors.build`.

  The batch is split by hand; the state is replicated, without an axis. In a job
  of several processes each passes, and gets, what is its own.
  """
  count = len(devices)
  program_lib.check_divides(batch_size, count, microbatches)
  here = [d.process_index == jax.process_index() for d in devices]
  local = np.repeat(here, batch_size // count)
  program = jax.pmap(
    program_lib.build(make_step("data"), num_seeds),
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
  replicated = jax.sharding.NamedSharding(mesh, program_lib.P())
  copy = jax.jit(program_lib.copy, out_shardings=replicated)

  def split(leaf):  # [S, R, B, ...] -> [this process's D, S, R, B / D, ...]
    parts = leaf.reshape(*leaf.shape[:2], count, -1, *leaf.shape[3:])
    return np.moveaxis(parts, 2, 0)[here]

  def split_own(own):  # [S, n, ...], of this process's alone
    shape = (len(own), num_seeds, sum(here), -1, *own.shape[2:])
    return np.moveaxis(own.reshape(shape), 2, 0)

  def arguments(state, images, seeds, batch):
    batch = {
      k: (split_own if k == "image" else split)(x) for k, x in batch.items()
    }
    return state, images, seeds, batch

  return program_lib.Executor(
    place_state=copy,
    fetch_state=lambda state, part=program_lib.as_it_is: jax.device_get(
      part(state)
    ),
    place_images=lambda images: jax.device_put(images, replicated),
    run=lambda *args: program(*arguments(*args)),
    local=np.broadcast_to(local, (num_seeds, batch_size)),
    check=lambda *args: jax.eval_shape(program, *arguments(*args)),
    compiled=lambda *args: program.lower(*arguments(*args)).compile(),
  )
