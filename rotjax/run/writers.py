"""Where scalars go: metrics.jsonl, TensorBoard, the progress line."""

from collections.abc import Mapping
import contextlib
import json
import pathlib
import sys
import time
from typing import Protocol

from tensorboardX import event_file_writer
from tensorboardX.proto import event_pb2, summary_pb2
import tqdm

from rotjax import files


class Writer(Protocol):
  """A destination of scalars."""

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """Records the scalars of one step."""

  def close(self) -> None:
    """Flushes; nothing is written afterwards."""


class Jsonl:
  """One JSON object a line: {"step": 100, "train/loss": ...}."""

  def __init__(self, path: pathlib.Path, first_step: int):
    # A resumed run writes the steps after its checkpoint again.
    kept = []
    if path.exists():
      for line in path.read_text("utf-8").splitlines():
        try:
          if json.loads(line)["step"] <= first_step:
            kept.append(line + "\n")
        except (ValueError, KeyError):
          pass  # a line that the kill cut short
    # A kill or a full disk leaves all of the old rows or all that are kept.
    files.write(path, "".join(kept))
    self._file = path.open("a", buffering=1, encoding="utf-8")

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    self._file.write(json.dumps({"step": step, **scalars}) + "\n")

  def close(self) -> None:
    self._file.close()


class TensorBoard:
  """TensorBoard events, without TensorFlow.

  Not by tensorboardX's SummaryWriter, whose thread dies of a full disk without
  a word while its queue makes the run wait for ever.
  """

  def __init__(self, folder: pathlib.Path, first_step: int):
    folder.mkdir(parents=True, exist_ok=True)
    self._writer = event_file_writer.EventsWriter(
      str(folder / "events"), f".{first_step}"
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


class Progress:
  """A bar on a terminal; a line for each validation elsewhere.

  A run goes on without a word where its terminal has gone or the disk behind
  stderr is full.
  """

  def __init__(self, first_step: int, num_steps: int, label: str):
    self._terminal = sys.stderr.isatty()
    self._label, self._num_steps = label, num_steps
    self._bar = tqdm.tqdm(
      total=num_steps,
      initial=first_step,
      desc=label,
      unit="step",
      disable=not self._terminal,
      dynamic_ncols=True,
      leave=False,
    )
    self._latest: dict[str, str] = {}

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    names = {
      "train/loss": ("loss", "{:.3f}"),
      "train/mae_deg": ("error", "{:.1f}°"),
      "val/mae_deg": ("val", "{:.2f}°"),
      "time/images_per_second": ("images/s", "{:,.0f}"),
      "time/waiting_for_data": ("waiting", "{:.0%}"),
    }
    for key, (name, form) in names.items():
      if key in scalars:
        self._latest[name] = form.format(scalars[key])
    with contextlib.suppress(OSError):
      self._show(step, "val/mae_deg" in scalars)

  def _show(self, step: int, validated: bool) -> None:
    self._bar.set_postfix(self._latest, refresh=False)
    self._bar.update(step - self._bar.n)
    if not self._terminal and validated:
      scalars = "  ".join(f"{k} {v}" for k, v in self._latest.items())
      print(
        f"{self._label}: step {step}/{self._num_steps}  {scalars}",
        file=sys.stderr,
        flush=True,
      )

  def close(self) -> None:
    with contextlib.suppress(OSError):
      self._bar.close()
