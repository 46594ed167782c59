"""What a person sees of a run while it goes on."""

from collections.abc import Mapping
import contextlib
import sys

import tqdm


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
