"""Parts of the page that runs and sweeps have in common."""

from collections.abc import Iterable, Mapping
import datetime
import pathlib
import shlex
from typing import Any

from rotjax.figures import arms, panels, svg
from rotjax.figures.drawing import matplotlib
from rotjax.metrics import extent
from rotjax.reporting import page, results

# Galleries are embedded as they are: those of large photographs would make a
# file that no one can send.
MAX_GALLERY_BYTES = 5_000_000


# What a figure shows, by whether the range of angles is narrow.
_LIE = {
  False: "0° is up, angles run counter-clockwise. A bar's area is the share of"
  " the views: even answers make an even ring, clumps stand out (cut at eight"
  " times the even share).",
  True: "On a narrow range: answers above the line, true angles below it;"
  " answers beyond the axis are in its last bars.",
}
_ERR = {
  False: "Narrow dips or peaks at multiples of 90°, where the warp blurs"
  " nothing, show a network that reads the interpolation.",
  True: "An error that rises towards both ends of a narrow range shows a"
  " network that answers its middle.",
}


def grid(kind: str, figures: Mapping[str, matplotlib.figure.Figure]) -> str:
  """Small figures, one for each name."""
  return page.grid(
    {
      name: svg.svg(figure, f"{kind}-{i}", f"{kind}: {name}")
      for i, (name, figure) in enumerate(figures.items())
    }
  )


def behaviour(items: Mapping[str, results.Results]) -> list[page.Section]:
  """How the predictions lie, err and know it: for one experiment or for many.

  Args:
    items: name -> its finished seeds, of which the views are pooled.
  """
  if not items:
    return []
  pooled = {name: item.pooled for name, item in items.items()}
  seeds = {n: list(item.predictions.values()) for n, item in items.items()}
  many = len(items) > 1
  narrow = {extent.is_narrow(p.angles) for p in pooled.values()}
  donuts = page.paragraph(" ".join(_LIE[n] for n in sorted(narrow)), "note")
  sides = ("above", "below") if narrow == {True} else ("outside", "inside")
  donuts += page.key(
    {
      f"predicted ({sides[0]})": svg.OWN,
      f"true ({sides[1]})": panels.GREY,
    }
  )
  angle = page.paragraph(
    " ".join(_ERR[n] for n in sorted(narrow))
    + " All arms share one axis of errors." * many,
    "note",
  ) + page.key({"mean": svg.OWN, "median": svg.OTHER})
  within = page.paragraph(
    "How many views err by at most so much; a line for each seed. Dotted:"
    " chance, where the angles are uniform.",
    "note",
  )
  reliable = page.paragraph(
    "A calibrated density's region of mass q holds q of the truths, on the"
    " diagonal; below it the density is too sure, above it too modest. Heads"
    " without a density have the recalibrated line only.",
    "note",
  ) + page.key({"recalibrated": svg.OWN, "as trained": svg.OTHER})
  risk = page.paragraph(
    "The mean error of the views of which the density is surest (least"
    " entropy). A flat line knows nothing of its own errors; a head without a"
    " density is equally sure of every view." + " Grey: the other arms." * many,
    "note",
  )
  parts = (
    ("donuts", "Where the answers lie", donuts, arms.donuts(pooled)),
    ("angle", "Error by true angle", angle, arms.by_angle(pooled)),
    ("within", "Accuracy by error", within, arms.accuracy(seeds)),
    ("reliability", "Reliability", reliable, arms.reliability(pooled)),
    ("risk", "Risk and coverage", risk, arms.risk_coverage(seeds)),
  )
  sections = []
  for anchor, title, note, drawn in parts:
    body = note + grid(anchor, drawn) if drawn else ""
    sections.append(page.Section(anchor, title, body))
  return sections


def galleries(items: Mapping[str, pathlib.Path], unfolded: int) -> str:
  """Each run's worst and best views.

  Args:
    items: name -> run folder, those that matter most first.
    unfolded: how many of them are open from the start.
  """
  body, left_out, total = "", [], 0
  for name, folder in items.items():
    file = folder / "plots" / "gallery.png"
    image = page.png(file, f"the worst and the best views of {name}")
    if not image:
      continue
    total += len(image)
    if total > MAX_GALLERY_BYTES:
      left_out.append(name)
      continue
    figure = page.figure(image)
    body += page.details(name, figure, unfolded=unfolded > 0)
    unfolded -= 1
  if left_out:
    body += page.paragraph(
      "Left out, for they are large (see plots/gallery.png of each run):"
      f" {', '.join(left_out)}.",
      "note",
    )
  words = "Above the worst views, below the best; arrows show where up went."
  return body and page.paragraph(words, "note") + body


def value_text(value: Any) -> str:
  """A config field's value."""
  if isinstance(value, (tuple, list)):
    return f"({', '.join(map(value_text, value))}{',' * (len(value) == 1)})"
  return f"{value:g}" if isinstance(value, float) else str(value)


def config_table(config: Mapping[str, Any]) -> str:
  """Every field of a resolved config."""
  rows = [(key, value_text(config[key])) for key in sorted(config)]
  return page.table(("field", "value"), rows, "config")


def difference(
  configs: Mapping[str, Mapping[str, Any]],
) -> tuple[list[str], list[tuple[str, ...]]]:
  """The fields in which configs differ, and no others.

  Fields that all have get a column each; those that only some have, as the
  fields of one head among several, share a last one.

  Args:
    configs: name -> dotted field -> value. The field "name" does not count.

  Returns:
    The heading, "arm" first, and a row for each name; ([], []) where nothing
    differs.
  """
  every = set().union(*configs.values()) - {"name"}
  shared = [k for k in every if all(k in c for c in configs.values())]
  columns = sorted(
    k for k in shared if len({repr(c[k]) for c in configs.values()}) > 1
  )
  partial = sorted(every - set(shared))
  if not columns and not partial:
    return [], []
  head = ["arm", *columns, *(["fields that not all have"] if partial else [])]
  rows = []
  for name, config in configs.items():
    row = [name, *(value_text(config[k]) for k in columns)]
    own = [f"{k}={value_text(config[k])}" for k in partial if k in config]
    rows.append((*row, *([", ".join(own)] if partial else [])))
  return head, rows


def foot(workdir: pathlib.Path, items: Iterable[results.Results]) -> str:
  """Versions, the date of the newest results, and the command."""
  items = list(items)
  summaries = [s for item in items for s in item.summaries.values()]
  files = [f / "summary.json" for item in items for f in item.folders.values()]
  pairs = {}
  if files:
    newest = max(file.stat().st_mtime for file in files)
    date = datetime.datetime.fromtimestamp(newest, datetime.UTC)
    pairs["newest results"] = f"{date:%Y-%m-%d %H:%M} UTC"
    versions = results.versions(summaries)
    pairs["versions"] = ", ".join(f"{k} {v}" for k, v in versions.items())
    devices = sorted({str(s.get("device", "unknown")) for s in summaries})
    pairs["device"] = ", ".join(devices)
  pairs["made by"] = (
    f"python -m rotjax.report --workdir {shlex.quote(str(workdir))}"
  )
  return page.definitions(pairs)


def metrics_table(summaries: Mapping[int, Mapping[str, Any]]) -> str:
  """Every test metric of each seed beside its chance level."""
  test = [summary["test"] for summary in summaries.values()]
  names = sorted({k for t in test for k in t if not k.startswith("chance_")})
  rows = []
  for name in names:
    values = [_number(t.get(name)) for t in test]
    rows.append((name, *values, _number(test[0].get(f"chance_{name}"))))
  seeds = [f"seed {seed}" for seed in summaries]
  return page.table(["metric", *seeds, "chance"], rows)


def _number(value: Any) -> str:
  return f"{value:.4g}" if isinstance(value, (int, float)) else ""
