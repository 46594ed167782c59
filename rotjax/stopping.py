"""Being told to stop: signals set a flag, the loop saves and leaves."""

from collections.abc import Iterator
import contextlib
import math
import signal
import time
from typing import Any, NoReturn

from rotjax import errors

# sysexits.h EX_TEMPFAIL: "try again later"; the job templates requeue on it.
EXIT_STATUS = 75


class Flag:
  """Set by a signal or once the time is over; polled by the loop.

  In a job of several processes a signal may reach one of them alone, so that
  they must agree: `check` asks them all, the loop lets the step carry the
  answer (see `train`).
  """

  def __init__(self, deadline: float | None = None):
    self.reason = ""
    self._deadline = deadline

  @property
  def up(self) -> bool:
    """Whether this process was told to stop."""
    if self._deadline is not None and time.monotonic() > self._deadline:
      self.reason = self.reason or "the time limit"
    return bool(self.reason)

  def check(self) -> None:
    """Raises Stopped once any process was told to stop; all must ask."""
    from rotjax import distributed  # jax: --help must not wait for it

    if distributed.any_of(self.up):
      self.stop()

  def stop(self) -> NoReturn:
    """Raises Stopped, with the reason as far as this process knows it."""
    raise errors.Stopped(self.reason or "a signal to another process")


# The flag of the outermost open context.
_active: Flag | None = None
# When to stop, in seconds of time.monotonic; None for never.
_deadline: float | None = None


def limit_minutes(minutes: float) -> None:
  """From now on runs stop after so many minutes, as if told by a signal.

  Raises:
    UserError: not a positive number of minutes.
  """
  global _deadline
  if not 0 < minutes < math.inf:
    raise errors.UserError(f"--time_limit={minutes} must be positive minutes")
  _deadline = time.monotonic() + 60 * minutes


def check() -> None:
  """Raises Stopped once a signal has come in the context that is open, if any.

  For long work that is not handed the flag; other processes are not asked.
  """
  if _active is not None and _active.up:
    _active.stop()


@contextlib.contextmanager
def on_signals() -> Iterator[Flag]:
  """A flag that SIGINT, SIGTERM and SIGUSR1 set while the context is open.

  A second signal of a kind acts as it always does, so that Ctrl-C twice still
  ends a run that hangs. Outside the main thread, where Python allows no
  handlers, the flag is never set. Inside another such context it is that one's
  flag: a signal between two runs of a sweep also stops the next.
  """
  global _active
  if _active is not None:
    yield _active
    return
  flag = Flag(_deadline)
  before: dict[int, Any] = {}

  def handle(number, _):
    flag.reason = signal.Signals(number).name
    signal.signal(number, before[number])

  _active = flag
  try:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
      before[number] = signal.signal(number, handle)
  except ValueError:  # not the main thread
    pass
  try:
    yield flag
  finally:
    _active = None
    for caught, handler in before.items():
      signal.signal(caught, handler)
