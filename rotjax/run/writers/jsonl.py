"""metrics.jsonl: what every run has, and all else is made from."""

from collections.abc import Mapping
import json
import pathlib

from rotjax import files


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
