"""The figures of a sweep: one for all arms, and a small one for each.

A small figure for each arm, on axes that all share, stays readable where
fifteen colours in one would not.
"""

from collections.abc import Callable, Mapping, Sequence
import math
from typing import Any

import numpy as np

from rotjax import metrics
from rotjax.figures import panels, plots, svg
from rotjax.figures.drawing import matplotlib
from rotjax.metrics import across_seeds, extent

Figures = dict[str, matplotlib.figure.Figure]
_SIZE = 9  # of the text, points: stays readable in a narrow window


def intervals(
  estimates: Mapping[str, across_seeds.Estimate],
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
  # What is not finite cannot stand among the others: last, and in words.
  names = sorted(
    estimates, key=lambda name: _or(estimates[name].mean, math.inf)
  )
  rows = [*names, *without]
  figure = matplotlib.figure.Figure(
    (8.4, 0.9 + 0.27 * len(rows)), layout="constrained"
  )
  axes = figure.subplots()
  axes.spines[["top", "right", "left"]].set_visible(False)
  ends = [
    v
    for e in estimates.values()
    for v in (_or(e.low, e.mean), _or(e.high, e.mean))
    if v > 0
  ]
  if ends and max(ends) > 5 * min(ends):
    axes.set_xscale("log")
    svg.plain_log(axes.xaxis)
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
  short = [panels.shortened(name, 40) for name in rows]
  axes.set_yticks(range(len(rows)), short)
  axes.tick_params(axis="y", length=0)
  axes.tick_params(labelsize=_SIZE)
  axes.set_ylim(len(rows) - 0.4, -0.6)
  axes.set_xlabel(_words(axes, chance, words), size=_SIZE)
  return figure


def _or(value: float | None, instead: float) -> float:
  """A number, or another where there is none."""
  return value if value is not None and math.isfinite(value) else instead


def _interval(axes, y, estimate, values, beside):
  e = estimate
  text = f"{e.mean:.2f}" if math.isfinite(e.mean) else "not finite"
  if across_seeds.ends(e):
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
  if chance is None or not math.isfinite(chance):
    return f"{words}; the arms differ in their chance level"
  low, high = axes.get_xlim()
  if low <= chance <= high * 1.2:
    axes.axvline(chance, color=plots.GREY, linewidth=1, linestyle=":")
    return f"{words}; dotted: chance, {chance:g}"
  where = "right" if chance > high else "left"
  return f"{words}; chance, {chance:g}, lies to the {where}"


def learning_curves(
  records: Mapping[str, svg.Records], chance: float | None
) -> Figures:
  """Validation error against steps, a band from least to greatest seed."""
  bands = {}
  for name, by_seed in records.items():
    band = svg.series(by_seed, "val/mae_deg")
    if band is not None:
      bands[name] = band
  shared = svg.limits([a for band in bands.values() for a in band[1:]])
  return {
    name: svg.curve(band, _others(name, bands), chance, shared)
    for name, band in bands.items()
  }


def donuts(predictions: Mapping[str, metrics.Predictions]) -> Figures:
  """Where the predictions of each arm lie on the circle."""
  return {name: svg.donut(p) for name, p in predictions.items()}


def by_angle(predictions: Mapping[str, metrics.Predictions]) -> Figures:
  """Each arm's error against the true angle."""
  curves = [panels.by_angle(p) for p in predictions.values()]
  shared = svg.limits([np.concatenate(f[1:]) for f in curves])
  return {name: svg.by_angle(p, shared) for name, p in predictions.items()}


def accuracy(
  predictions: Mapping[str, Sequence[metrics.Predictions]],
) -> Figures:
  """Share of the views within an error, a line for each seed."""
  arcs = [
    extent.arc_deg(p.angles) for seeds in predictions.values() for p in seeds
  ]
  width = min((high - low for low, high in arcs), default=360.0)
  widest = max((high - low for low, high in arcs), default=360.0) / 2
  low = 0.2 * min(extent.within_deg(width))
  return {
    name: svg.accuracy(seeds, low, widest)
    for name, seeds in predictions.items()
  }


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
    svg.draw_predictions(a, p)
    a.set_title(name, size=_SIZE, y=0.92, pad=0)
  return figure


def reliability(predictions: Mapping[str, metrics.Predictions]) -> Figures:
  """Coverage of the densest regions, of each arm that has scores."""
  return _known(svg.reliability, predictions)


def risk_coverage(
  predictions: Mapping[str, Sequence[metrics.Predictions]],
) -> Figures:
  """Error of the surest views, from each arm's seeds; arms without scores are
  left out."""
  curves = _known(svg.risk, predictions)
  # The surest few of an arm are noise: they may leave the axis.
  shared = svg.limits([error[2:] for _, error in curves.values()])
  return {
    name: svg.risk_coverage(curve, _others(name, curves), shared)
    for name, curve in curves.items()
  }


def _known(function: Callable, items: Mapping[str, Any]) -> dict[str, Any]:
  results = {name: function(p) for name, p in items.items()}
  return {name: value for name, value in results.items() if value is not None}


def _others(name, items):
  return [item for other, item in items.items() if other != name]
