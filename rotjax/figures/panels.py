"""Parts of figures that a run's plots and the report have in common.

Axes follow the angles that were asked about, see `metrics.extent`.
"""

from typing import Any

import numpy as np

from rotjax import metrics
from rotjax.metrics import angular, discrete, extent

# Tallest bars of a donut: outside 8 times as many as even, or more; inside
# such that they do not reach the outer ring.
_TALLEST, _TALLEST_TRUE = 1.0, 0.45

# Colour-blind safe (Okabe & Ito).
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#888888"


def with_margin(
  arc: tuple[float, float], period_deg: float
) -> tuple[float, float]:
  """An axis for an arc: the circle as it is, a part of it with some room."""
  low, high = arc
  room = min((high - low) / 12, (period_deg - (high - low)) / 2)
  return low - room, high + room


def ticks(arc: tuple[float, float], most: int) -> np.ndarray:
  """At most so many steps between tick labels that people read as angles."""
  low, high = arc
  width = high - low
  # Circles in equal parts (of 180, 120, ... degrees too), arcs in round steps.
  steps = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 45, 60, 90)
  parts = [s for s in steps if width / s <= most + 1e-9]
  if not parts:
    return np.linspace(low, high, most + 1)
  step = parts[0]
  first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
  return step * np.arange(first, last + 1)


def by_angle(
  p: metrics.Predictions,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """`angular.by_angle` in bins that fit the trained range, empty ones left out.

  Returns:
    Centres within the arc of the angles, ascending; mean and median error of
    each. All in degrees.
  """
  arc, period = extent.arc_deg(p.angles), p.angles.period_deg
  cells = 36
  if arc[1] - arc[0] < period:
    # The next round step; an even number of them is a circle.
    steps = (0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0)
    wide = (arc[1] - arc[0]) / 36
    step = next((s for s in steps if s >= wide - 1e-9), steps[-1])
    cells = 2 * max(round(period / step / 2), 1)
  center, mae, median = angular.by_angle(p, cells)
  filled = np.isfinite(mae)
  center = extent.onto(center[filled], arc, period)
  order = np.argsort(center)
  return center[order], mae[filled][order], median[filled][order]


def _ring(axes, phase, bottom, tallest, color):
  """A histogram around a circle, up being zero, counter-clockwise."""
  # Multiples of 8, and centred: a clump at a multiple of 45° is one bar.
  cells = 8 * int(np.clip(phase.size // 160, 3, 15))
  half = np.pi / cells
  edges = np.linspace(-half, 2 * np.pi - half, cells + 1)
  count, _ = np.histogram((phase + half) % (2 * np.pi) - half, edges)
  # The square root makes the area, not the radius, show the count.
  height = np.sqrt(count * (cells / phase.size)) * 0.35
  outer = bottom + np.repeat(np.minimum(height, tallest), 2)
  turn = np.repeat(edges, 2)[1:-1]
  inner = np.full(cells + 1, bottom)
  radius = np.concatenate([outer, inner])
  turn = np.concatenate([turn, edges[::-1]])
  axes.fill(
    -radius * np.sin(turn), radius * np.cos(turn), color=color, linewidth=0
  )


def draw_donut(axes: Any, p: metrics.Predictions, size: float = 6.5) -> None:
  """Draws the predictions around a circle, outside the true angles.

  Args:
    axes: of a square figure, made bare.
    p: the predictions.
    size: of the labels, points.
  """
  # On a shorter period, that period fills the circle.
  turn = 2 * np.pi / p.angles.period_deg
  _ring(axes, np.ravel(p.predicted_deg) * turn, 1.0, _TALLEST, BLUE)
  _ring(axes, np.ravel(p.true_deg) * turn, 0.5, _TALLEST_TRUE, GREY)
  for k in range(8):
    x, y = -np.sin(k * np.pi / 4), np.cos(k * np.pi / 4)
    axes.plot([0.97 * x, 0.91 * x], [0.97 * y, 0.91 * y], "k", linewidth=0.5)
    if k % 2 == 0:
      # From -period/2 on, as the predictions are.
      words = f"{(k if k < 6 else -2) * p.angles.period_deg / 8:g}°"
      axes.text(0.29 * x, 0.29 * y, words, ha="center", va="center", size=size)
  reach = 1.03 + _TALLEST
  axes.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach))
  axes.set(xticks=[], yticks=[])


def draw_strip(axes: Any, p: metrics.Predictions) -> None:
  """Draws predictions above, true angles below a line, the trained range."""
  arc, period = extent.arc_deg(p.angles), p.angles.period_deg
  low, high = with_margin(arc, period)
  # 12, 24 or 36 bars on the arc, and its margins' own.
  edges = np.linspace(
    low, high, 14 * int(np.clip(p.true_deg.size // 200, 1, 3)) + 1
  )
  for angle_deg, way, color, label in (
    (p.predicted_deg, 1, BLUE, "predicted"),
    (p.true_deg, -1, GREY, "true"),
  ):
    at = np.clip(extent.onto(angle_deg, arc, period), low, high).ravel()
    count, _ = np.histogram(at, edges)
    share = way * count / max(at.size, 1)
    axes.stairs(share, edges, fill=True, color=color, label=label)
  axes.set_axis_on()
  axes.axhline(0, color="black", linewidth=0.6)
  axes.set(
    xlim=(low, high),
    xticks=ticks(arc, 8 if axes.get_window_extent().width > 250 else 4),
    yticks=(),
    xlabel="angle (degrees); what lies beyond is at the ends",
  )
  axes.spines[["top", "right", "left"]].set_visible(False)


def draw_by_angle(
  axes: Any,
  p: metrics.Predictions,
  most_ticks: int,
  least_deg: float = -np.inf,
  **line: Any,
) -> None:
  """Draws mean and median error against the true angle, none below least_deg.

  On a logarithmic axis a median of zero lies so on its lower end.
  """
  center, mae, median = by_angle(p)
  # Between a few possible angles there is nothing to join.
  if discrete.values(p.angles) is not None:
    line |= {"linestyle": "", "marker": "o"}
  axes.plot(center, mae, color=BLUE, label="mean", **line)
  median = np.maximum(median, least_deg)
  axes.plot(center, median, color=ORANGE, label="median", **line)
  arc = extent.arc_deg(p.angles)
  xlim = with_margin(arc, p.angles.period_deg)
  axes.set(xlim=xlim, xticks=ticks(arc, most_ticks))


def draw_reliability(axes: Any, p: metrics.Predictions) -> bool:
  """Draws reliability into axes; False where no score is known."""
  ranks = {
    name: np.sort(p.scores[name].ravel())
    for name in ("hpd_rank", "recalibrated_hpd_rank")
    if name in p.scores
  }
  level = np.linspace(0, 1, 101)
  axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
  for name, rank in ranks.items():
    held = np.searchsorted(rank, level, side="right") / rank.size
    raw = name == "hpd_rank"
    words = "as trained" if raw else "recalibrated"
    color = ORANGE if raw else BLUE
    axes.plot(level, held, color=color, linewidth=1.3, label=words)
  axes.set(xlim=(0, 1), ylim=(0, 1), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
  return bool(ranks)


def shortened(name: str, most: int = 60) -> str:
  """The two ends of a name too long for a page; its middle says least."""
  half = most // 2
  return name if len(name) <= most else f"{name[:half]}…{name[1 - half :]}"
