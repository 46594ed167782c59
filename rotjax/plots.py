"""The pictures of one run, plots/*.png."""

import json
import pathlib
from typing import Any

import jax
import matplotlib.figure
import numpy as np

from rotjax import metrics
from rotjax import view as view_lib
from rotjax.metrics import angular

# Colour-blind safe (Okabe & Ito).
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#888888"


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
  """Every prediction over its true angle."""
  figure = _figure(4.6, 4.6)
  axes = figure.subplots()
  half = p.angles.period_deg / 2
  truth = (p.angle_deg + half) % p.angles.period_deg - half
  size = min(2.0, 4000 / truth.size + 0.4)
  axes.plot([-half, half], [-half, half], color=GREY, linewidth=0.8, zorder=0)
  axes.scatter(
    truth, p.decoded_deg, s=size, color=BLUE, linewidths=0, rasterized=True
  )
  ticks = np.linspace(-half, half, 9)
  axes.set(
    xlabel="true angle (degrees, counter-clockwise)",
    ylabel="predicted angle (degrees)",
    xlim=(-half, half),
    ylim=(-half, half),
    xticks=ticks,
    yticks=ticks,
    aspect="equal",
  )
  axes.tick_params(axis="x", labelrotation=45)
  _tidy(axes)
  return figure


def error_by_angle(p: metrics.Predictions) -> matplotlib.figure.Figure:
  """Error against the true angle; dips at multiples of 90 betray a leak."""
  figure = _figure(6.4, 3.2)
  axes = figure.subplots()
  center, mae, median = angular.by_angle(p)
  axes.plot(center, mae, color=BLUE, marker="o", markersize=3, label="mean")
  axes.plot(
    center, median, color=ORANGE, marker="o", markersize=3, label="median"
  )
  half = p.angles.period_deg / 2
  axes.set(
    xlabel="true angle (degrees)",
    ylabel="absolute error (degrees)",
    xticks=np.linspace(-half, half, 9),
    ylim=(0, None),
  )
  axes.legend(frameon=False)
  _tidy(axes)
  return figure


def donut(p: metrics.Predictions) -> matplotlib.figure.Figure:
  """Where the predictions lie on the circle, beside the true angles."""
  figure = _figure(4.6, 4.6)
  axes: Any = figure.add_subplot(projection="polar")
  axes.set_theta_zero_location("N")  # 0 degrees is up, as on the screen
  turn = 360 / p.angles.period_deg  # the period fills the circle
  bins = 120
  edges = np.linspace(0, 2 * np.pi, bins + 1)
  even = p.decoded_deg.size / bins

  def ring(angle_deg, bottom, color, label):
    phase = np.deg2rad(angle_deg * turn) % (2 * np.pi)
    count, _ = np.histogram(phase, edges)
    # The square root makes the area, not the radius, show the count.
    height = np.sqrt(count / even) * 0.35
    axes.bar(
      edges[:-1],
      height,
      width=edges[1],
      bottom=bottom,
      align="edge",
      color=color,
      label=label,
    )

  ring(p.decoded_deg, 1.0, BLUE, "predicted")
  ring(p.angle_deg, 0.5, GREY, "true")
  axes.set_yticks([])
  labels = [f"{k * p.angles.period_deg / 8:g}°" for k in range(8)]
  axes.set_xticks(np.arange(8) * np.pi / 4, labels)
  axes.spines["polar"].set_visible(False)
  axes.grid(False)
  axes.legend(frameon=False, loc="center", fontsize=8)
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
      truth, answer = p.angle_deg[n, a], p.decoded_deg[n, a]
      image = test.__getitems__([n])["image"][0]
      known = 0 if test.angle_deg is None else test.angle_deg[n]
      picture = np.asarray(render(image, np.float32(truth - known)))
      _picture_with_arrows(axes, picture, truth, answer, experiment.view)
      axes.set_title(
        f"{words if axes is line[0] else ''} {p.error_deg[n, a]:.1f}°",
        fontsize=8,
      )
  figure.supxlabel(
    "where up went: true (green), predicted (orange)", fontsize=8
  )
  return figure


def _picture_with_arrows(axes, picture, truth_deg, answer_deg, view):
  top = 1 if view.pixel_range == "unit" else 255
  axes.imshow(np.clip(picture / top, 0, 1), cmap="gray", vmin=0, vmax=1)
  middle, length = (view.size - 1) / 2, 0.42 * view.size
  for angle, color in ((truth_deg, GREEN), (answer_deg, ORANGE)):
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
) -> None:
  """Writes plots/*.png of a run.

  Args:
    folder: the run folder; with its metrics.jsonl also the curves.
    experiment: of the run.
    p: predictions on the test set.
  """
  figures = {
    "predicted_against_true": predicted_against_true(p),
    "error_by_angle": error_by_angle(p),
    "donut": donut(p),
    "gallery": gallery(experiment, p),
  }
  records = folder / "metrics.jsonl"
  if records.exists():
    lines = records.read_text("utf-8").splitlines()
    figures["curves"] = curves([json.loads(line) for line in lines])
  (folder / "plots").mkdir(exist_ok=True)
  for name, figure in figures.items():
    figure.savefig(folder / "plots" / f"{name}.png", dpi=120)
