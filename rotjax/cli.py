"""What the commands share: flags, one-line errors, exit status, the cache."""

import argparse
from collections.abc import Callable, Sequence
import errno
import logging
import os
import pathlib
import platform
import sys
import traceback
from typing import Any

from rotjax import errors


def split_overrides(argv: Sequence[str]) -> tuple[list[str], dict[str, str]]:
  """Takes `--config.key=value` and `--config.key value` out of a command line.

  Returns:
    The other arguments, and key -> value.

  Raises:
    UserError: a `--config.key` without a value.
  """
  rest, overrides = [], {}
  items = iter(argv)
  for item in items:
    if not item.startswith("--config."):
      rest.append(item)
      continue
    key, equals, value = item.removeprefix("--config.").partition("=")
    if not equals:
      value = next(items, "--")
      if value.startswith("--"):
        raise errors.UserError(
          f"--config.{key} needs a value: --config.{key}=VALUE"
        )
    overrides[key] = value
  return rest, overrides


class _Parser(argparse.ArgumentParser):
  """An ArgumentParser whose mistakes are one line, like all others."""

  def error(self, message):
    raise errors.UserError(f"{message} (see {self.prog} --help)")


def parser(prog: str, description: str, examples: str) -> _Parser:
  """A parser whose --help ends in examples."""
  return _Parser(
    prog=f"python -m {prog}",
    description=description,
    epilog=f"examples:\n{examples}",
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )


def run(command: Callable[[Sequence[str]], int | None]) -> None:
  """Runs a command and exits: 0 done, 2 wrong input, 75 stopped, else a bug.

  Args:
    command: takes the arguments, returns its exit status or None.
  """
  logging.basicConfig(format="rotjax: %(message)s", level=logging.WARNING)
  logging.getLogger("rotjax").setLevel(logging.INFO)
  try:
    sys.exit(command(sys.argv[1:]) or 0)
  except errors.ToldElsewhereError:
    sys.exit(2)
  except errors.UserError as error:
    _fail(str(error))
  except KeyboardInterrupt:
    _fail("interrupted", 130)
  except BrokenPipeError:
    # Whoever read our output has gone; nothing is left to tell it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)
  except Exception as error:
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
      file = getattr(error, "filename", None)
      where = f" for {file}" if file else ""
      message = (
        f"no space left on the disk{where}: free some and run the same command"
        " again, which goes on from the last good checkpoint"
      )
    elif _out_of_memory(error):
      message = (
        "out of memory: lower batch_size (training) or eval.batch_views"
        " (evaluation), for example --config.eval.batch_views=256"
      )
    elif _one_of_several() and _peer_lost(error):
      _fail(
        "another process of this job has ended or cannot be reached; its own"
        " output says why. The same command goes on from the last good"
        f" checkpoint ({str(error).splitlines()[0]})",
        status=1,
        leave=True,
      )
    else:
      if _one_of_several():
        traceback.print_exc()
        _leave(1)
      raise
    _fail(message, leave=_one_of_several())


def _fail(message: str, status: int = 2, leave: bool = False) -> None:
  print("rotjax: " + " ".join(message.split()), file=sys.stderr)
  if leave:
    _leave(status)
  sys.exit(status)


def _one_of_several() -> bool:
  # Without the module nothing was started; importing it takes a second.
  processes = sys.modules.get("rotjax.processes")
  return processes is not None and processes.count() > 1


def _peer_lost(error: BaseException) -> bool:
  """Whether a collective failed for want of a partner."""
  signs = ("Gloo", "NCCL", "UNAVAILABLE", "Connection reset", "heartbeat")
  return type(error).__name__ in ("JaxRuntimeError", "XlaRuntimeError") and any(
    sign in str(error) for sign in signs
  )


def _leave(status: int) -> None:
  """Ends this process at once.

  A regular exit would wait minutes for the others, who wait for this one.
  """
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(status)


def _out_of_memory(error: BaseException) -> bool:
  return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def use_compile_cache(enabled: bool) -> None:
  """Keeps compiled programs in the user's cache folder, by machine and version.

  The folder holds code: it is the user's own and never a shared one. A user's
  JAX_COMPILATION_CACHE_DIR takes precedence.
  """
  import jax  # not at the top: --help must not wait for it

  if not enabled or os.environ.get("JAX_COMPILATION_CACHE_DIR"):
    return
  root = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
  machine = f"{platform.machine()}-{_cpu_digest()}-jax{jax.__version__}"
  folder = pathlib.Path(root) / "rotjax" / "compiled" / machine
  jax.config.update("jax_compilation_cache_dir", str(folder))
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def _cpu_digest() -> str:
  """Names this CPU's instruction set: code for another may not run here."""
  import hashlib

  try:
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
  except OSError:
    return "cpu"
  flags = [line for line in lines if line.startswith(("flags", "Features"))]
  return hashlib.sha256("".join(flags[:1]).encode()).hexdigest()[:8]


def add_common_flags(p: argparse.ArgumentParser) -> None:
  """Flags that every command that computes has."""
  p.add_argument(
    "--no_compile_cache",
    action="store_true",
    help="compile afresh instead of keeping programs in the user's cache",
  )


def load_config(
  spec: str, overrides: dict[str, str], trained: bool = True
) -> Any:
  """The resolved, validated config of `--config FILE[:variant]` and flags.

  Raises:
    UserError: see `config_files.load`, `config.resolve`, `validation.check`.
  """
  from rotjax import config as config_lib
  from rotjax import config_files, validation

  config = config_lib.resolve(config_files.load(spec), overrides)
  if overrides:
    config.name += "-" + config_lib.digest(overrides)
  validation.check(config, trained)
  return config
