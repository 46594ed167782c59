"""Where scalars go: metrics.jsonl always, and what `log.writers` names.

A writer is a module of this folder, and a line in WRITERS. Its class `Writer`
is built from the run's folder, the step at which the run begins or goes on, and
its config. What it writes lies in a folder of the writer's name in the run's,
and what it needs beyond rotjax's own packages is an extra of that name.
"""

from collections.abc import Mapping, Sequence
import errno
import importlib
import importlib.util
import logging
import pathlib
from typing import Any, NamedTuple, Protocol

from rotjax import errors
from rotjax.run.writers import jsonl

_log = logging.getLogger("rotjax")


class Kind(NamedTuple):
  """A writer that `log.writers` may name.

  Attributes:
    package: that it needs.
    files: a pattern of what is its own in its folder, which goes where a run is
      overwritten.
  """

  package: str
  files: str = "*"


WRITERS = {
  "tensorboard": Kind("tensorboardX", "events*"),
  "wandb": Kind("wandb"),
  "mlflow": Kind("mlflow"),
}


class Writer(Protocol):
  """A destination of scalars."""

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """Records the scalars of one step."""

  def close(self) -> None:
    """Flushes; nothing is written afterwards."""


class _Optional:
  """A writer that a run can do without: it says so once, and goes on."""

  def __init__(self, name: str, writer: Writer):
    self._name = name
    self._writer: Writer | None = writer

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    self._try("write", step, scalars)

  def close(self) -> None:
    self._try("close")

  def _try(self, method, *args):
    if self._writer is None:
      return
    try:
      getattr(self._writer, method)(*args)
    except Exception as error:
      if _is_full_disk(error):
        raise  # it would take the run's own files next
      self._writer = None
      _log.warning(
        "%s has failed (%s): the run goes on without it, metrics.jsonl has all",
        *(self._name, _first_line(error)),
      )


def check(names: Sequence[str]) -> None:
  """Checks what `log.writers` says.

  Raises:
    UserError: an unknown name, or its package is not installed.
  """
  for name in names:
    errors.choose("log.writers", name, WRITERS)
    package = WRITERS[name].package
    if importlib.util.find_spec(package) is None:
      raise errors.UserError(
        f"log.writers: {package} is not installed: pip install 'rotjax[{name}]'"
      )


def opened(folder: pathlib.Path, first_step: int, config: Any) -> list[Writer]:
  """The writers of a run, metrics.jsonl first.

  Args:
    folder: of the run.
    first_step: at which it begins or goes on: what an earlier life logged
      behind it is dropped or hidden, where the writer can.
    config: of the run.

  Raises:
    UserError: one cannot be opened, for example without a login.
  """
  every: list[Writer] = [jsonl.Jsonl(folder / "metrics.jsonl", first_step)]
  for name in config.log.writers:
    module = importlib.import_module(f"{__name__}.{name}")
    try:
      writer = module.Writer(folder, first_step, config)
    except Exception as error:
      for begun in every:
        begun.close()
      if _is_full_disk(error):
        raise
      raise errors.UserError(
        f"log.writers: {name} cannot begin ({_first_line(error)})"
      ) from error
    every.append(_Optional(name, writer))
  return every


def _is_full_disk(error: Exception) -> bool:
  full = (errno.ENOSPC, errno.EDQUOT)
  return isinstance(error, OSError) and error.errno in full


def _first_line(error: Exception) -> str:
  return (str(error).strip().splitlines() or [type(error).__name__])[0]
