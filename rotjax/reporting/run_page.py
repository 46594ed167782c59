"""The page of one run, or of the seeds of one."""

import pathlib

from rotjax.figures import arms as sweep_plots
from rotjax.figures import plots, svg
from rotjax.metrics import across_seeds, extent
from rotjax.reporting import page, results
from rotjax.reporting import sections as sections_lib
from rotjax.run import summary as summary_lib


def build(workdir: pathlib.Path) -> str:
  """The page as HTML.

  Raises:
    UserError: see `results.read`.
  """
  item = results.read(workdir)
  with svg.style():
    behaviour = sections_lib.behaviour({item.name: item})
    sections = [
      page.Section("results", "Results", _results(item)),
      page.Section("curves", "Learning curves", _curves(item)),
      page.Section("behaviour", "How it answers", page.panels(behaviour)),
      page.Section("gallery", "Worst and best views", _gallery(item)),
      page.Section("config", "Config", _config(item)),
    ]
  return page.document(
    item.name, _lead(item), sections, sections_lib.foot(workdir, [item])
  )


def _seeds(item):
  names = ", ".join(map(str, item.summaries))
  return f"seed{'s' * (len(item.summaries) > 1)} {names}"


def _lead(item):
  summaries = list(item.summaries.values())
  first = summaries[0]
  p = first.get("protocol", {})
  seconds = sum(s.get("seconds", 0) for s in summaries)
  words = [_seeds(item)]
  if "parameters" in first:
    words.append(f"{first['parameters']:,} parameters")
  words.append(f"{seconds:.0f} s. " + p.get("data", ""))
  words += [p.get("view", ""), summary_lib.angles_in_words(p)]
  lead = page.paragraph("; ".join(filter(None, words)) + ".", "note")
  for leak in first.get("leaks", []):
    lead += page.paragraph(f"Leaking view: {leak}.", "warn")
  hint = summary_lib.chance_hint(_mean(item)["test"])
  return lead + (page.paragraph(" ".join(hint.split()), "warn") if hint else "")


def _mean(item):
  """The summary over the seeds, with the intervals that the tables have."""
  summary = summary_lib.combine(item.summaries)
  if "test_interval" not in summary:
    estimates = {}
    for name in summary_lib.with_interval(item.pooled.angles):
      sample = across_seeds.sample(name, item.predictions)
      if sample is not None:
        estimates[name] = sample.estimate()
    summary["test_interval"] = {
      name: ends
      for name, e in estimates.items()
      if (ends := across_seeds.ends(e))
    }
  return summary


def _results(item):
  summary = _mean(item)
  several = len(item.summaries) > 1
  words = "±: standard deviation over seeds. " * several
  ends = summary["test_interval"].get("mae_deg")
  if ends is not None:
    over = "seeds and images crossed" if several else "images"
    words = (
      f"Mean absolute error {summary['test']['mae_deg']:.2f}°, 95 % interval"
      f" [{ends[0]:.2f}, {ends[1]:.2f}] over {over}. " + words
    )
  head, *rows = summary_lib.rows(summary)
  first = next(iter(item.summaries.values()))
  beside = [
    page.Section("test", "On the test set", page.table(head, rows)),
    page.Section("answers", "Every answer", _answers(item)),
    page.Section("seeds", "The seeds", _seed_intervals(item)),
    page.Section("confusion", "Confusion", _confusion(first)),
    page.Section("classes", "By class", _classes(first.get("by_class", {}))),
  ]
  body = page.paragraph(words) + page.panels(beside)
  return body + page.details(
    "every metric", sections_lib.metrics_table(item.summaries)
  )


def _seed_intervals(item):
  if len(item.summaries) == 1:
    return ""
  estimates, values = {}, {}
  for seed, p in item.predictions.items():
    sample = across_seeds.sample("mae_deg", {seed: p})
    if sample is not None:
      estimates[f"seed {seed}"] = sample.estimate()
      values[f"seed {seed}"] = []
  chance = item.values("chance_mae_deg")
  figure = sweep_plots.intervals(
    estimates, values, {}, chance[0] if chance else None
  )
  words = "mean absolute error and 95 % interval of each seed"
  note = "The error of each seed, and its 95 % interval over images."
  text = svg.svg(figure, "seed-intervals", words)
  return page.paragraph(note, "note") + page.scroll(page.figure(text))


def _confusion(summary):
  confusion = summary.get("confusion")
  if not confusion:
    return ""
  angles = [f"{a:g}°" for a in confusion["angles_deg"]]
  rows = [
    (angle, *(f"{n:,}" for n in counts))
    for angle, counts in zip(angles, confusion["counts"])
  ]
  note = page.paragraph(
    "Views by true angle (rows) and nearest answer.", "note"
  )
  return note + page.table(("true", *angles), rows)


def _classes(classes):
  if not classes:
    return ""
  head = ("class", "images", "MAE (°)", "median (°)", "90th percentile (°)")
  keys = ("mae_deg", "median_deg", "p90_deg")
  rows = [
    (
      name,
      f"{c.get('num_images', 0):,}",
      *(f"{c[k]:.2f}" if k in c else "" for k in keys),
    )
    for name, c in classes.items()
  ]
  return page.table(head, rows)


def _curves(item):
  body = ""
  if len(item.records) > 1:
    chance = item.values("chance_mae_deg")
    drawn = sweep_plots.learning_curves(
      {item.name: item.records}, chance[0] if chance else None
    )
    body += page.paragraph(
      "The mean of the seeds, and a band from the least to the greatest.",
      "note",
    ) + sections_lib.grid("curves", drawn)
  for seed, records in item.records.items():
    words = f"loss and error, seed {seed}"
    text = svg.svg(plots.curves(records), f"curves-seed-{seed}", words)
    figure = page.scroll(page.figure(text))
    one = len(item.records) == 1
    body += figure if one else page.details(f"seed {seed}", figure)
  return body


def _answers(item):
  words = "The predicted angle over the true one."
  if not extent.is_narrow(item.pooled.angles):
    words += " Lines beside the diagonal are quarter or half turns off."
  figure = plots.predicted_against_true(item.pooled)
  text = svg.svg(figure, "answers", "predicted against true angle")
  return page.paragraph(words, "note") + page.figure(text)


def _gallery(item):
  if len(item.folders) == 1:
    return sections_lib.galleries(
      {item.name: next(iter(item.folders.values()))}, 1
    )
  named = {f"seed {seed}": f for seed, f in item.folders.items()}
  return sections_lib.galleries(named, 1)


def _config(item):
  return page.details(
    f"all {len(item.config)} fields", sections_lib.config_table(item.config)
  )
