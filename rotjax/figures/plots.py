"""The pictures of one run, plots/*.png."""

import json
import pathlib
from typing import Any

import jax
import numpy as np

from rotjax import metrics
from rotjax.figures import drawing, panels
from rotjax.figures.drawing import matplotlib
from rotjax.image import view as view_lib
from rotjax.metrics import extent

BLUE, ORANGE, GREEN = panels.BLUE, panels.ORANGE, panels.GREEN
GREY = panels.GREY


def _figure(width: float, height: float) -> matplotlib.figure.Figure:
  # No pyplot: it keeps global state and may look for a display.
  return matplotlib.figure.Figure((width, height), layout="constrained")


def _tidy(axes):
  axes.spines[["top", "right"]].set_visible(False)


def curves(records: list[dict[str, float]]) -> matplotlib.figure.Figure:
  """Loss and error against steps, from the rows of metrics.jsonl."""
  figure = _figure(9, 3.4)
  left, right = figure.subplots(1, 2)

  def draw(axes, key, label, color, **kwargs):
    rows = [(r["step"], r[key]) for r in records if key in r]
    if rows:
      axes.plot(*zip(*rows), color=color, label=label, **kwargs)

  draw(left, "train/loss", "training", BLUE)
  left.set(xlabel="step", ylabel="training loss")
  draw(right, "train/mae_deg", "training batch", BLUE, alpha=0.6)
  draw(right, "val/mae_deg", "validation", ORANGE, marker="o", markersize=3)
  right.set(xlabel="step", ylabel="mean absolute error (degrees)", yscale="log")
  right.yaxis.set_major_formatter("{x:g}")
  right.yaxis.set_minor_formatter("{x:g}")
  right.tick_params(axis="y", which="minor", labelsize=7)
  right.legend(frameon=False)
  for axes in (left, right):
    _tidy(axes)
  return figure


def predicted_against_true(p: metrics.Predictions) -> matplotlib.figure.Figure:
  """Every prediction over its true angle; others on its edge."""
  figure = _figure(4.6, 4.6)
  axes = figure.subplots()
  arc = extent.arc_deg(p.angles)
  low, high = panels.with_margin(arc, p.angles.period_deg)
  truth = extent.onto(p.true_deg, arc, p.angles.period_deg).ravel()
  predicted = extent.onto(p.predicted_deg, arc, p.angles.period_deg).ravel()
  off = (predicted < low) | (predicted > high)
  size = min(2.0, 4000 / truth.size + 0.4)
  axes.plot([low, high], [low, high], color=GREY, linewidth=0.8, zorder=0)
  axes.scatter(
    truth[~off],
    predicted[~off],
    s=size,
    color=BLUE,
    linewidths=0,
    rasterized=True,
  )
  words = "predicted angle (degrees)"
  if off.any():
    axes.scatter(
      truth[off],
      np.clip(predicted[off], low, high),
      s=max(4 * size, 5),
      color=ORANGE,
      linewidths=0,
      clip_on=False,
      rasterized=True,
    )
    words += f"; {off.mean():.1%} lie beyond the axis"
  axes.set(
    xlabel="true angle (degrees, counter-clockwise)",
    ylabel=words,
    xlim=(low, high),
    ylim=(low, high),
    xticks=panels.ticks(arc, 8),
    yticks=panels.ticks(arc, 8),
    aspect="equal",
  )
  axes.tick_params(axis="x", labelrotation=45)
  _tidy(axes)
  return figure


def error_by_angle(p: metrics.Predictions) -> matplotlib.figure.Figure:
  """Error against the true angle; dips at multiples of 90 betray a leak."""
  figure = _figure(6.4, 3.2)
  axes = figure.subplots()
  panels.draw_by_angle(axes, p, 8, marker="o", markersize=3)
  axes.set(
    xlabel="true angle (degrees)",
    ylabel="absolute error (degrees)",
    ylim=(0, None),
  )
  axes.legend(frameon=False)
  _tidy(axes)
  return figure


def donut(p: metrics.Predictions) -> matplotlib.figure.Figure:
  """Where the predictions lie on the circle, beside the true angles.

  On a narrow range two histograms over it, for a circle would show one clump.
  """
  if extent.is_narrow(p.angles):
    figure = _figure(6.4, 3.2)
    strip = figure.subplots()
    panels.draw_strip(strip, p)
    strip.legend(frameon=False, fontsize=8)
    return figure
  figure = matplotlib.figure.Figure((4.6, 4.6))
  axes = figure.add_axes((0, 0, 1, 0.96), frameon=False)
  panels.draw_donut(axes, p, size=10)
  figure.suptitle("predicted (outside), true (inside)", fontsize=9)
  return figure


def reliability(p: metrics.Predictions) -> matplotlib.figure.Figure | None:
  """Share of truths inside the regions against what these claim to hold."""
  figure = _figure(4.6, 4.2)
  axes = figure.subplots()
  if not panels.draw_reliability(axes, p):
    return None
  axes.set(
    xlabel="mass of the region, by the density", ylabel="share of truths inside"
  )
  axes.legend(frameon=False, loc="lower right")
  _tidy(axes)
  return figure


def gallery(
  experiment: Any, p: metrics.Predictions, columns: int = 8
) -> matplotlib.figure.Figure:
  """The worst and the best views; arrows point where each "up" went."""
  per_image = p.error_deg.argmax(axis=1)
  worst_error = p.error_deg.max(axis=1)
  worst = np.argsort(-worst_error)[:columns]
  best = np.argsort(p.error_deg.min(axis=1))[:columns]
  rows = [
    [(n, per_image[n]) for n in worst],
    [(n, p.error_deg[n].argmin()) for n in best],
  ]
  test = experiment.dataset.load("test")
  render = jax.jit(
    lambda image, angle_deg: experiment.view.render(
      image, view_lib.Draw(angle_deg)
    )
  )
  figure = _figure(1.25 * columns, 3.5)
  grid = figure.subplots(2, columns, squeeze=False)
  for axes in grid.ravel():
    axes.set_axis_off()
  for words, row, line in zip(("worst", "best"), rows, grid):
    for axes, (n, a) in zip(line, row):
      true_deg, predicted_deg = p.true_deg[n, a], p.predicted_deg[n, a]
      image = experiment.view.finer(test.__getitems__([n])["image"])[0]
      known = 0 if test.angle_deg is None else test.angle_deg[n]
      picture = np.asarray(render(image, np.float32(true_deg - known)))
      _picture_with_arrows(
        axes, picture, true_deg, predicted_deg, experiment.view
      )
      axes.set_title(
        f"{words if axes is line[0] else ''} {p.error_deg[n, a]:.1f}°",
        fontsize=8,
      )
  figure.supxlabel(
    "where up went: true (green), predicted (orange)", fontsize=8
  )
  return figure


def _picture_with_arrows(axes, picture, true_deg, predicted_deg, view):
  top = 1 if view.pixel_range == "unit" else 255
  axes.imshow(np.clip(picture / top, 0, 1), cmap="gray", vmin=0, vmax=1)
  middle, length = (view.size - 1) / 2, 0.42 * view.size
  for angle, color in ((true_deg, GREEN), (predicted_deg, ORANGE)):
    # Up on the screen, turned counter-clockwise; y points down.
    dx, dy = -np.sin(np.deg2rad(angle)), -np.cos(np.deg2rad(angle))
    axes.annotate(
      "",
      (middle + length * dx, middle + length * dy),
      (middle, middle),
      arrowprops={"arrowstyle": "->", "color": color, "linewidth": 1.5},
    )


def write_all(
  folder: pathlib.Path, experiment: Any, p: metrics.Predictions
) -> dict[str, Exception]:
  """Writes plots/*.png of a run.

  Args:
    folder: the run folder; with its metrics.jsonl also the curves.
    experiment: of the run.
    p: predictions on the test set.

  Returns:
    Name -> why, of the plots that could not be drawn: they are pictures of
    results, and no reason to lose these.
  """

  def learning_curves():
    records = folder / "metrics.jsonl"
    if not records.exists():
      return None
    lines = records.read_text(encoding="utf-8").splitlines()
    return curves([json.loads(line) for line in lines])

  drawn = {
    "predicted_against_true": lambda: predicted_against_true(p),
    "error_by_angle": lambda: error_by_angle(p),
    "donut": lambda: donut(p),
    "reliability": lambda: reliability(p),
    "gallery": lambda: gallery(experiment, p),
    "curves": learning_curves,
  }
  failed = {}
  (folder / "plots").mkdir(exist_ok=True)
  for name, draw in drawn.items():
    file = folder / "plots" / f"{name}.png"
    try:
      figure = draw()
      if figure is not None:
        drawing.save(figure, file)
    except Exception as error:
      failed[file.name] = error
      # One of an earlier evaluation would be taken for this one's.
      file.unlink(missing_ok=True)
  return failed
