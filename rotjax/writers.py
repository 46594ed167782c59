"""Where scalars go: metrics.jsonl, TensorBoard, the progress line."""

from collections.abc import Mapping
import json
import pathlib
import sys
from typing import Protocol

import tensorboardX
import tqdm


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
      for line in path.read_text().splitlines():
        try:
          if json.loads(line)["step"] <= first_step:
            kept.append(line + "\n")
        except (ValueError, KeyError):
          pass  # a line that the kill cut short
    self._file = path.open("w", buffering=1)
    self._file.writelines(kept)

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    self._file.write(json.dumps({"step": step, **scalars}) + "\n")

  def close(self) -> None:
    self._file.close()


class TensorBoard:
  """TensorBoard events, without TensorFlow."""

  def __init__(self, folder: pathlib.Path, first_step: int):
    # purge_step hides what an interrupted run logged past its checkpoint.
    self._writer = tensorboardX.SummaryWriter(
      str(folder), purge_step=first_step + 1 if first_step else None
    )

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    for name, value in scalars.items():
      self._writer.add_scalar(name, value, step)

  def close(self) -> None:
    self._writer.close()


class Progress:
  """A bar on a terminal; a line for each validation elsewhere."""

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
    self._shown: dict[str, str] = {}

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
        self._shown[name] = form.format(scalars[key])
    self._bar.set_postfix(self._shown, refresh=False)
    self._bar.update(step - self._bar.n)
    if not self._terminal and "val/mae_deg" in scalars:
      shown = "  ".join(f"{k} {v}" for k, v in self._shown.items())
      print(
        f"{self._label}: step {step}/{self._num_steps}  {shown}",
        file=sys.stderr,
        flush=True,
      )

  def close(self) -> None:
    self._bar.close()
