"""Whose folder is this? Its lock, its identity, what overwriting deletes.

What writes must first hold the lock and know what it will destroy. A command
claims its folders before it reads anything in them; it writes and deletes
nothing until `begin`, when all that can be wrong with its input is checked.
"""

from collections.abc import Iterator, Mapping
import contextlib
import logging
import os
import pathlib
import shutil
from typing import Any

import jax

from rotjax import distributed, errors, files
from rotjax.config import base, resolve
from rotjax.data import content
from rotjax.run import layout, locking, written

_log = logging.getLogger("rotjax")

# What decides a run's numbers besides its config.
IDENTITY = "identity.json"

# JAX's switches that decide what is drawn, with their usual values.
_SWITCHES = {
  "jax_default_prng_impl": "threefry2x32",
  "jax_threefry_partitionable": True,
  "jax_enable_x64": False,
}


def check_same(config: Any, folder: pathlib.Path, ignored: Any = ()) -> None:
  """Checks that a folder holds the experiment of a config.

  Args:
    config: with absolute paths.
    folder: with a config.json.
    ignored: a tuple of beginnings of keys that may differ.

  Raises:
    UserError: another experiment, or a config.json that is not a run's.
  """
  here = resolve.identity(resolve.absolute(written.config_of(folder)))
  there = resolve.identity(config)
  # A config from before a field existed means that field's default.
  default = resolve.identity(base.base())
  differing = [
    f"{key} is {here.get(key)!r} there and {there.get(key)!r} here"
    for key in sorted(here.keys() | there.keys())
    if here.get(key, default.get(key)) != there.get(key, default.get(key))
    and not key.startswith(ignored)
  ]
  if differing:
    raise errors.UserError(
      f"workdir {folder} holds another experiment ({', '.join(differing[:3])}):"
      " choose another --workdir, or --overwrite it"
    )


def identity(dataset: Any, weights: str = "") -> dict[str, Any]:
  """What decides a run's numbers besides its config, as identity.json.

  Args:
    dataset: that it is trained or scored on.
    weights: the digest of the file that a pretrained backbone begins with.

  Raises:
    UserError: the data cannot be had.
  """
  begun_with = {"weights": weights} if weights else {}
  return {"data": content.of(dataset), **begun_with, **_switches()}


def _switches() -> dict[str, Any]:
  return {k: getattr(jax.config, k, v) for k, v in _SWITCHES.items()}


def identity_of(folder: pathlib.Path) -> dict[str, Any]:
  """The identity.json of a run folder; of a run from before it, JAX's usual.

  Raises:
    UserError: it cannot be read.
  """
  file = folder / IDENTITY
  return {**_SWITCHES, **(files.read_json(file) if file.exists() else {})}


def _check_identity(folder: pathlib.Path, here: dict[str, Any]) -> None:
  there = identity_of(folder)
  for key, value in here.items():
    if there.get(key, value) != value:
      raise errors.UserError(
        f"workdir {folder} was begun with other data or settings ({key} was"
        f" {there[key]} and is {value}): restore them, choose another"
        " --workdir, or --overwrite it"
      )


class Claim:
  """Run folders that this process alone may change while the context is open.

  In a job of several processes, process 0 holds them for all.
  """

  def __init__(
    self, configs: Mapping[pathlib.Path, Any], overwrite: bool = False
  ):
    """Nothing is done until the context is entered.

    Args:
      configs: of each folder, with absolute paths; a parent before its seeds.
      overwrite: start again where there is a run already.
    """
    self._configs, self._overwrite = dict(configs), overwrite
    self._locks: dict[pathlib.Path, locking.Lock] = {}
    self._continued: set[pathlib.Path] = set()
    # Of those, the ones that are to take more steps than they were to: so many.
    self._extended: dict[pathlib.Path, int] = {}
    self._has_begun = False

  def __enter__(self) -> "Claim":
    """Takes the locks and checks what is there.

    Raises:
      UserError: another process is at work there, or the folder holds another
        experiment or foreign files; nothing was changed.
    """
    try:
      distributed.on_main(self._enter)
    except BaseException:
      self.__exit__()
      raise
    return self

  def _enter(self) -> None:
    for folder, config in self._configs.items():
      self._locks[folder] = locking.Lock(folder)
      with _in_one_line(folder):
        self._check(folder, config)
    for folder in self._configs.keys() - self._continued:
      with _in_one_line(folder):
        for below in written.tree(folder):
          if below not in self._locks:
            self._locks[below] = locking.Lock(below)
        written.check_links(folder)

  def _check(self, folder: pathlib.Path, config: Any) -> None:
    if not (folder / layout.CONFIG).exists():
      if not written.is_empty(folder):
        raise errors.UserError(
          f"workdir {folder} holds files but no run (no config.json): choose"
          " another --workdir"
        )
      return
    before = written.config_of(folder).num_steps
    # Without checkpoints a run never began: what it was to be is replaced.
    if written.has_results(folder) and not self._overwrite:
      if config.num_steps > before:
        self._extended[folder] = before
      check_same(config, folder, _extends(config, before))
      _check_identity(folder, _switches())
      self._continued.add(folder)

  def __exit__(self, *_: Any) -> None:
    for lock in reversed(self._locks.values()):
      lock.release(undo=not self._has_begun)
    self._locks.clear()

  def extends(self, folder: pathlib.Path) -> bool:
    """Whether a run takes more steps than it did; only process 0 knows."""
    return folder in self._extended

  def continues(self, folder: pathlib.Path) -> bool:
    """Whether there is something to resume; only process 0 knows."""
    return folder in self._continued

  def begin(self, dataset: Any, weights: str = "") -> None:
    """Makes the folders the experiment's: from now on it may write.

    Once; again it does nothing.

    Args:
      dataset: that the run is trained or scored on.
      weights: see `identity`; "" where no file is read.

    Raises:
      UserError: a run to be resumed was trained on other data, from other
        weights or under other switches of JAX; nothing was changed.
    """
    if not self._has_begun:
      distributed.on_main(lambda: self._begin(identity(dataset, weights)))
      self._has_begun = True

  def _begin(self, here: dict[str, Any]) -> None:
    known = {folder: identity_of(folder) for folder in self._continued}
    for folder in self._continued:
      _check_identity(folder, here)
    for folder in self._configs.keys() - self._continued:
      with _in_one_line(folder):
        self._delete(folder)
    for folder, steps in self._extended.items():
      with _in_one_line(folder):
        _set_aside(folder, steps)
    for folder, config in self._configs.items():
      with _in_one_line(folder):
        files.write_json(folder / layout.CONFIG, config.to_dict())
        files.write_json(folder / IDENTITY, known.get(folder, {}) | here)

  def _delete(self, folder: pathlib.Path) -> None:
    """Deletes what a run has written, and the runs below that are not ours."""
    for path in written.ours(folder):
      shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name in written.FOLDERS:
      written.remove_empty(folder / name)
    for below in written.runs_below(folder):
      if below in self._configs:
        continue
      self._delete(below)
      for name in (layout.CONFIG, IDENTITY, locking.FILE):
        (below / name).unlink(missing_ok=True)
      written.remove_empty(below)


def _extends(config: Any, num_steps: int) -> tuple[str, ...]:
  """What may differ from a run of so many steps that goes on for more."""
  return ("num_steps",) if config.num_steps > num_steps else ()


def _set_aside(folder: pathlib.Path, steps: int) -> None:
  """Keeps the summary of a finished run that is to go on."""
  kept = folder / f"summary-of-{steps}-steps.json"
  if layout.is_tested(folder):
    os.replace(folder / layout.SUMMARY, kept)
    _log.info("going on behind step %d; its results are now %s", steps, kept)


@contextlib.contextmanager
def _in_one_line(folder: pathlib.Path) -> Iterator[None]:
  try:
    yield
  except OSError as error:
    raise errors.UserError(
      f"workdir {folder}: {error.filename or folder} cannot be read or written"
      f" ({error.strerror or error})"
    ) from None
