"""Weights & Biases, the extra `wandb`: in the run folder's wandb/ first.

Its own variables decide the rest, WANDB_PROJECT and WANDB_MODE=offline among
them; `wandb sync` sends later what was written offline.
"""

from collections.abc import Mapping
import os
import pathlib
import secrets
from typing import Any


class Writer:
  """One run, which goes on under its identity when the training does."""

  def __init__(self, folder: pathlib.Path, first_step: int, config: Any):
    # Takes a second, and only where it is asked for.
    import wandb

    known = folder / "wandb" / "id"
    if not first_step or not known.exists():
      known.parent.mkdir(parents=True, exist_ok=True)
      known.write_text(secrets.token_hex(4), "utf-8")
    self._run = wandb.init(
      project=os.environ.get("WANDB_PROJECT", "rotjax"),
      name=f"{config.name or folder.name}-{config.seed}",
      id=known.read_text("utf-8"),
      resume="allow",
      dir=folder,
      config=config.to_dict(),
      settings=wandb.Settings(silent=True, console="off"),
    )

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    self._run.log(dict(scalars), step=step)

  def close(self) -> None:
    self._run.finish()
