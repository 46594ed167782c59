"""Figures as SVG that stands inside a page, and the small ones of one run.

Text stays text (it can be found and copied, and the file stays small); the
same figure gives the same bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import io
import re
from typing import Any
import warnings

import numpy as np

from rotjax import metrics
from rotjax.figures import panels
from rotjax.figures.drawing import matplotlib
from rotjax.metrics import extent, probabilistic

# Colours of the small figures, for the page's keys.
OWN, OTHER, FAINT = panels.BLUE, panels.ORANGE, "#C8C8C8"
SMALL = (2.9, 2.2)  # inches

# Records of metrics.jsonl, by seed.
Records = Mapping[int, Sequence[Mapping[str, float]]]
# Steps, mean, least and greatest over seeds.
Band = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

_RC: Any = {
  "font.family": "sans-serif",
  "font.sans-serif": ["DejaVu Sans"],
  "font.size": 8,
  "axes.linewidth": 0.6,
  "axes.unicode_minus": False,
  "svg.fonttype": "none",
  # A name with two dollar signs is a name, not a formula.
  "text.parse_math": False,
}


@contextlib.contextmanager
def style() -> Iterator[None]:
  """Figures are made and written under this."""
  with matplotlib.rc_context(_RC):
    yield


def svg(figure: matplotlib.figure.Figure, name: str, words: str) -> str:
  """A figure as an <svg> element.

  Args:
    figure: made under `style`.
    name: different for every figure of a page: keeps their ids apart.
    words: what a screen reader says.
  """
  out = io.StringIO()
  with (
    matplotlib.rc_context({**_RC, "svg.hashsalt": name}),
    warnings.catch_warnings(),
  ):
    # The reader's browser has the letters that our font lacks.
    warnings.filterwarnings("ignore", "Glyph .* missing from")
    figure.savefig(out, format="svg", metadata={"Date": None}, dpi=144)
  text = out.getvalue()
  text = text[text.index("<svg") :]
  text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
  # Inside HTML the namespaces are implied; comments only repeat the text.
  text = re.sub(r' (?:xmlns(?::xlink)?|version)="[^"]*"', "", text, count=3)
  text = re.sub(r"\s*<!--.*?-->", "", text, flags=re.DOTALL)
  used = set(re.findall(r"#([\w-]+)", text))
  # Inside tags only: a name may look like an attribute.
  text = re.sub(
    r'(<\w[^<>]*?) id="([^"]*)"',
    lambda m: m[0] if m[2] in used else m[1],
    text,
  )
  # Matplotlib repeats these defaults on every mark.
  text = text.replace("; stroke-linejoin: miter", "")
  label = words.replace("&", "&amp;").replace('"', "&quot;")
  label = label.replace("<", "&lt;").replace(">", "&gt;")
  return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def _small(square: bool = False):
  """A small figure and its axes; one layout, so that neighbours line up."""
  if square:
    figure = matplotlib.figure.Figure((SMALL[1], SMALL[1]))
    return figure, figure.add_axes((0, 0, 1, 1), frameon=False)
  figure = matplotlib.figure.Figure(SMALL)
  axes = figure.add_axes((0.17, 0.2, 0.79, 0.74))
  axes.spines[["top", "right"]].set_visible(False)
  axes.tick_params(length=2.5, width=0.6)
  return figure, axes


def plain_log(axis: Any) -> None:
  """A logarithmic axis of degrees with numbers that people read."""
  axis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
  axis.set_major_formatter("{x:g}")
  axis.set_minor_formatter(matplotlib.ticker.NullFormatter())


def limits(values: Sequence[np.ndarray]) -> tuple[float, float, bool]:
  """Ends of a shared axis of errors, and whether it is logarithmic."""
  flat = np.concatenate([np.ravel(v) for v in values] or [np.zeros(0)])
  flat = flat[np.isfinite(flat) & (flat > 0)]
  if not flat.size:
    return 0.0, 1.0, False
  low, high = float(flat.min()), float(flat.max())
  if high > 6 * low:
    # A single lucky bin must not squeeze all others.
    low = max(low, float(np.percentile(flat, 1)) * 0.7, high / 1000)
    return low / 1.1, high * 1.15, True
  return 0.0, high * 1.08, False


def _errors_axis(axes, shared):
  low, high, log = shared
  if log:
    axes.set_yscale("log")
    plain_log(axes.yaxis)
  axes.set_ylim(low, high)


def series(records: Records, name: str) -> Band | None:
  """A logged value over seeds, at the steps that all seeds have."""
  by_seed = [
    {r["step"]: r[name] for r in rows if np.isfinite(r.get(name, np.nan))}
    for rows in records.values()
  ]
  if not by_seed:
    return None
  steps = sorted(set.intersection(*map(set, by_seed)))
  if not steps:
    return None
  values = np.array([[logged[step] for step in steps] for logged in by_seed])
  return np.array(steps), values.mean(0), values.min(0), values.max(0)


def curve(
  own: Band,
  others: Sequence[Band],
  chance: float | None,
  shared: tuple[float, float, bool],
) -> matplotlib.figure.Figure:
  """Error on validation against steps, the other arms' faintly behind.

  Args:
    own: what the figure is about.
    others: drawn in grey.
    chance: its level, dotted; None where arms differ in it.
    shared: `limits` of the axis.
  """
  figure, axes = _small()
  for steps, mean, _, _ in others:
    axes.plot(steps, mean, color=FAINT, linewidth=0.6)
  steps, mean, low, high = own
  axes.fill_between(steps, low, high, color=OWN, alpha=0.25, linewidth=0)
  axes.plot(steps, mean, color=OWN, linewidth=1.4, marker="o", markersize=2)
  if chance is not None and chance <= shared[1]:
    axes.axhline(chance, color=panels.GREY, linewidth=0.8, linestyle=":")
  _errors_axis(axes, shared)
  axes.set(xlabel="step", ylabel="MAE, validation (°)", xlim=(0, None))
  axes.xaxis.set_major_locator(
    matplotlib.ticker.MaxNLocator(4, integer=True, steps=(1, 2, 5, 10))
  )
  return figure


def donut(p: metrics.Predictions) -> matplotlib.figure.Figure:
  """The predictions around a circle, outside the true angles, or on a strip."""
  if extent.is_narrow(p.angles):
    figure, axes = _small()
    axes.set_position((0.04, 0.2, 0.92, 0.76))
  else:
    figure, axes = _small(square=True)
  draw_predictions(axes, p)
  return figure


def draw_predictions(
  axes: matplotlib.axes.Axes, p: metrics.Predictions
) -> None:
  """Draws the predictions on a circle, or on a strip, into axes."""
  if extent.is_narrow(p.angles):
    panels.draw_strip(axes, p)
    axes.set(xlabel="angle (°)")
  else:
    panels.draw_donut(axes, p)


def by_angle(
  p: metrics.Predictions, shared: tuple[float, float, bool]
) -> matplotlib.figure.Figure:
  """Mean and median error against the true angle."""
  figure, axes = _small()
  least_deg = shared[0] if shared[2] else -np.inf
  panels.draw_by_angle(axes, p, 4, least_deg, linewidth=1.2, markersize=3)
  _errors_axis(axes, shared)
  axes.set(xlabel="true angle (°)", ylabel="error (°)")
  axes.grid(axis="x", color="#E4E4E4", linewidth=0.6)
  return figure


def reliability(p: metrics.Predictions) -> matplotlib.figure.Figure | None:
  """Share of truths inside the regions against what these claim to hold."""
  figure, axes = _small()
  if not panels.draw_reliability(axes, p):
    return None
  axes.set(xlabel="mass of the region", ylabel="truths inside")
  return figure


def accuracy(
  seeds: Sequence[metrics.Predictions], narrowest: float, widest: float
) -> matplotlib.figure.Figure:
  """Share of the views within an error, of each seed.

  Args:
    seeds: of one experiment.
    narrowest: error at which the logarithmic axis begins, degrees.
    widest: where it ends.
  """
  figure, axes = _small()
  for p in seeds:
    error = np.sort(np.ravel(p.error_deg[np.isfinite(p.error_deg)]))
    share = np.arange(1, error.size + 1) / max(p.error_deg.size, 1)
    axes.step(error, share, where="post", color=OWN, linewidth=1.2)
  angles = seeds[0].angles
  arc = extent.arc_deg(angles)
  if angles.distribution == "uniform":
    # Of the middle of the range, which looks at no image.
    error = np.linspace(0, (arc[1] - arc[0]) / 2, 200)
    chance = error / error[-1]
    axes.plot(error, chance, color=panels.GREY, linewidth=0.8, linestyle=":")
  axes.set_xscale("log")
  plain_log(axes.xaxis)
  axes.set(xlabel="error (°)", ylabel="share of views within")
  axes.set(xlim=(narrowest, widest), ylim=(0, 1), yticks=(0, 0.5, 1))
  axes.grid(axis="x", color="#E4E4E4", linewidth=0.6)
  return figure


def risk(
  seeds: Sequence[metrics.Predictions],
) -> tuple[np.ndarray, np.ndarray] | None:
  """Coverage and mean error of the surest views, at 50 shares of them.

  The mean of the seeds' curves: one seed may be surer of all than another.
  """
  share, curves = np.linspace(0.02, 1, 50), []
  for p in seeds:
    names = [n for n in ("entropy", "recalibrated_entropy") if n in p.scores]
    if not names:
      return None
    entropy = p.scores[names[0]].ravel()
    # Of one density, turned, the table's rounding leaves a few millionths.
    if np.ptp(entropy) < 1e-4:
      entropy = np.zeros_like(entropy)
    _, error = probabilistic.risk_coverage(p.error_deg.ravel(), -entropy)
    curves.append(error[np.ceil(share * error.size).astype(int) - 1])
  return share, np.mean(curves, axis=0)


def risk_coverage(
  own: tuple[np.ndarray, np.ndarray],
  others: Sequence[tuple[np.ndarray, np.ndarray]],
  shared: tuple[float, float, bool],
) -> matplotlib.figure.Figure:
  """Mean error of the surest share of the views, the others' behind."""
  figure, axes = _small()
  for coverage, error in others:
    axes.plot(coverage, error, color=FAINT, linewidth=0.6)
  axes.plot(*own, color=OWN, linewidth=1.4)
  _errors_axis(axes, shared)
  axes.set(xlabel="share of views answered", ylabel="MAE (°)", xlim=(0, 1))
  return figure
