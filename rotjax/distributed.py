"""The processes of a job: when to start them, and what they agree upon.

Under a launcher that starts one process a host (or a device) all of them run
the same program; process 0 alone writes. Alone, every function here returns at
once.
"""

from collections.abc import Callable, Mapping
import glob
import importlib.util
import json
import logging
import os
from typing import Any, TypeVar

import jax
from jax.experimental import multihost_utils
import numpy as np

from rotjax import errors

T = TypeVar("T")
OPTIONS = ("auto", "on", "off")

_log = logging.getLogger("rotjax")

# What a launcher without a scheduler sets; the second and third stand for the
# arguments of jax.distributed.initialize.
_ADDRESS, _COUNT, _INDEX = (
  "JAX_COORDINATOR_ADDRESS",
  "JAX_NUM_PROCESSES",
  "JAX_PROCESS_ID",
)


def _number(env: Mapping[str, str], *names: str) -> int:
  """The first of the variables that is set, or 1."""
  for name in names:
    if name in env:
      try:
        return int(env[name])
      except ValueError:
        raise errors.UserError(
          f"{name}={env[name]} in the environment is not a whole number"
        ) from None
  return 1


def _on_tpu_vm() -> bool:
  devices = glob.glob("/dev/accel[0-9]*") + glob.glob("/dev/vfio/[0-9]*")
  return bool(devices) and importlib.util.find_spec("libtpu") is not None


def detect(env: Mapping[str, str] = os.environ) -> str:
  """Names the kind of job of several processes that this one belongs to.

  Args:
    env: the environment.

  Returns:
    "variables" (JAX_COORDINATOR_ADDRESS and its like, as experiments/cluster
    sets them in a JobSet), "slurm" (a step of several tasks: in a batch script
    itself there is no step), "openmpi", "tpu" (a slice of several hosts),
    "tpu machine" (of a slice of one host or several: only jax.distributed finds
    out), or "" for a process of its own.

  Raises:
    UserError: a variable that is not the number that it must be.
  """
  if _ADDRESS in env and _number(env, _COUNT) > 1:
    return "variables"
  in_step = "SLURM_STEP_NODELIST" in env and "SLURM_PROCID" in env
  if in_step and _number(env, "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS") > 1:
    return "slurm"
  if _number(env, "OMPI_COMM_WORLD_SIZE") > 1:
    return "openmpi"
  # On GKE the names of the slice's hosts; on a plain TPU machine they are in
  # its metadata, where jax.distributed finds them.
  if "," in env.get("TPU_WORKER_HOSTNAMES", ""):
    return "tpu"
  if "TPU_WORKER_HOSTNAMES" not in env and _on_tpu_vm():
    return "tpu machine"
  return ""


def _arguments(kind: str, env: Mapping[str, str]) -> dict[str, Any]:
  """What jax.distributed.initialize does not find by itself."""
  if kind == "variables":
    if not {_INDEX, "JOB_COMPLETION_INDEX"} & env.keys():
      raise errors.UserError(
        f"{_ADDRESS} and {_COUNT} are set but not {_INDEX} (nor"
        " JOB_COMPLETION_INDEX): which process is this?"
      )
    return {
      "coordinator_address": env[_ADDRESS],
      "num_processes": _number(env, _COUNT),
      "process_id": _number(env, _INDEX, "JOB_COMPLETION_INDEX"),
    }
  if kind == "slurm" and "JAX_COORDINATOR_PORT" not in env:
    # jax derives the port from the job alone: two steps of a job would meet.
    job, step = (int(env.get(f"SLURM_{x}_ID", 0)) for x in ("JOB", "STEP"))
    os.environ["JAX_COORDINATOR_PORT"] = str(61440 + (job + 97 * step) % 4096)
  return {}


def start(option: str) -> None:
  """Starts jax.distributed where this process is one of several.

  To be called before anything asks for a device.

  Args:
    option: "auto" starts exactly where `detect` finds a job of several
      processes; "on" insists on it; "off" never starts.

  Raises:
    UserError: "on" where nothing is found, "off" where several processes would
      each believe to be the only one, or a start that fails.
  """
  kind = detect()
  if option == "off" and kind == "tpu machine":
    return
  if option == "off" and kind:
    raise errors.UserError(
      f"distributed = off, but this is one of several {kind} processes, each"
      " of which would train and write the same run: start one, or set"
      " distributed=auto"
    )
  if option == "on" and not kind:
    raise errors.UserError(
      "distributed = on, but no job of several processes was found (a Slurm"
      f" step, Open MPI, a TPU slice, or {_ADDRESS}, {_COUNT} and {_INDEX}):"
      " start it with srun or the like, or set distributed=auto"
    )
  if not kind or jax.distributed.is_initialized():
    return
  arguments = _arguments(kind, os.environ)
  try:
    jax.distributed.initialize(**arguments)
  except (ValueError, RuntimeError, KeyError) as error:
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    raise errors.UserError(
      f"the {kind} processes could not be joined ({first}): start them all"
      " again, or one alone"
    ) from error
  if is_main():
    _log.info(
      "%d processes, %d devices (%s)", count(), jax.device_count(), kind
    )
  else:
    _log.setLevel(logging.ERROR)  # process 0 says it all


def refuse_several(command: str) -> None:
  """For commands that run as one process.

  Raises:
    UserError: this is one of several.
  """
  kind = detect()
  if kind and kind != "tpu machine":
    raise errors.UserError(
      f"{command} runs as one process and this is one of several ({kind}):"
      " start one task (srun --ntasks=1); only rotjax.main trains with several"
    )


def count() -> int:
  """How many processes the job has; asks no device."""
  return jax.process_count() if jax.distributed.is_initialized() else 1


def index() -> int:
  """Which of them this is, from 0."""
  return jax.process_index() if count() > 1 else 0


def is_main() -> bool:
  """Whether this process is the one that writes."""
  return index() == 0


def gather(tree: Any) -> Any:
  """Every process's arrays, stacked along a new first axis, on all of them.

  Args:
    tree: NumPy arrays, of the same shapes on every process.
  """
  if count() == 1:
    return jax.tree.map(lambda x: np.asarray(x)[None], tree)
  return multihost_utils.process_allgather(tree)


def any_of(flag: bool) -> bool:
  """Whether the flag is set on any process; all must ask."""
  return bool(gather(np.asarray(flag)).any())


def from_main(tree: Any) -> Any:
  """Process 0's arrays, on every process.

  Args:
    tree: NumPy arrays, of the same shapes on every process.
  """
  if count() == 1:
    return tree
  leaves, structure = jax.tree.flatten(jax.tree.map(np.asarray, tree))
  # As whole numbers: a sum over processes, which this is, keeps no -0.0.
  data = b"".join(np.ascontiguousarray(x).tobytes() for x in leaves)
  padded = np.frombuffer(data + bytes(-len(data) % 4), np.int32)
  data = np.asarray(multihost_utils.broadcast_one_to_all(padded)).tobytes()
  arrays, start = [], 0
  for x in leaves:
    array = np.frombuffer(data, x.dtype, x.size, start).reshape(x.shape)
    arrays.append(array)
    start += x.nbytes
  return jax.tree.unflatten(structure, arrays)


def _texts(text: str) -> list[str]:
  """Every process's text, in the order of the processes."""
  data = np.frombuffer(text.encode(), np.uint8)
  sizes = gather(np.int32(data.size))
  padded = np.zeros(max(int(sizes.max()), 1), np.uint8)
  padded[: data.size] = data
  rows = gather(padded)
  return [bytes(row[:size]).decode() for row, size in zip(rows, sizes)]


def together(work: Callable[[], T]) -> T:
  """`work()` on every process; a mistake of one is told and stops all.

  Args:
    work: without communication among the processes.

  Raises:
    UserError: of this process.
    ToldElsewhereError: of another one.
    errors.Stopped: a signal came to any of them.
  """
  if count() == 1:
    return work()

  values: list[T] = []
  error = None
  try:
    values.append(work())
  except (errors.UserError, errors.Stopped) as mistake:
    error = mistake
  stopped = any_of(isinstance(error, errors.Stopped))
  others = _texts(str(error) if error else "")
  if error:
    raise error
  if stopped:
    raise errors.Stopped("a signal to another process")
  if any(others):
    raise errors.ToldElsewhereError(next(filter(None, others)))
  return values[0]


def on_main(work: Callable[[], T]) -> T:
  """`work()` on process 0 alone; its value, JSON-able, on every process.

  Raises:
    UserError: see `together`.
  """
  if count() == 1:
    return work()
  value = together(lambda: work() if is_main() else None)
  return json.loads(_texts(json.dumps(value) if is_main() else "")[0])


def arrays_on_main(
  work: Callable[[], tuple[Any, Any]], like: Any
) -> tuple[Any, Any]:
  """`work()` on process 0 alone; its value and its arrays on every process.

  Args:
    work: returns a value, JSON-able, and a tree of NumPy arrays.
    like: a tree of arrays of those shapes and types.

  Raises:
    UserError: see `together`.
  """
  value, tree = together(lambda: work() if is_main() else (None, like))
  return on_main(lambda: value), from_main(tree)
