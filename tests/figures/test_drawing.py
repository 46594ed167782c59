"""Figures: no session's backend stops one, and no name is a formula."""

import os
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest

from rotjax.figures import drawing
from rotjax.figures.drawing import matplotlib

_DRAW = """
import pathlib, sys
from rotjax.figures import plots, svg
from tests import run_folders
p = run_folders.predictions()
folder = pathlib.Path(sys.argv[1])
failed = plots.write_all(folder, None, p)
assert list(failed) == ["gallery.png"], failed  # no experiment: no pictures
with svg.style():
  assert "<svg" in svg.svg(svg.donut(p), "a", "b")
from rotjax.figures.drawing import matplotlib
print(matplotlib.rcParams._get("backend"))
"""


def _draw(folder, backend):
  environment = {**os.environ, "MPLBACKEND": backend}
  environment.pop("DISPLAY", None)
  done = subprocess.run(
    [sys.executable, "-W", "error", "-c", _DRAW, str(folder)],
    env=environment,
    capture_output=True,
    text=True,
    timeout=120,
  )
  assert done.returncode == 0, done.stderr
  return done.stdout.strip()


@pytest.mark.parametrize(
  "backend,kept",
  [
    # Of a notebook, in a command that it starts: not installed here.
    ("module://no_such_inline.backend_inline", None),
    pytest.param("nonsense", None, marks=pytest.mark.slow),
    # Needs a display.
    ("TkAgg", "tkagg"),
    pytest.param("svg", "svg", marks=pytest.mark.slow),
  ],
)
def test_a_backend_is_kept_where_it_exists_and_stops_no_figure(
  tmp_path, backend, kept
):
  shown = _draw(tmp_path, backend)
  assert kept is None or shown.lower() == kept
  written = sorted(f.name for f in (tmp_path / "plots").iterdir())
  assert written == [
    *("donut.png", "error_by_angle.png"),
    *("predicted_against_true.png", "reliability.png"),
  ]


@pytest.mark.parametrize(
  "name",
  ["a$b$c", r"$\frac$", r"\unknown{$", "$_{", "\N{CJK UNIFIED IDEOGRAPH-4E2D}"],
)
def test_names_are_set_as_they_stand(tmp_path, name):
  def picture(places):
    figure = matplotlib.figure.Figure((3, 2))
    axes = figure.subplots()
    if "title" in places:
      axes.set_title(name)
      axes.set_xlabel(name)
      axes.legend([axes.plot([0, 1])[0]], [name])
    axes.set_yticks([0, 1], [name if "ticks" in places else "", ""])
    file = tmp_path / f"{places}.png"
    drawing.save(figure, file)
    with Image.open(file) as found:
      return np.asarray(found.convert("L"), np.float64)

  # As a formula each would raise; drawn, they leave ink.
  assert (picture("title") != picture("none")).any()
  assert (picture("ticks") != picture("none")).any()
