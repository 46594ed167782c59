"""The executor "fsdp": as "jit", and the devices share the state as well.

Parameters, their averages and the optimizer's moments lie in parts on the
devices that share a batch (fully sharded data parallelism; Rajbhandari et al.
2020, "ZeRO"). The compiler gathers an array where a layer needs it, and sums
each device's part of its gradient. What evaluation and checkpoints see is the
same as under "jit".
"""

from collections.abc import Callable
import math

import jax

from rotjax.training import step as step_lib
from rotjax.training.executors import jit
from rotjax.training.executors import program as program_lib

# Numbers of an array that is shared: to gather a smaller one takes longer than
# its memory is worth.
SMALLEST = 2**14


def split_axis(shape: tuple[int, ...], num_devices: int) -> int | None:
  """The axis along which devices share an array; None where each has it whole.

  The longest that they divide; of equally long ones the last.

  Args:
    shape: of the array.
    num_devices: that share it.
  """
  fitting = [n for n, length in enumerate(shape) if length % num_devices == 0]
  if math.prod(shape) < SMALLEST or not fitting:
    return None
  return max(fitting, key=lambda n: (shape[n], n))


def build(
  make_step: Callable[[str | None], step_lib.TrainStep],
  batch_size: int,
  num_seeds: int,
  devices: list[jax.Device],
  microbatches: int = 1,
) -> program_lib.Executor:
  """The executor over a mesh of all devices; see `executors.build`."""
  return jit.build(
    make_step, batch_size, num_seeds, devices, microbatches, split_axis
  )
