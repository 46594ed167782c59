"""Which GPUs each of several processes on one machine may see."""

from collections.abc import Mapping
import os
import pathlib

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_MEMORY = "XLA_PYTHON_CLIENT_MEM_FRACTION"
# The share of a GPU's memory that jax takes by itself.
_USUAL = 0.75


def visible(
  environ: Mapping[str, str], files: pathlib.Path = pathlib.Path("/dev")
) -> list[str]:
  """The GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them.

  Args:
    environ: the process's.
    files: the folder of device files, where the variable says nothing.
  """
  if _VISIBLE in environ:
    return [d.strip() for d in environ[_VISIBLE].split(",") if d.strip()]
  numbers = [f.name.removeprefix("nvidia") for f in files.glob("nvidia[0-9]*")]
  return sorted((n for n in numbers if n.isdecimal()), key=int)


def shares(
  num_workers: int, devices: list[str], environ: Mapping[str, str]
) -> list[dict[str, str]]:
  """What each worker's environment says besides: GPUs of its own.

  Args:
    num_workers: W processes at a time.
    devices: the G that there are.
    environ: a memory fraction that is set there stays.

  Returns:
    W mappings. With G >= W each worker has G/W devices, some one more where
    that leaves a rest; with fewer, workers share a device and its memory;
    without any, nothing is said.
  """
  if not devices:
    return [{} for _ in range(num_workers)]
  if num_workers <= len(devices):
    return [
      {_VISIBLE: ",".join(devices[i * len(devices) // num_workers : end])}
      for i in range(num_workers)
      for end in [(i + 1) * len(devices) // num_workers]
    ]
  together = -(-num_workers // len(devices))
  memory = {_MEMORY: f"{_USUAL / together:.3f}"}
  if _MEMORY in environ:
    memory = {}
  return [
    {_VISIBLE: devices[i % len(devices)], **memory} for i in range(num_workers)
  ]


def of_workers(num_workers: int) -> list[dict[str, str]]:
  """`shares` of this machine's GPUs."""
  return shares(num_workers, visible(os.environ), os.environ)
