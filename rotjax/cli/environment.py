"""What a command is started in: jax's variables, the streams, the cache."""

import hashlib
import io
import logging
import os
import pathlib
import platform
import sys
import warnings

from rotjax import errors, files

_log = logging.getLogger("rotjax")

# What a failure to print has for a file's name.
STDOUT = "<stdout>"

_DEBUG = "some values are NaN on purpose, and a run that diverges is stopped"
# Variable -> what rotjax needs it to be, and why; unset is that already.
_NEEDED = {
  "JAX_ENABLE_X64": ("0", "rotjax computes in float32"),
  "JAX_NUMPY_DTYPE_PROMOTION": ("standard", "rotjax relies on promotion"),
  "JAX_DEBUG_NANS": ("0", _DEBUG),
  "JAX_DEBUG_INFS": ("0", _DEBUG),
  "JAX_TRANSFER_GUARD": ("allow", "rotjax moves data to and from the device"),
}
_FALSE = ("", "0", "n", "no", "f", "false", "off")


class _Stdout(io.TextIOWrapper):
  """A stdout whose failures name it, as those of a file name the file."""

  def write(self, text: str) -> int:
    try:
      return super().write(text)
    except OSError as error:
      error.filename = STDOUT
      raise

  def flush(self) -> None:
    try:
      super().flush()
    except OSError as error:
      error.filename = STDOUT
      raise


def settle() -> None:
  """Makes variables and streams such that commands work; says what it changed.

  To be called before jax is imported; processes started later inherit it.
  """
  for name, (needed, why) in _NEEDED.items():
    given = os.environ.get(name, needed)
    same = given == needed or (needed == "0" and given.lower() in _FALSE)
    os.environ.pop(name, None) if same else os.environ.update({name: needed})
    if not same:
      _log.warning("%s=%s is not followed: %s", name, given, why)
  # Not what a test or a notebook has put in its place.
  if type(sys.stdout) is io.TextIOWrapper:
    sys.stdout = _Stdout(
      sys.stdout.buffer,
      sys.stdout.encoding,
      # Tables hold degrees and plus-minus, file names anything at all.
      errors="replace",
      line_buffering=sys.stdout.line_buffering,
    )
  # A stream that the shell closed: its number must not go to another file.
  for name in ("stdin", "stdout", "stderr"):
    if getattr(sys, name) is None:
      mode = "r" if name == "stdin" else "w"
      setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))


def check_devices() -> None:
  """Asks jax for its devices, before anything is written.

  Raises:
    UserError: there are none of the kind asked for.
  """
  import jax

  try:
    jax.devices()
  # jax asserts where no platform of JAX_PLATFORMS is there at all.
  except (RuntimeError, AssertionError) as error:
    asked = os.environ.get("JAX_PLATFORMS", "")
    first = (str(error).splitlines() or ["no such device is there"])[0]
    raise errors.UserError(
      f"jax cannot start with JAX_PLATFORMS={asked!r} ({first}): unset it, or"
      " set JAX_PLATFORMS=cpu"
    ) from error


def use_compile_cache(enabled: bool) -> None:
  """Keeps compiled programs in the user's cache folder, by machine and version.

  The folder holds code: it is the user's own and never a shared one. A user's
  JAX_COMPILATION_CACHE_DIR takes precedence. Where it cannot be written the
  command goes on without.
  """
  import jax  # not at the top: --help must not wait for it

  # A disk that fills up is told where it matters, not once a program.
  warnings.filterwarnings("ignore", "Error (read|writ)ing persistent compil")
  given = os.environ.get("JAX_COMPILATION_CACHE_DIR")
  if given and "://" in given:
    return  # jax's own business
  if not given and not enabled:
    return
  try:
    folder = files.to_write(given, "it") if given else _cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    if not files.writable(folder):
      raise PermissionError(f"{folder} cannot be written to")
  except (errors.UserError, OSError) as error:
    _log.warning("compiled programs are not kept: %s", error)
    jax.config.update("jax_enable_compilation_cache", False)
    return
  if not given:
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def _cache_folder() -> pathlib.Path:
  import jax

  root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
  machine = f"{platform.machine()}-{_cpu_digest()}-jax{jax.__version__}"
  return files.to_write(root, "XDG_CACHE_HOME") / "rotjax/compiled" / machine


def _cpu_digest() -> str:
  """Names this CPU's instruction set: code for another may not run here."""
  try:
    lines = pathlib.Path("/proc/cpuinfo").read_text("utf-8").splitlines()
  except OSError:
    return "cpu"
  flags = [line for line in lines if line.startswith(("flags", "Features"))]
  return hashlib.sha256("".join(flags[:1]).encode()).hexdigest()[:8]
