"""A profile of some of a run's steps, for TensorBoard, Perfetto or XProf."""

import logging
import pathlib
import re
from typing import Any

import jax

from rotjax import errors

_log = logging.getLogger("rotjax")


def span(text: str) -> tuple[int, int] | None:
  """ "START:STOP" -> the steps from START up to STOP; None for "".

  Raises:
    UserError: anything else, or no step between them.
  """
  if not text:
    return None
  # Nine digits, as num_steps: what is longer may not even become an int.
  numbers = re.fullmatch(r"([0-9]{1,9}):([0-9]{1,9})", text)
  first, last = map(int, numbers.groups()) if numbers else (0, 0)
  if first >= last:
    raise errors.UserError(
      f"log.profile = {text!r} is not START:STOP, two steps in that order: for"
      " example --profile 100:120"
    )
  return first, last


class Trace:
  """Starts `jax.profiler` at one step and stops it at another."""

  def __init__(self, text: str, folder: pathlib.Path):
    """Nothing is written yet.

    Args:
      text: see `span`.
      folder: for the trace.
    """
    self._span, self._folder, self._running = span(text), folder, False

  def at(self, step: int, state: Any) -> None:
    """To be called before each call of the program; `state` is waited for."""
    if self._span is None:
      return
    first, last = self._span
    if self._running and step >= last:
      self.close(state)
    elif not self._running and first <= step < last:
      jax.block_until_ready(state)
      jax.profiler.start_trace(str(self._folder))
      self._running = True

  def close(self, state: Any = None) -> None:
    """Ends the trace, if one runs, once `state` is computed."""
    if self._running:
      jax.block_until_ready(state)
      jax.profiler.stop_trace()
      self._span, self._running = None, False
      _log.info("the profile is in %s", self._folder)
