"""matplotlib, imported so that a session's backend cannot stop a figure.

Our figures become files: `Figure.savefig` takes the canvas of the file's
ending and needs no display. But a MPLBACKEND that does not exist here, as a
notebook's in a command that it starts, already ends matplotlib's import.
Whatever draws says `from rotjax.figures.drawing import matplotlib`, and never
pyplot.
"""

from collections.abc import Iterator
import contextlib
import os
import pathlib
import sys
from typing import Any
import warnings


@contextlib.contextmanager
def _any_backend() -> Iterator[None]:
  """matplotlib is imported under this; a backend that exists is kept."""
  first = "matplotlib" not in sys.modules
  backend = os.environ.pop("MPLBACKEND", None)
  try:
    yield
  finally:
    if backend is not None:
      os.environ["MPLBACKEND"] = backend
  if first and backend:
    with contextlib.suppress(ValueError):
      matplotlib.rcParams["backend"] = backend


with _any_backend():
  import matplotlib
  import matplotlib.axes
  import matplotlib.figure
  import matplotlib.text
  import matplotlib.ticker
  import matplotlib.transforms


def save(figure: "matplotlib.figure.Figure", file: pathlib.Path) -> None:
  """Writes a figure as a picture file; a name is never set as a formula.

  Args:
    figure: to be drawn.
    file: a new one; its ending names the format.
  """
  # Tick labels are made only now, and ask this setting then.
  settings: Any = {"text.parse_math": False}
  with matplotlib.rc_context(settings), warnings.catch_warnings():
    # Names in a script that no font here has are boxes, not an error.
    warnings.filterwarnings("ignore", "Glyph .* missing from")
    for text in figure.findobj(matplotlib.text.Text):
      text.set_parse_math(False)
    figure.savefig(file, dpi=120)


__all__ = ["matplotlib", "save"]
