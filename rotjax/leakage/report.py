"""An audit's report as a person reads it: text, and a picture."""

from collections.abc import Mapping
import pathlib
from typing import Any

from rotjax.figures import drawing

_RULE = "  " + "-" * 74


def _row(name: str, finding: Mapping[str, Any], last: str) -> str:
  nats = (
    f"{finding['nats']:+.4f} ({finding['low']:+.4f} to {finding['high']:+.4f})"
  )
  return f"  {name:<22}  {nats}  {finding['chosen']:<14}  {last}".rstrip()


def text(report: Mapping[str, Any]) -> str:
  """The report; its first line is the verdict."""
  head = f"  {'':<22}  {'nats about the angle':<28}  {'shown by':<14}  "
  lines = [
    f"{report['config_name']}: {report['verdict']}",
    "",
    f"{head}bound of all",
    _RULE,
  ]
  lines += [
    _row(name, found, f"{found['highest']:+.4f}")
    for name, found in report["findings"].items()
  ]
  lines += [
    _row(f"permuted, {name}", found, f"{found['highest']:+.4f}")
    for name, found in report["null"].items()
  ]
  if report["planted"]:
    lines += ["", f"{head}planted {report['limit_nats']}", _RULE]
  lines += [
    _row(name, found, "found" if report["seen"][name] else "NOT FOUND")
    for name, found in report["planted"].items()
  ]
  lines += ["", *(f"  known: {leak}" for leak in report["known_leaks"])]
  return "\n".join(lines).rstrip()


def plot(report: Mapping[str, Any], path: pathlib.Path) -> None:
  """Nats of every finding with intervals, beside the limit, as a PNG."""
  rows = [
    *((name, f, "#0072B2") for name, f in report["findings"].items()),
    *((f"permuted, {k}", f, "#888888") for k, f in report["null"].items()),
    *((f"planted: {k}", f, "#009E73") for k, f in report["planted"].items()),
  ][::-1]
  figure = drawing.matplotlib.figure.Figure(
    (7, 1.5 + 0.22 * len(rows)), layout="constrained"
  )
  axes = figure.subplots()
  for i, (_, found, color) in enumerate(rows):
    axes.plot([found["low"], found["high"]], [i, i], color=color, linewidth=2)
    axes.plot(found["nats"], i, "o", color=color, markersize=5)
  axes.set_yticks(range(len(rows)), [name for name, *_ in rows], fontsize=8)
  axes.axvline(report["limit_nats"], color="#888888", linestyle="--")
  axes.axvline(0, color="#cccccc", linewidth=0.8)
  axes.set_xscale("symlog", linthresh=0.05)
  axes.set_xticks([0, 0.02, 0.05, 0.2, 1.0])
  axes.xaxis.set_major_formatter("{x:g}")
  axes.minorticks_off()
  axes.set_xlabel("nats about the angle without content (dashed: the limit)")
  axes.set_title(report["verdict"], fontsize=9, loc="left", wrap=True)
  axes.spines[["top", "right"]].set_visible(False)
  drawing.save(figure, path)
