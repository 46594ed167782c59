"""Executors: the one pure step, compiled for the devices of all processes.

An executor is one file and one line in `EXECUTORS`: "jit" spreads the batch
over a mesh and lets the compiler place the one all-reduce; "pmap" maps the step
over the devices by hand. Both give the same parameters to rounding.

Every process of a job calls the same functions in the same order, with the
batch of the whole job; its own devices take their part of it.
"""

from collections.abc import Callable
from typing import Any

import jax

from rotjax import distributed, errors
from rotjax.training import step as step_lib
from rotjax.training.executors import jit, pmap, program

EXECUTORS = {"jit": jit.build, "pmap": pmap.build}


def build(
  name: str,
  make_step: Callable[[str | None], step_lib.TrainStep],
  batch_size: int,
  num_seeds: int = 1,
  devices: list[jax.Device] | None = None,
) -> program.Executor:
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
  make = EXECUTORS[name]
  if _better_in_turn(name, devices, num_seeds, batch_size):
    return program.in_turn(make(make_step, batch_size, 1, devices), num_seeds)
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
  return jit.mesh_shape(len(devices), num_seeds, batch_size)[0] == 1


def check_options(config: Any) -> None:
  """Checks `config.executor` and `config.seeds_together`.

  Raises:
    UserError: naming the value and what is valid.
  """
  errors.choose("executor", config.executor, EXECUTORS)
  errors.choose("distributed", config.distributed, distributed.OPTIONS)
  errors.choose("seeds_together", config.seeds_together, ("auto", "on", "off"))


def seeds_together(option: str, num_seeds: int) -> bool:
  """Whether seeds train step by step together ("auto": on accelerators).

  On CPU one after another is at least as fast: a single seed fills the cores.
  """
  if option == "auto":
    return num_seeds > 1 and jax.default_backend() != "cpu"
  return option == "on" and num_seeds > 1
