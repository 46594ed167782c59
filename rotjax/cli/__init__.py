"""What the commands share: flags, one-line errors, exit status."""

import argparse
from collections.abc import Callable, Sequence
import errno
import logging
import os
import pathlib
import sys
import traceback

from rotjax import errors, files
from rotjax.cli import commands, environment

# The system's refusals that name a file: no bug, whoever asked for the file.
_REFUSALS = (
  *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOTDIR),
  *(errno.EISDIR, errno.ELOOP, errno.EIO, errno.ESTALE, errno.ETXTBSY),
)


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
  """An ArgumentParser whose mistakes are one line, like all others.

  Attributes:
    meant: see `parser`.
  """

  meant: Callable[[str], list[str]] = staticmethod(lambda name: [])

  def parse_args(self, args=None, namespace=None):
    """As argparse does; a mistyped flag is told before one that is missing."""
    self._given = [str(item) for item in args or ()]
    known = self._flags()
    for item in self._given:
      flag = item.partition("=")[0]
      if flag == "--":
        break
      if len(flag) > 1 and flag[0] == "-" and not flag[1:2].isdigit():
        if flag not in known:
          named = [f for f in known if f.startswith("--")]
          raise commands.unknown_flag(flag, named, self.prog, self.meant)
    return super().parse_args(args, namespace)

  def _flags(self) -> set[str]:
    """Its own flags, and those of the commands below it."""
    found = set(self._option_string_actions)
    for action in self._actions:
      if isinstance(action, argparse._SubParsersAction):
        for below in action.choices.values():
          found |= set(below._option_string_actions)
    return found

  def error(self, message):
    given = getattr(self, "_given", ())
    words = [item for item in given if item[:1] != "-"]
    fields = [word for word in words if word.startswith("config.")]
    unknown = message.partition("unrecognized arguments: ")[2].split()
    if "required: --config" not in message:
      flags = {item.partition("=")[0] for item in given}
      words = unknown if "--config" in self._flags() - flags else []
    if unknown and fields:
      message += f": did you mean --{fields[0]}?"
    elif words:
      message += f": did you mean --config {words[0]}?"
    raise errors.UserError(f"{message} (see {self.prog} --help)")


def parser(
  prog: str,
  description: str,
  examples: str,
  meant: Callable[[str], list[str]] | None = None,
) -> _Parser:
  """A parser whose --help ends in examples.

  Args:
    prog: the module.
    description: what it does.
    examples: command lines.
    meant: a name -> the config fields that it may stand for, of commands with
      --config.
  """
  made = _Parser(
    prog=f"python -m {prog}",
    description=description,
    epilog=f"examples:\n{examples}",
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  if meant:
    made.meant = meant
  return made


def run(command: Callable[[Sequence[str]], int | None]) -> None:
  """Runs a command and exits: 0 done, 2 wrong input, 75 stopped, else a bug.

  Args:
    command: takes the arguments, returns its exit status or None.
  """
  _log_to_stderr()
  environment.settle()
  try:
    try:
      status = command(sys.argv[1:])
    except SystemExit as leaving:  # --help
      status = leaving.code if isinstance(leaving.code, int) else 1
    sys.stdout.flush()
    sys.exit(status or 0)
  except errors.ToldElsewhereError:
    sys.exit(2)
  except errors.UserError as error:
    _fail(str(error))
  except KeyboardInterrupt:
    _fail("interrupted", 130)
  except BrokenPipeError:
    # Whoever read our output has gone; nothing is left to tell it.
    _let_go_of_stdout()
    sys.exit(1)
  except Exception as error:
    message = _environment_fault(error)
    if message:
      _fail(message, leave=_one_of_several())
    if _one_of_several() and _peer_lost(error):
      _fail(
        "another process of this job has ended or cannot be reached; its own"
        " output says why. The same command goes on from the last good"
        f" checkpoint ({str(error).splitlines()[0]})",
        status=1,
        leave=True,
      )
    if _one_of_several():
      traceback.print_exc()
      _leave(1)
    raise


def _log_to_stderr() -> None:
  """Our words as "rotjax: ...", a library's under its own name."""
  handler = logging.StreamHandler()
  # What fails in orbax's threads is raised by the next wait; its log would say
  # it hundreds of lines long.
  handler.addFilter(
    lambda record: record.name != "absl" or record.levelno >= logging.CRITICAL
  )
  logging.basicConfig(
    format="%(name)s: %(message)s", level=logging.WARNING, handlers=[handler]
  )
  logging.getLogger("rotjax").setLevel(logging.INFO)


def _environment_fault(error: Exception) -> str:
  """What to say of an error that is the machine's or its user's; "" for a bug.

  Where in rotjax it came up tells what it was about.
  """
  frames = [f for f, _ in traceback.walk_tb(error.__traceback__)]
  modules = [f.f_globals.get("__name__", "") for f in frames]
  number = getattr(error, "errno", None)
  file = getattr(error, "filename", None)
  if isinstance(error, OSError) and file == environment.STDOUT:
    _let_go_of_stdout()
    return (
      f"stdout cannot be written ({error.strerror}): what the command wrote"
      " into its folder stays"
    )
  if number in (errno.ENOSPC, errno.EDQUOT):
    where = f" for {file}" if file else ""
    again = "run the same command again"
    if "rotjax.run.loop" in modules:
      again += ", which goes on from the last good checkpoint"
    return f"no space left on the disk{where}: free some and {again}"
  if isinstance(error, OSError) and number in _REFUSALS and file is not None:
    return f"{os.fspath(file)!r}: {error.strerror}"
  if _out_of_memory(error):
    return f"out of memory{_memory_advice(modules)}"
  if isinstance(error, ValueError) and "jax._src.config" in modules[-2:]:
    return f"a variable of jax (JAX_...) is not valid: {error}"
  if modules[-1:] == ["jax._src.xla_bridge"]:
    asked = os.environ.get("JAX_PLATFORMS", "")
    return f"jax cannot start (JAX_PLATFORMS={asked!r}): {error}"
  return ""


def _memory_advice(modules: Sequence[str]) -> str:
  """What to lower, by where the memory ran out."""
  if "rotjax.evaluation.evaluator" in modules:
    return (
      " in evaluation: lower eval.batch_views, for example"
      " --config.eval.batch_views=128; no number changes, and the same run goes"
      " on (--workdir)"
    )
  if "rotjax.run.loop" in modules:
    return (
      " in training: --config.microbatches=4 where no batch statistics forbid"
      " it, --config.seeds_together=off where there are several seeds, and"
      " --config.data.max_resident_mb=0 where the data has it, change no"
      " number; a lower batch_size, view.size or a smaller model is another"
      " experiment with a --workdir of its own"
    )
  if {
    "rotjax.prediction.predictor",
    "rotjax.image.pictures",
    "rotjax.prediction.upright",
  } & {*modules}:
    return ": a picture is too large for it; make it smaller"
  return (
    ": lower batch_size (training) or eval.batch_views (evaluation), or use a"
    " machine with more"
  )


def _let_go_of_stdout() -> None:
  """Sends what is left of the output nowhere, so that the exit is quiet."""
  os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, status: int = 2, leave: bool = False) -> None:
  try:
    print("rotjax: " + " ".join(message.split()), file=sys.stderr)
  except OSError:
    pass  # stderr is full or gone; the status says it
  if leave:
    _leave(status)
  sys.exit(status)


def _one_of_several() -> bool:
  # Without the module nothing was started; importing it takes a second.
  processes = sys.modules.get("rotjax.distributed")
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


def workdir(given: str | None, default: str) -> pathlib.Path:
  """The folder that --workdir names, absolute; it need not exist.

  Raises:
    UserError: none can be there.
  """
  return files.folder_to_write(default if given is None else given, "--workdir")


def add_common_flags(p: argparse.ArgumentParser) -> None:
  """Flags that every command that computes has."""
  p.add_argument(
    "--no_compile_cache",
    action="store_true",
    help="compile afresh instead of keeping programs in the user's cache",
  )
