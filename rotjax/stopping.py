"""Being told to stop: signals set a flag, the loop saves and leaves."""

from collections.abc import Iterator
import contextlib
import signal

# sysexits.h EX_TEMPFAIL: "try again later"; the job templates requeue on it.
EXIT_STATUS = 75


class Stopped(Exception):
  """The run was told to stop; what it had is saved and can be resumed."""


class Flag:
  """Set by a signal, polled by the loop."""

  def __init__(self):
    self.signal: signal.Signals | None = None

  def check(self) -> None:
    """Raises Stopped once a signal has come."""
    if self.signal is not None:
      raise Stopped(self.signal.name)


# The flag of the outermost open context.
_active: Flag | None = None


def check() -> None:
  """Raises Stopped once a signal has come in the context that is open, if any.

  For long work that is not handed the flag.
  """
  if _active is not None:
    _active.check()


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
  flag, before = Flag(), {}

  def handle(number, _):
    flag.signal = signal.Signals(number)
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
    for number, handler in before.items():
      signal.signal(number, handler)
