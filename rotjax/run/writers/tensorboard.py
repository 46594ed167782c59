"""TensorBoard's events, in the run folder's tensorboard/."""

from collections.abc import Mapping
import pathlib
import time
from typing import Any

from tensorboardX import event_file_writer
from tensorboardX.proto import event_pb2, summary_pb2


class Writer:
  """TensorBoard events, without TensorFlow.

  Not by tensorboardX's SummaryWriter, whose thread dies of a full disk without
  a word while its queue makes the run wait for ever.
  """

  def __init__(self, folder: pathlib.Path, first_step: int, config: Any):
    own = folder / "tensorboard"
    own.mkdir(parents=True, exist_ok=True)
    self._writer = event_file_writer.EventsWriter(
      str(own / "events"), f".{first_step}"
    )
    self._flushed = time.monotonic()
    if first_step:
      # Hides what an interrupted run logged past its checkpoint.
      start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
      self._write(first_step + 1, session_log=start)

  def _write(self, step, **what):
    event = event_pb2.Event(step=step, wall_time=time.time(), **what)
    self._writer.write_event(event)
    if time.monotonic() - self._flushed > 30:  # it waits for the disk
      self._writer.flush()
      self._flushed = time.monotonic()

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    values = [
      summary_pb2.Summary.Value(tag=name, simple_value=value)
      for name, value in scalars.items()
    ]
    self._write(step, summary=summary_pb2.Summary(value=values))

  def close(self) -> None:
    self._writer.close()
