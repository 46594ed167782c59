"""The page of a sweep."""

import pathlib
import re

from rotjax.ablation import manifest
from rotjax.figures import arms, svg
from rotjax.reporting import formats, page, tables
from rotjax.reporting import sections as sections_lib


def build(workdir: pathlib.Path) -> str:
  """The page as HTML; arms without results are named as such.

  Raises:
    UserError: no sweep, or a file of a finished run is missing or broken.
  """
  plan = manifest.read(workdir)
  table = tables.build(plan, workdir, sort="mae_deg")
  by_name = {arm.name: arm for arm in table.arms}
  order = [row.name for row in table.rows if row.name in by_name]
  items = {name: by_name[name] for name in order if by_name[name].summaries}
  status = {r.name: r.status for r in table.rows if r.name in by_name}
  with svg.style():
    sections = [
      page.Section("table", "Results", _table(table, status)),
      page.Section("arms", "The arms", _intervals(table, items, status)),
      page.Section("curves", "Learning curves", _curves(items)),
      *sections_lib.behaviour(items),
      page.Section("gallery", "Worst and best views", _galleries(items, plan)),
      page.Section("configs", "Configs", _configs(by_name)),
    ]
  lead = f'<p class="question">{page.escape(plan.question)}</p>\n'
  foot = sections_lib.foot(workdir, items.values())
  return page.document(plan.name, lead, sections, foot)


def _table(table, status):
  # A cell's interval goes below its mean: twelve columns fit a window so.
  grid, _, notes = formats.html_table(table).partition("</table>")
  grid = re.sub(
    r'(data-sort="[^"]*">(?:<b>)?[^<>]*?)(\[[^\]<>]*\][^<>]*)<',
    r'\1<span class="interval">\2</span><',
    grid,
  )
  short: dict[str, list[str]] = {}
  for name, words in status.items():
    if words != "done":
      short.setdefault(words, []).append(name)
  body = ""
  if short:
    number = sum(map(len, short.values()))
    listed = [f"{', '.join(names)} ({why})" for why, names in short.items()]
    body += page.paragraph(
      f"{number} of {len(status)} arms are not done: {'; '.join(listed)}. The"
      " sweep's command again goes on with them.",
      "warn",
    )
  body += page.paragraph(
    "A click on a heading sorts by it; the address then names the order.",
    "note",
  )
  notes = notes.replace("<ul>", '<ul class="notes">', 1)
  return body + page.scroll(grid + "</table>") + notes


def _chance(items):
  levels = {v for item in items.values() for v in item.values("chance_mae_deg")}
  return levels.pop() if len(levels) == 1 else None


def _intervals(table, items, status):
  if not items:
    return ""
  estimates = {n: e for n, e in table.maes.items() if n in items}
  without = {n: words for n, words in status.items() if n not in items}
  values = {name: item.values("mae_deg") for name, item in items.items()}
  chance = _chance(items)
  figure = arms.intervals(estimates, values, without, chance)
  words = "Mean absolute error and 95 % interval of each arm, best first."
  text = svg.svg(figure, "intervals", words)
  many = any(len(v) > 1 for v in values.values())
  note = words + " Small rings: the seeds." * many
  return page.paragraph(note, "note") + page.scroll(page.figure(text))


def _curves(items):
  records = {name: item.records for name, item in items.items()}
  drawn = arms.learning_curves(records, _chance(items))
  if not drawn:
    return ""
  words = (
    "Validation error of each arm (blue) among the others (grey), on one"
    " logarithmic axis where they lie far apart; a band reaches from the least"
    " to the greatest seed. Dotted: chance."
  )
  return page.paragraph(words, "note") + sections_lib.grid("curves", drawn)


def _galleries(items, plan):
  # The best arm and the baseline are open; the others unfold.
  names = sorted(items, key=lambda n: n != plan.baseline)
  names = list(dict.fromkeys([*list(items)[:1], *names]))
  folders = {n: next(iter(items[n].folders.values())) for n in names}
  return sections_lib.galleries(folders, unfolded=2)


def _configs(by_name):
  configs = {name: item.config for name, item in by_name.items()}
  head, rows = sections_lib.difference(configs)
  if rows:
    body = page.paragraph("The fields in which the arms differ:")
    body += page.table(head, rows, "difference")
  else:
    body = page.paragraph("The arms do not differ in any field.")
  for name, config in configs.items():
    body += page.details(name, sections_lib.config_table(config))
  return body
