"""The page of one run, or of the seeds of one."""

import pathlib

from rotjax import plots
from rotjax import summary as summary_lib
from rotjax.ablation import plots as sweep_plots
from rotjax.ablation import stats
from rotjax.reporting import figures, page, parts, runs


def build(workdir: pathlib.Path) -> str:
  """The page as HTML.

  Raises:
    UserError: see `runs.read`.
  """
  item = runs.read(workdir)
  with figures.style():
    sections = [
      page.Section("results", "Results", _results(item)),
      page.Section("curves", "Learning curves", _curves(item)),
      *parts.behaviour({item.name: item}),
      page.Section("answers", "Every answer", _answers(item)),
      page.Section("gallery", "Worst and best views", _gallery(item)),
      page.Section("config", "Config", _config(item)),
    ]
  return page.document(
    item.name, _lead(item), sections, parts.foot(workdir, [item])
  )


def _seeds(item):
  names = ", ".join(map(str, item.summaries))
  return f"seed{'s' * (len(item.summaries) > 1)} {names}"


def _lead(item):
  summaries = list(item.summaries.values())
  p = summaries[0]["protocol"]
  data, view = p.get("data", ""), p.get("view", "")
  seconds = sum(s["seconds"] for s in summaries)
  lead = page.paragraph(
    f"{_seeds(item)}; {summaries[0]['parameters']:,} parameters;"
    f" {seconds:.0f} s. {data}; {view}.",
    "note",
  )
  for leak in summaries[0].get("leaks", []):
    lead += page.paragraph(f"Leaking view: {leak}.", "warn")
  hint = summary_lib.chance_hint(_mean(item)["test"])
  return lead + (page.paragraph(" ".join(hint.split()), "warn") if hint else "")


def _mean(item):
  return summary_lib.combine(item.summaries)


def _results(item):
  estimate = stats.sample("mae_deg", item.predictions)
  words = "±: standard deviation over seeds. " * (len(item.summaries) > 1)
  if estimate is not None:
    e = estimate.estimate()
    over = "images" if e.num_seeds == 1 else "seeds and images crossed"
    interval = (
      ""
      if e.low is None
      else (f", 95 % interval [{e.low:.2f}, {e.high:.2f}] over {over}")
    )
    words = f"Mean absolute error {e.mean:.2f}°{interval}. " + words
  head, *rows = summary_lib.rows(_mean(item))
  body = page.paragraph(words) + page.table(head, rows)
  body += page.details("every metric", parts.metrics_table(item.summaries))
  classes = next(iter(item.summaries.values())).get("by_class")
  if classes:
    body += page.details("by class", _classes(classes))
  return body


def _classes(classes):
  head = ("class", "images", "MAE (°)", "median (°)", "within 5°")
  rows = [
    (
      name,
      f"{c['num_images']:,}",
      f"{c['mae_deg']:.2f}",
      f"{c['median_deg']:.2f}",
      f"{c['acc_at_5']:.1%}",
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
    ) + parts.grid("curves", drawn)
  for seed, records in item.records.items():
    words = f"loss and error, seed {seed}"
    text = figures.svg(plots.curves(records), f"curves-seed-{seed}", words)
    figure = page.figure(text)
    one = len(item.records) == 1
    body += figure if one else page.details(f"seed {seed}", figure)
  return body


def _answers(item):
  words = "The predicted angle over the true one; lines beside the diagonal are"
  words += " quarter or half turns off."
  figure = plots.predicted_against_true(item.pooled)
  text = figures.svg(figure, "answers", "predicted against true angle")
  return page.paragraph(words, "note") + page.figure(text)


def _gallery(item):
  if len(item.folders) == 1:
    return parts.galleries({item.name: next(iter(item.folders.values()))}, 1)
  named = {f"seed {seed}": f for seed, f in item.folders.items()}
  return parts.galleries(named, 1)


def _config(item):
  return page.details(
    f"all {len(item.config)} fields", parts.config_table(item.config)
  )
