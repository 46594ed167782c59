"""Executors: the one pure step, compiled for the devices of all processes.

An executor is a file with a function `build` and its line in `EXECUTORS`: "jit"
spreads the batch over a mesh and lets the compiler place the one all-reduce;
"fsdp" spreads the state over the same mesh, too; "pmap" maps the step over the
devices by hand. All give the same parameters to rounding. What they share is in
`program`.

Every process of a job calls the same functions in the same order, with the
batch of the whole job; its own devices take their part of it.
"""

from collections.abc import Callable
import functools

import jax

from rotjax.training import step as step_lib
from rotjax.training.executors import fsdp, jit, pmap, program

EXECUTORS = {"fsdp": fsdp.build, "jit": jit.build, "pmap": pmap.build}


def build(
  name: str,
  make_step: Callable[[str | None], step_lib.TrainStep],
  batch_size: int,
  num_seeds: int = 1,
  devices: list[jax.Device] | None = None,
  microbatches: int = 1,
) -> program.Executor:
  """The executor of that name.

  Args:
    name: a key of `EXECUTORS`.
    make_step: builds the train step for a mapped axis name, or for None.
    batch_size: global, of one seed.
    num_seeds: R, trained together.
    devices: those of all processes when None.
    microbatches: parts of a batch, each shared by the devices.

  Returns:
    The executor.

  Raises:
    UserError: a batch, or a part of it, that the devices do not divide.
  """
  devices = jax.devices() if devices is None else devices
  make = functools.partial(
    EXECUTORS[name],
    make_step,
    batch_size=batch_size,
    devices=devices,
    microbatches=microbatches,
  )
  executor = make(num_seeds=num_seeds)
  if num_seeds > 1 and _better_in_turn(executor, devices):
    return program.in_turn(make(num_seeds=1), num_seeds)
  return executor


def _better_in_turn(executor, devices) -> bool:
  """Whether seeds that share their devices had better not be an axis.

  XLA's CPU backend runs a batch of small matrix products at less than half of
  their rate one by one.
  """
  return devices[0].platform == "cpu" and not executor.seeds_apart
