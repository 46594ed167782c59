"""What a reader of a table must know beside its numbers."""

import json

from rotjax.ablation import results
from rotjax.ablation import sweep as sweep_lib


def build(
  plan: sweep_lib.Sweep, arms: list[results.ArmResult], comparison: str
) -> list[str]:
  """Sentences on protocol, reading, tuning, comparisons, leaks and origin.

  Args:
    plan: the sweep.
    arms: what there is of it.
    comparison: what is to be said of the differences; "" for nothing.
  """
  notes = []
  protocols = {
    json.dumps(s["protocol"], sort_keys=True): s["protocol"]
    for arm in arms
    for s in arm.summaries.values()
  }
  if len(protocols) == 1:
    (p,) = protocols.values()
    notes.append(
      f"{p['data']}; {p['test_images']:,} test images at"
      f" {p['angles_per_image']} {p['angles']} angles each; {p['view']}."
    )
  elif protocols:
    notes.append("The arms differ in data, angles or view; see their configs.")
  counts = {len(arm.summaries) for arm in arms if arm.summaries}
  notes.append(
    "± is the standard deviation over seeds; [ ] is a 95 % interval over seeds"
    " and images crossed; bold is the best, = is not significantly different"
    " from it (5 %, Holm)."
  )
  if counts and min(counts) < 3:
    notes.append(
      f"Some arms have {min(counts)} seed{'s' * (min(counts) > 1)} only: with"
      " one, an interval is about the images alone; with two, it is very wide."
    )
  if plan.tuning:
    t = plan.tuning
    notes.append(
      f"{t.field} of every arm: the best of"
      f" {', '.join(f'{v:g}' for v in t.values)} on validation after"
      f" {t.num_steps} steps each."
    )
    ends = (min(t.values), max(t.values))
    chosen = [
      arm.arm.name
      for arm in arms
      if arm.summaries and arm.learning_rate in ends
    ]
    if chosen and t.field == "optim.learning_rate":
      notes.append(
        f"At an end of that grid, where more might be had: {', '.join(chosen)}."
      )
  notes += [comparison] if comparison else []
  leaking: dict[str, list[str]] = {}
  for arm in arms:
    for leak in next(iter(arm.summaries.values()), {}).get("leaks", []):
      leaking.setdefault(leak, []).append(arm.arm.name)
  for leak, names in leaking.items():
    notes.append(f"Leaking view ({', '.join(names)}): {leak}.")
  notes += _provenance(arms)
  return notes


def _provenance(arms) -> list[str]:
  """Seeds, versions, device and day of what the table shows."""
  runs = [s for arm in arms for s in arm.summaries.values()]
  if not runs:
    return []
  seeds = sorted({s["seed"] for s in runs})
  versions = sorted(
    {" ".join(f"{k} {v}" for k, v in s["versions"].items()) for s in runs}
  )
  devices = sorted({s["device"] for s in runs})
  day = max(s["finished"] for s in runs)[:10] if "finished" in runs[0] else ""
  return [
    f"Seeds {', '.join(map(str, seeds))}; {'; '.join(versions)}; on"
    f" {', '.join(devices)}{day and f'; finished {day}'}."
  ]
