"""The numbers of a table: each arm's metric, and what it is compared with."""

import dataclasses

import numpy as np

from rotjax.metrics import across_seeds, catalogue
from rotjax.reporting import results
from rotjax.reporting import table as table_lib


def cells_of(
  metric: str, arms: list[results.Results]
) -> dict[str, table_lib.Cell]:
  """Arm -> cell, the best and those that tie with it marked."""
  samples, cells = {}, {}
  for arm in arms:
    values = _values(metric, arm)
    if not values:
      continue
    name = arm.name
    sample = across_seeds.sample(metric, arm.predictions)
    if sample is None:
      array = np.array(values)
      sd = float(array.std(ddof=1)) if len(values) > 1 else None
      cells[name] = table_lib.Cell(
        across_seeds.Estimate(
          float(array.mean()), sd, None, None, None, len(values)
        )
      )
    else:
      samples[name] = sample
      cells[name] = table_lib.Cell(sample.estimate())
  numbers = [n for n, c in cells.items() if across_seeds.known(c.estimate.mean)]
  better = catalogue.row(metric).better
  if len(numbers) < 2 or not better:
    return cells
  pick = max if better == "higher" else min
  best = pick(numbers, key=lambda name: cells[name].estimate.mean)
  cells[best] = dataclasses.replace(cells[best], best=True)
  for name in _tied(best, samples):
    cells[name] = dataclasses.replace(cells[name], tied=True)
  return cells


def _tied(best: str, samples: dict[str, across_seeds.Sample]) -> list[str]:
  if best not in samples:
    return []
  equal, p_values = [], {}
  for name, sample in samples.items():
    against = sample.minus(samples[best]) if name != best else None
    if against is None:
      continue
    p = across_seeds.p_of(against)
    if p is not None:
      p_values[name] = p
    elif against.mean == 0:  # the same to the last prediction
      equal.append(name)
  adjusted = across_seeds.holm(list(p_values.values()))
  return equal + [n for n, p in zip(p_values, adjusted) if p >= 0.05]


def _values(metric: str, arm: results.Results) -> list[float]:
  section, _, name = metric.rpartition(".")
  section = "test_other_warp" if section else "test"
  values = [s.get(section, {}).get(name) for s in arm.summaries.values()]
  return [value for value in values if value is not None]


def differences(
  baseline: str, arms: list[results.Results]
) -> tuple[dict[str, table_lib.Comparison | str], str]:
  """Arm -> its error less the baseline's, and the note on the comparisons."""
  samples = {}
  for arm in arms:
    sample = arm.predictions and across_seeds.sample("mae_deg", arm.predictions)
    if sample:
      samples[arm.name] = sample
  if baseline not in samples:
    return {}, f"No comparisons: the baseline {baseline} has no results."
  against, unpaired = {}, []
  for name, sample in samples.items():
    if name != baseline:
      difference = sample.minus(samples[baseline])
      if difference is None:
        unpaired.append(name)
      else:
        against[name] = difference
  if not against:
    return {}, ""
  unadjusted = {name: across_seeds.p_of(e) for name, e in against.items()}
  tested = {name: p for name, p in unadjusted.items() if p is not None}
  p_values = dict(zip(tested, across_seeds.holm(list(tested.values()))))
  cells: dict[str, table_lib.Comparison | str] = {
    name: table_lib.Comparison(e, p_values.get(name))
    for name, e in against.items()
  }
  cells[baseline] = "baseline"
  note = f"Differences from {baseline} are paired by seed and image"
  if tested:
    note += f"; p-values of {len(tested)} comparisons, Holm-corrected"
  note += "."
  if len(tested) < len(against):
    note += (
      " – stands where the images or seeds are too few for an interval and a"
      " p-value, or where no two results differ."
    )
  if unpaired:
    note += f" Shown other images or angles: {', '.join(unpaired)}."
  return cells, note
