"""What an audit's findings say together: passes, leaks or undecided.

A verdict is as good as its weakest link. It passes where no bound reaches the
limit and every planted leak of that size was found; it says "leaks" where one
lower bound is above the limit; and else that it is undecided, and why.
"""

from collections.abc import Mapping
from typing import Any

from rotjax.leakage import evidence

# Nats, also the worth of each planted leak.
LIMIT = evidence.LIMIT
# Of what an audit does: a view that another version judged is judged again.
VERSION = 2
EXIT_STATUS = {"passes": 0, "leaks": 3, "undecided": 4}


def found(planted: evidence.Finding, clean: evidence.Finding) -> bool:
  """Whether a planted leak shows above what the view itself does."""
  return planted.low > max(clean.high, 0.0)


def decide(
  findings: Mapping[str, evidence.Finding],
  plants: Mapping[str, bool],
  told: str = "",
) -> tuple[str, str]:
  """The outcome, a key of `EXIT_STATUS`, and a sentence with its reason.

  Args:
    findings: of each family and each kind of sources.
    plants: kind of planted leak -> whether it was found.
    told: where there is a leak, which cue shows it and what removes it.
  """
  worst = max(findings, key=lambda name: findings[name].low)
  leak = findings[worst]
  if leak.low > LIMIT:
    sentence = (
      f"{leak.nats:.3f} nats ({leak.low:.3f} to {leak.high:.3f}) about the"
      f" angle without any content, by {worst} ({leak.chosen})"
    )
    return "leaks", f"{sentence}{told and '; '}{told}"
  widest = max(findings, key=lambda name: findings[name].highest)
  bound = findings[widest]
  at_most = (
    f"at most {bound.highest:.4f} nats about the angle without content (the"
    f" limit is {LIMIT}), by {widest} ({bound.highest_member})"
  )
  missed = [kind for kind, seen in plants.items() if not seen]
  reasons = []
  if bound.highest >= LIMIT:
    reasons.append(f"the bound of {widest} is not below the limit")
  if missed:
    reasons.append(
      f"planted leaks of {LIMIT} nats were not found: {', '.join(missed)}"
    )
  if reasons:
    return "undecided", f"{at_most}; {'; '.join(reasons)}; try --thorough"
  return (
    "passes",
    f"{at_most}; {len(plants)} of {len(plants)} planted leaks of that size"
    " were found",
  )


def outcome(report: Mapping[str, Any]) -> str:
  """A key of `EXIT_STATUS`: what an audit's report says, in a word."""
  return report["outcome"]
