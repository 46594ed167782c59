"""Audits beside a sweep: one for each different (data, view, backbone)."""

import pathlib

from rotjax import files
from rotjax.ablation import sweep as sweep_lib
from rotjax.config import resolve
from rotjax.leakage import verdict


def _file(workdir: pathlib.Path, arm: sweep_lib.Arm) -> pathlib.Path:
  sections = {k: arm.config[k] for k in ("data", "view", "model")}
  identity = resolve.flatten(sections) | {"audit": verdict.VERSION}
  digest = resolve.digest(identity)
  return workdir / "audits" / f"{digest}.json"


def run(plan: sweep_lib.Sweep, workdir: pathlib.Path) -> None:
  """Runs the audits that are not there yet."""
  # Imports what fits and draws, which a table does without.
  from rotjax.leakage import examine
  from rotjax.leakage import report as report_lib

  (workdir / "audits").mkdir(exist_ok=True)
  given = examine.budget(None, None, thorough=False)
  for arm in plan.arms:
    file = _file(workdir, arm)
    if not file.exists():
      report = examine.run(arm.config, given)
      files.write_json(file, report)
      report_lib.plot(report, file.with_suffix(".png"))


def verdicts(workdir: pathlib.Path, plan: sweep_lib.Sweep) -> dict[str, str]:
  """Arm -> "passes", "leaks" or "undecided", of those audited."""
  reports = {arm.name: _file(workdir, arm) for arm in plan.arms}
  return {
    name: verdict.outcome(files.read_json(file))
    for name, file in reports.items()
    if file.exists()
  }
