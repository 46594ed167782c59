"""What a reader of a table must know beside its numbers."""

import json

from rotjax.ablation import sweep as sweep_lib
from rotjax.reporting import results


def build(
  plan: sweep_lib.Sweep, arms: list[results.Results], comparison: str
) -> list[str]:
  """Sentences on protocol, reading, tuning, comparisons, leaks and origin.

  Args:
    plan: the sweep.
    arms: what there is of it.
    comparison: what is to be said of the differences; "" for nothing.
  """
  notes = []
  runs = [s for arm in arms for s in arm.summaries.values()]
  protocols = {json.dumps(_shared(s), sort_keys=True): _shared(s) for s in runs}
  if len(protocols) == 1:
    (p,) = protocols.values()
    images, views = p.get("test_images", 0), p.get("angles_per_image", 0)
    notes.append(
      f"{p.get('data', '')}; {images:,} test images at {views}"
      f" {p.get('angles', '')} angles each; {p.get('view', '')}."
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
  if any("recalibrated_coverage_90" in s["test"] for s in runs):
    notes.append(
      "coverage of 90 % is how often the truth lies in the region to which a"
      " density gives 90 %: the network's own, and recalibrated on validation."
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
      arm.name for arm in arms if arm.summaries and arm.config[t.field] in ends
    ]
    if chosen and t.field == "optim.learning_rate":
      notes.append(
        f"At an end of that grid, where more might be had: {', '.join(chosen)}."
      )
  notes += [comparison] if comparison else []
  leaking: dict[str, list[str]] = {}
  for arm in arms:
    for leak in next(iter(arm.summaries.values()), {}).get("leaks", []):
      leaking.setdefault(leak, []).append(arm.name)
  for leak, names in leaking.items():
    notes.append(f"Leaking view ({', '.join(names)}): {leak}.")
  notes += _provenance(arms)
  return notes


def _provenance(arms) -> list[str]:
  """Seeds, versions, device and day of what the table shows."""
  runs = [s for arm in arms for s in arm.summaries.values()]
  if not runs:
    return []
  seeds = sorted({seed for arm in arms for seed in arm.summaries})
  versions = sorted(
    {
      " ".join(f"{k} {v}" for k, v in s.get("versions", {}).items())
      for s in runs
    }
  )
  devices = sorted({str(s.get("device", "an unknown device")) for s in runs})
  day = max(str(s.get("finished", "")) for s in runs)[:10]
  return [
    f"Seeds {', '.join(map(str, seeds))}; {'; '.join(versions)}; on"
    f" {', '.join(devices)}{day and f'; finished {day}'}."
  ]


def _shared(summary):
  """A run's protocol, without what older versions did not write."""
  protocol = summary.get("protocol", {})
  return {k: v for k, v in protocol.items() if k != "arc_deg"}
