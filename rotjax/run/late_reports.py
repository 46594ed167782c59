"""What orbax's event loop still says after a call has failed."""

from collections.abc import Callable
import sys
from typing import Any


class _NoLateReports:
  """An unraisablehook for all but reports to a loop that is closed."""

  def __init__(self, before: Callable[[Any], Any]):
    self._before = before

  def __call__(self, report: Any) -> None:
    if str(report.exc_value) != "Event loop is closed":
      self._before(report)


def ignore() -> None:
  """Silences the reads and writes that a failed call leaves behind.

  Orbax reads or writes all arrays at once on an event loop and closes it at the
  first failure; the others then report to a closed loop, each with a traceback
  on stderr, whenever they end.
  """
  if not isinstance(sys.unraisablehook, _NoLateReports):
    sys.unraisablehook = _NoLateReports(sys.unraisablehook)
