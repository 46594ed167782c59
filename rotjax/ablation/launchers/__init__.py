"""Launchers: what `--launcher` may be, each a module of that name here.

A launcher has

- `launch(job) -> bool`: runs or hands over the arms that are to do; whether
  they have been run when it returns;
- `show(job)`: prints what `launch` would do.

A new one is a file of this folder and a line in LAUNCHERS.
"""

import importlib
import pathlib
from typing import Any, NamedTuple

# Launcher -> the flags of `rotjax.ablate` that are its own.
LAUNCHERS: dict[str, tuple[str, ...]] = {
  "local": (),
  "print": (),
  # The usual ones; for others sbatch has variables (SBATCH_ACCOUNT, ...), but
  # for cores.
  "slurm": ("partition", "time", "gres", "cpus_per_task"),
}


class Job(NamedTuple):
  """What a launcher is given.

  Attributes:
    plan: a `sweep.Sweep`.
    workdir: of the sweep, absolute.
    flags: of the commands of single arms.
    num_workers: processes at a time, where the launcher starts them here.
    options: flag -> value of the launcher's own flags, of those given.
  """

  plan: Any
  workdir: pathlib.Path
  flags: tuple[str, ...]
  num_workers: int
  options: dict[str, str]


def find(name: str) -> Any:
  """The module of a launcher; jax comes with it, and takes seconds."""
  return importlib.import_module(f"{__name__}.{name}")
