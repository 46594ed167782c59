"""The figures of a sweep: one for all arms, and a small one for each.

A small figure for each arm, on axes that all share, stays readable where
fifteen colours in one would not.
"""

from collections.abc import Callable, Mapping, Sequence
import math
from typing import Any

import matplotlib.figure
import matplotlib.transforms
import numpy as np

from rotjax import metrics, plots
from rotjax.ablation import stats
from rotjax.metrics import angular
from rotjax.reporting import figures

Figures = dict[str, matplotlib.figure.Figure]
_SIZE = 9  # of the text, points: stays readable in a narrow window


def intervals(
  estimates: Mapping[str, stats.Estimate],
  values: Mapping[str, list[float]],
  without: Mapping[str, str],
  chance: float | None,
  words: str = "mean absolute error on the test set (°)",
) -> matplotlib.figure.Figure:
  """Every arm's mean and 95 % interval, best first.

  Args:
    estimates: of the arms that have results.
    values: of each seed of these arms, as small rings.
    without: arm -> why it has none.
    chance: the chance level; None where arms differ in it.
    words: what is shown.
  """
  names = sorted(estimates, key=lambda name: estimates[name].mean)
  rows = [*names, *without]
  figure = matplotlib.figure.Figure(
    (8.4, 0.9 + 0.27 * len(rows)), layout="constrained"
  )
  axes = figure.subplots()
  axes.spines[["top", "right", "left"]].set_visible(False)
  ends = [
    v
    for n in names
    for v in (estimates[n].low, estimates[n].high)
    if v is not None and v > 0
  ]
  if ends and max(ends) > 5 * min(ends):
    axes.set_xscale("log")
    figures.plain_log(axes.xaxis)
  # To the right of the axes, whatever the axis shows.
  beside = matplotlib.transforms.blended_transform_factory(
    axes.transAxes, axes.transData
  )
  for y, name in enumerate(rows):
    if name in without:
      why = without[name][:90]
      text = axes.text(0.01, y, why, transform=beside, va="center", size=_SIZE)
      text.set(color=plots.ORANGE, style="italic")
      continue
    _interval(axes, y, estimates[name], values[name], beside)
  # A name must leave room for what it names.
  short = [name if len(name) < 40 else name[:38] + "…" for name in rows]
  axes.set_yticks(range(len(rows)), short)
  axes.tick_params(axis="y", length=0)
  axes.tick_params(labelsize=_SIZE)
  axes.set_ylim(len(rows) - 0.4, -0.6)
  axes.set_xlabel(_words(axes, chance, words), size=_SIZE)
  return figure


def _interval(axes, y, estimate, values, beside):
  e = estimate
  text = f"{e.mean:.2f}"
  if e.low is not None:
    text += f"  [{e.low:.2f}, {e.high:.2f}]"
    axes.plot([e.low, e.high], [y, y], color=plots.BLUE, linewidth=2.2)
  axes.plot(e.mean, y, "o", color=plots.BLUE, markersize=5)
  if len(values) > 1:
    axes.plot(
      values, [y] * len(values), "o", markersize=3.5, markerfacecolor="none",
      markeredgecolor="black", markeredgewidth=0.6,
    )  # fmt: skip
  axes.text(1.01, y, text, transform=beside, va="center", size=_SIZE)


def _words(axes, chance, words):
  """Draws the chance level where it is near; says where it lies."""
  if chance is None:
    return f"{words}; the arms differ in their chance level"
  low, high = axes.get_xlim()
  if low <= chance <= high * 1.2:
    axes.axvline(chance, color=plots.GREY, linewidth=1, linestyle=":")
    return f"{words}; dotted: chance, {chance:g}"
  where = "right" if chance > high else "left"
  return f"{words}; chance, {chance:g}, lies to the {where}"


def learning_curves(
  records: Mapping[str, figures.Records], chance: float | None
) -> Figures:
  """Validation error against steps, a band from the least to the greatest
  seed."""
  bands = {}
  for name, of_arm in records.items():
    band = figures.series(of_arm, "val/mae_deg")
    if band is not None:
      bands[name] = band
  shared = figures.limits([a for band in bands.values() for a in band[1:]])
  return {
    name: figures.curve(band, _others(name, bands), chance, shared)
    for name, band in bands.items()
  }


def donuts(predictions: Mapping[str, metrics.Predictions]) -> Figures:
  """Where the answers of each arm lie on the circle."""
  return {name: figures.donut(p) for name, p in predictions.items()}


def by_angle(predictions: Mapping[str, metrics.Predictions]) -> Figures:
  """Error against the true angle."""
  found = [angular.by_angle(p) for p in predictions.values()]
  shared = figures.limits([np.stack(f[1:]) for f in found])
  return {name: figures.by_angle(p, shared) for name, p in predictions.items()}


def donut_sheet(
  predictions: Mapping[str, metrics.Predictions],
) -> matplotlib.figure.Figure:
  """`donuts` beside each other in one picture, under the arms' names."""
  columns = min(4, len(predictions))
  rows = math.ceil(len(predictions) / columns)
  figure = matplotlib.figure.Figure(
    (2.1 * columns, 2.3 * rows), layout="constrained"
  )
  axes = figure.subplots(rows, columns, squeeze=False).ravel()
  for a in axes:
    a.set_axis_off()
  for a, (name, p) in zip(axes, predictions.items(), strict=False):
    figures.draw_donut(a, p)
    a.set_title(name, size=_SIZE, y=0.92, pad=0)
  return figure


def reliability(predictions: Mapping[str, metrics.Predictions]) -> Figures:
  """Coverage of the densest regions; arms without scores are left out."""
  return _known(figures.reliability, predictions)


def risk_coverage(
  predictions: Mapping[str, Sequence[metrics.Predictions]],
) -> Figures:
  """Error of the surest views, from each arm's seeds; arms without scores are
  left out."""
  curves = _known(figures.risk, predictions)
  # The surest few of an arm are noise: they may leave the axis.
  shared = figures.limits([error[2:] for _, error in curves.values()])
  return {
    name: figures.risk_coverage(curve, _others(name, curves), shared)
    for name, curve in curves.items()
  }


def _known(function: Callable, items: Mapping[str, Any]) -> dict[str, Any]:
  found = {name: function(p) for name, p in items.items()}
  return {name: value for name, value in found.items() if value is not None}


def _others(name, items):
  return [item for other, item in items.items() if other != name]
