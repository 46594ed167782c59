"""Whose folder is this? The lock, the identity, what overwriting deletes.

What writes must first hold the lock and know what it will destroy. A command
claims its folders before it reads anything in them; it writes and deletes
nothing until `begin`, when all that can be wrong with its input is checked.
"""

from collections.abc import Iterator, Mapping
import contextlib
import fcntl
import os
import pathlib
import re
import shutil
from typing import Any

import jax

from rotjax import config as config_lib
from rotjax import config_files, errors, processes, run_folder
from rotjax.data import content

LOCK = ".lock"
# What decides a run's numbers besides its config.
IDENTITY = "identity.json"
_CONFIG = "config.json"

# What a run writes, as patterns below its folder: --overwrite deletes these
# and nothing else. The mark of a finished run goes first.
_OURS = (
  "summary.json",
  "checkpoints/latest/[0-9]*",
  "checkpoints/best/[0-9]*",
  "checkpoints/set_aside/latest-[0-9]*",
  "checkpoints/set_aside/best-[0-9]*",
  "calibration.json",
  "metrics.jsonl",
  "predictions.npz",
  "tensorboard/events*",
  *(
    f"plots/{name}.png"
    for name in (
      *("confusion", "curves", "donut", "error_by_angle", "gallery"),
      *("predicted_against_true", "reliability"),
    )
  ),
  *(f"{name}.json.new" for name in ("calibration", "config", "identity")),
  *("summary.json.new", "metrics.jsonl.new"),
)
# Folders of them, deleted where that leaves them empty.
_FOLDERS = (
  *("checkpoints/latest", "checkpoints/best", "checkpoints/set_aside"),
  *("checkpoints", "tensorboard", "plots"),
)
# Runs in a run's folder: of its seeds, and evaluations on other terms.
_RUNS_BELOW = re.compile(r"seed-\d+|eval-.+-[0-9a-f]{8}")
# The sections that every config.json of ours has.
_SECTIONS = ("data", "model", "head", "optim", "view", "angles")
# JAX's switches that decide what is drawn, with their usual values.
_SWITCHES = {
  "jax_default_prng_impl": "threefry2x32",
  "jax_threefry_partitionable": True,
  "jax_enable_x64": False,
}


class HeldError(errors.UserError):
  """Another process is at work in the folder."""


class Lock:
  """Keeps other processes out of a folder, which is made if need be.

  The system lets go of it with the process, however that ends.
  """

  def __init__(self, folder: pathlib.Path, shared: bool = False):
    """Takes the lock.

    Args:
      folder: to be locked.
      shared: others may hold it at the same time, shared too.

    Raises:
      UserError: another process holds it (HeldError), or the folder cannot be
        made, written or locked.
    """
    check_path(folder)
    # os.path, because pathlib raises where a parent may not be looked into.
    if os.path.exists(folder) and not folder.is_dir():
      raise errors.UserError(f"workdir {folder} is a file, not a folder")
    self.folder = folder
    self._made: list[pathlib.Path] = []
    self._new = False
    try:
      places = (folder, *folder.parents)
      self._made = [place for place in places if not os.path.exists(place)]
      self._handle = self._take(shared)
    except BlockingIOError:
      raise HeldError(
        f"another process is at work in {folder}: wait for it, or choose"
        " another --workdir"
      ) from None
    except OSError as error:
      self._undo()
      raise errors.UserError(
        f"workdir {folder} cannot be made, written or locked"
        f" ({error.strerror or error}): choose another --workdir"
      ) from None

  def _take(self, shared: bool) -> int:
    file = self.folder / LOCK
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
      self.folder.mkdir(parents=True, exist_ok=True)
      self._new = not file.exists()
      try:
        handle = os.open(file, flags, 0o666)
      except FileNotFoundError:  # whoever had made the folder removed it
        continue
      try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
        # Whoever held it before may have removed the file meanwhile.
        if file.exists() and os.path.samestat(os.fstat(handle), file.stat()):
          return handle
      except BaseException:
        os.close(handle)
        raise
      os.close(handle)

  def __enter__(self) -> "Lock":
    return self

  def __exit__(self, *_: Any) -> None:
    self.release()

  def share(self) -> None:
    """Lets others in that share it too; no longer exclusive."""
    fcntl.flock(self._handle, fcntl.LOCK_SH | fcntl.LOCK_NB)

  def release(self, undo: bool = False) -> None:
    """Lets go.

    Args:
      undo: removes what taking the lock had to make, as far as it is empty.
    """
    if undo:
      self._undo()
    os.close(self._handle)

  def _undo(self):
    if self._new:
      with contextlib.suppress(OSError):
        (self.folder / LOCK).unlink()
    for folder in self._made:
      try:
        folder.rmdir()
      except OSError:  # not empty, or never made
        return


def check_path(folder: pathlib.Path) -> None:
  """Raises UserError for a path in which checkpoints could not be read again.

  A dependency takes it for a pattern of names, or for an address.
  """
  shown = os.fsencode(folder).decode(errors="replace")
  bad = sorted(set(shown) & set("[]*?\\\ufffd"))
  if bad or "\0" in shown:
    raise errors.UserError(
      f"workdir {shown} cannot hold checkpoints because of"
      f" {' '.join(bad) or 'NUL'} in its path: choose another --workdir"
    )


def check_same(config: Any, folder: pathlib.Path, ignored: Any = ()) -> None:
  """Checks that a folder holds the experiment of a config.

  Args:
    config: with absolute paths.
    folder: with a config.json.
    ignored: a tuple of beginnings of keys that may differ.

  Raises:
    UserError: another experiment, or a config.json that is not a run's.
  """
  here = config_lib.identity(config_lib.absolute(config_of(folder)))
  there = config_lib.identity(config)
  # A config from before a field existed means that field's default.
  default = config_lib.identity(config_lib.base())
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


def config_of(folder: pathlib.Path) -> Any:
  """The config.json of a run folder.

  Raises:
    UserError: it cannot be read, or is not that of a run.
  """
  config = config_files.read(folder / _CONFIG)
  if any(section not in config for section in _SECTIONS):
    raise errors.UserError(
      f"{folder / _CONFIG} is not of a run of rotjax: choose another --workdir"
    )
  return config


def identity(dataset: Any) -> dict[str, Any]:
  """What decides a run's numbers besides its config, as identity.json.

  Raises:
    UserError: the data cannot be had.
  """
  switches = {k: getattr(jax.config, k, v) for k, v in _SWITCHES.items()}
  return {"data": content.of(dataset), **switches}


def identity_of(folder: pathlib.Path) -> dict[str, Any]:
  """The identity.json of a run folder; of a run from before it, JAX's usual.

  Raises:
    UserError: it cannot be read.
  """
  file = folder / IDENTITY
  return {**_SWITCHES, **(run_folder.read_json(file) if file.exists() else {})}


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
    self._locks: dict[pathlib.Path, Lock] = {}
    self._continued: set[pathlib.Path] = set()
    self._has_begun = False

  def __enter__(self) -> "Claim":
    """Takes the locks and checks what is there.

    Raises:
      UserError: another process is at work there, or the folder holds another
        experiment or foreign files; nothing was changed.
    """
    try:
      processes.on_main(self._enter)
    except BaseException:
      self.__exit__()
      raise
    return self

  def _enter(self) -> None:
    for folder, config in self._configs.items():
      self._locks[folder] = Lock(folder)
      with _in_one_line(folder):
        self._check(folder, config)
    for folder in self._configs.keys() - self._continued:
      with _in_one_line(folder):
        for below in _tree(folder):
          if below not in self._locks:
            self._locks[below] = Lock(below)
        _check_links(folder)

  def _check(self, folder: pathlib.Path, config: Any) -> None:
    if not (folder / _CONFIG).exists():
      if not _is_empty(folder):
        raise errors.UserError(
          f"workdir {folder} holds files but no run (no {_CONFIG}): choose"
          " another --workdir"
        )
      return
    config_of(folder)
    # Without checkpoints a run never began: what it was to be is replaced.
    if _has_results(folder) and not self._overwrite:
      check_same(config, folder)
      self._continued.add(folder)

  def __exit__(self, *_: Any) -> None:
    for lock in reversed(self._locks.values()):
      lock.release(undo=not self._has_begun)
    self._locks.clear()

  def continues(self, folder: pathlib.Path) -> bool:
    """Whether there is something to resume; only process 0 knows."""
    return folder in self._continued

  def begin(self, dataset: Any) -> None:
    """Makes the folders the experiment's: from now on it may write.

    Once; again it does nothing.

    Args:
      dataset: that the run is trained or scored on.

    Raises:
      UserError: a run to be resumed was trained on other data, or under other
        switches of JAX; nothing was changed.
    """
    if not self._has_begun:
      processes.on_main(lambda: self._begin(identity(dataset)))
      self._has_begun = True

  def _begin(self, here: dict[str, Any]) -> None:
    for folder in self._continued:
      there = identity_of(folder)
      for key, value in here.items():
        if there.get(key, value) != value:
          raise errors.UserError(
            f"workdir {folder} was begun with other data or settings ({key} was"
            f" {there[key]} and is {value}): restore them, choose another"
            " --workdir, or --overwrite it"
          )
    for folder in self._configs.keys() - self._continued:
      with _in_one_line(folder):
        self._delete(folder)
    for folder, config in self._configs.items():
      with _in_one_line(folder):
        run_folder.write_json(folder / _CONFIG, config.to_dict())
        run_folder.write_json(folder / IDENTITY, here)

  def _delete(self, folder: pathlib.Path) -> None:
    """Deletes what a run has written, and the runs below that are not ours."""
    for path in _ours(folder):
      shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name in _FOLDERS:
      _remove_empty(folder / name)
    for below in _runs_below(folder):
      if below in self._configs:
        continue
      self._delete(below)
      for name in (_CONFIG, IDENTITY, LOCK):
        (below / name).unlink(missing_ok=True)
      _remove_empty(below)


@contextlib.contextmanager
def _in_one_line(folder: pathlib.Path) -> Iterator[None]:
  try:
    yield
  except OSError as error:
    raise errors.UserError(
      f"workdir {folder}: {error.filename or folder} cannot be read or written"
      f" ({error.strerror or error})"
    ) from None


def _remove_empty(folder: pathlib.Path) -> None:
  try:
    folder.rmdir()
  except OSError:  # it is not there, or holds what is not ours
    pass


def _ours(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  for pattern in _OURS:
    yield from folder.glob(pattern)


def _check_links(folder: pathlib.Path) -> None:
  """Refuses links in the places that a run writes to."""
  for path in (*(folder / n for n in _FOLDERS), *_ours(folder)):
    if path.is_symlink():
      raise errors.UserError(
        f"{path} is a symbolic link, which is neither followed nor replaced:"
        " remove it, or choose another --workdir"
      )


def _runs_below(folder: pathlib.Path) -> list[pathlib.Path]:
  """Folders of seeds and evaluations that we have written."""
  return [
    path
    for path in sorted(folder.iterdir())
    if _RUNS_BELOW.fullmatch(path.name)
    and path.is_dir()
    and not path.is_symlink()
    and _is_run(path)
  ]


def _tree(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  for path in _runs_below(folder):
    yield path
    yield from _tree(path)


def _is_run(folder: pathlib.Path) -> bool:
  if not (folder / _CONFIG).exists():
    return _is_empty(folder)
  try:
    config_of(folder)
  except errors.UserError:
    return False
  return True


def _is_empty(folder: pathlib.Path) -> bool:
  """Whether there is nothing but what a start that was killed leaves."""
  return all(
    path.name in (LOCK, f"{_CONFIG}.new", f"{IDENTITY}.new")
    or (
      _RUNS_BELOW.fullmatch(path.name)
      and path.is_dir()
      and not path.is_symlink()
      and _is_empty(path)
    )
    for path in folder.iterdir()
  )


def _has_results(folder: pathlib.Path) -> bool:
  """Whether there is a checkpoint, or the summary of a finished run."""
  return any(
    any(place.glob(pattern))
    for place in (folder, *_runs_below(folder))
    for pattern in ("summary.json", "checkpoints/[lb]*/[0-9]*")
  )
