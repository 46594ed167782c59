"""Preparing a TFDS dataset: once, whole, quietly, and only where allowed."""

from collections.abc import Callable, Iterator
import contextlib
import io
import pathlib
import shutil
import tempfile
import threading
import urllib.request

from rotjax import errors, files
from rotjax.data.store import location


def target(root: pathlib.Path, name: str) -> pathlib.Path:
  """The data directory to prepare a dataset in.

  Args:
    root: the one that was asked for.
    name: the dataset.

  Returns:
    `root`; or rotjax's own in the user's cache folder where `root` is
    read-only or already holds that dataset in a format we cannot read.
  """
  if files.writable(root) and location.newest(root, name) is None:
    return root
  return location.cache_root() / "tfds"


def publish(
  root: pathlib.Path,
  name: str,
  build: Callable[[pathlib.Path], None],
  remedy: str = "data.dir may name another folder",
) -> pathlib.Path:
  """Prepares a dataset so that readers see all of it or nothing.

  Several processes may do so at the same time: the first to finish wins and
  the others use its files.

  Args:
    root: the TFDS data directory; made if it is not there.
    name: the dataset.
    build: prepares it in the data directory that it is given.
    remedy: what to do where `root` cannot be written.

  Returns:
    The folder of the prepared version.

  Raises:
    errors.UserError: `root` cannot be written, or what else ended in an
      OSError, a failed connection among others.
  """
  scratch = None
  try:
    root.mkdir(parents=True, exist_ok=True)
    # Beside its destination, because only within a file system is a rename
    # atomic.
    scratch = pathlib.Path(tempfile.mkdtemp(prefix=".preparing-", dir=root))
    build(scratch)
    made = location.newest(scratch, name)
    assert made is not None, f"{name} was built and is not there"
    folder = root / made.relative_to(scratch)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
      made.rename(folder)
    except OSError:
      # Somebody else was first. Anything else than a whole dataset there is
      # not ours to remove.
      if not location.info(folder).readable:
        raise
    return folder
  except OSError as error:
    raise errors.UserError(
      f"cannot prepare {name} in {root}: {error}; {remedy}"
    ) from error
  finally:
    if scratch is not None:
      shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
  """Keeps TFDS's banners, logs and progress bars off the terminal.

  Errors are logged all the same. The progress bars stay off, because TFDS
  does not tell whether they were on.
  """
  from absl import logging
  import tensorflow_datasets as tfds

  tfds.disable_progress_bar()
  verbosity = logging.get_verbosity()
  logging.set_verbosity(logging.ERROR)
  try:
    with contextlib.redirect_stdout(io.StringIO()):
      yield
  finally:
    logging.set_verbosity(verbosity)


def reachable(url: str, seconds: float = 3.0) -> bool:
  """Whether a file can be had from the network, within a few seconds.

  TFDS tries ten times, for minutes, before it gives up. A thread, because
  looking up a host's name has no time limit of its own; a real request,
  because the way may lead through a proxy.
  """
  answers = []

  def ask():
    request = urllib.request.Request(url, method="HEAD")
    with (
      contextlib.suppress(Exception),
      urllib.request.urlopen(request, timeout=seconds) as response,
    ):
      answers.append(response.status < 400)

  thread = threading.Thread(target=ask, daemon=True)
  thread.start()
  thread.join(seconds)
  return bool(answers and answers[0])
