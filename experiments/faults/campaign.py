r"""Real training runs, hit by faults at random moments, must end as if not.

python experiments/faults/campaign.py --workdir runs/faults \
    --out experiments/results/faults

A fault hits a run, then the same command is started until the run ends; its
numbers must be those of the uninterrupted run, bit for bit. Outcomes are kept
in the workdir: a campaign that was stopped goes on with what is left.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import json
import pathlib
import re
import shutil
import signal
import sys
import time
from typing import Any

import faults
import numpy as np
import runs

from rotjax import cli

# A short campaign for CI; "full disk" is skipped where nothing can be mounted.
SMOKE = (
  "SIGTERM",
  "SIGKILL in a save",
  "SIGTERM in an evaluation",
  "flipped bit",
  "full disk",
  "SIGKILL to one of two processes",
  "two in a row",
)
KINDS = (*faults.FAULTS, "two in a row")
# Who misses its moment (the run has ended before) draws another.
_DRAWS = 8
# Starts after the fault; one has to do.
_RESUMES = 3
_WARNING = re.compile(
  r"checkpoint of step (\d+) is damaged .*: going back to step (\d+)"
)
_GOOD = "as uninterrupted"


def _reference(folder: pathlib.Path, count: int) -> float:
  """Makes the uninterrupted run, twice; returns the second's seconds.

  The first fills the compile cache. That both agree shows that the machine
  gives the same numbers twice at all.

  Args:
    folder: for them.
    count: processes.
  """
  folder.mkdir(parents=True, exist_ok=True)
  for name in ("first", "reference"):
    run = runs.Run(folder / name, 0.0, count)
    if (run.folder / "summary.json").exists():
      continue
    start = time.monotonic()
    run.start()
    ended = run.wait()
    if ended.status:
      raise SystemExit(f"the uninterrupted run fails:\n{ended.stderr}")
    seconds = time.monotonic() - start
    (folder / "seconds.json").write_text(json.dumps(seconds))
  differing = runs.differences(folder / "first", folder / "reference")
  if differing:
    raise SystemExit(
      "two uninterrupted runs differ here, so there is nothing to compare"
      f" with: {'; '.join(differing)}"
    )
  return json.loads((folder / "seconds.json").read_text())


def _references(workdir: pathlib.Path, count: int) -> pathlib.Path:
  return workdir / f"uninterrupted-{count}"


def _inject(
  kind: str, run: runs.Run, rng: np.random.Generator
) -> list[faults.Hit]:
  if kind != "two in a row":
    return [faults.FAULTS[kind](run, rng)]
  single = [k for k in faults.FAULTS if k not in faults.PROCESSES]
  first = str(rng.choice(single))
  # A disk that is mounted over what the first left would hide it.
  second = str(rng.choice([k for k in single if k != "full disk"]))
  hits = [faults.FAULTS[k](run, rng) for k in (first, second)]
  return [
    dataclasses.replace(hit, moment=f"{k}: {hit.moment}")
    for k, hit in zip((first, second), hits)
  ]


def _resume(run: runs.Run) -> list[runs.Ended]:
  """Starts the command until it ends well."""
  ends = []
  while len(ends) < _RESUMES and not (ends and ends[-1].status == 0):
    run.start()
    ends.append(run.wait())
  return ends


def problems(
  hits: Sequence[faults.Hit],
  resumed: Sequence[runs.Ended],
  differences: Sequence[str],
) -> list[str]:
  """What is not as documented; nothing if all is well.

  Args:
    hits: the faults, in order.
    resumed: how the starts after them ended.
    differences: from the uninterrupted run.
  """
  found = []
  for hit in hits:
    status, stderr = hit.ended.status, hit.ended.stderr
    if status is None:
      found.append("hangs after the fault")
    elif status not in hit.expected:
      found.append(f"status {status} after the fault, not {hit.expected}")
    if hit.says not in stderr:
      found.append(f"stderr does not say {hit.says!r}: {stderr[-300:]!r}")
  if [end.status for end in resumed] != [faults.DONE]:
    last = resumed[-1].stderr[-300:]
    statuses = [end.status for end in resumed]
    found.append(f"statuses {statuses} when started again: {last!r}")
  ends = [*(hit.ended for hit in hits), *resumed]
  if any("Traceback" in end.stderr for end in ends):
    found.append("a traceback on stderr")
  warned = [
    tuple(map(int, pair))
    for end in ends
    for pair in _WARNING.findall(end.stderr)
  ]
  wanted = [hit.damaged for hit in hits if hit.damaged]
  if warned != wanted:
    found.append(f"warned of the damaged steps {warned}, not of {wanted}")
  return [*found, *differences]


def one(
  kind: str, seed: Sequence[int], folder: pathlib.Path, usual_seconds: float
) -> dict[str, Any]:
  """Hits one run; returns what came of it, for the table.

  Args:
    kind: a key of `faults.FAULTS`, or "two in a row".
    seed: of the moment.
    folder: for its runs; deleted if all is well.
    usual_seconds: that a run takes here from start to end.

  Raises:
    faults.SkippedError: this machine cannot have that fault.
    runs.Missed: in every draw the run had ended before its moment.
  """
  rng = np.random.default_rng(seed)
  count = faults.PROCESSES.get(kind, 1)
  reference = _references(folder.parent, count) / "reference"
  for draw in range(_DRAWS):
    run = runs.Run(folder / f"draw-{draw}", usual_seconds, count)
    faults.unmount(run.folder)  # of a campaign that was killed
    shutil.rmtree(folder, ignore_errors=True)
    try:
      hits = _inject(kind, run, rng)
      resumed = _resume(run)
      found = problems(hits, resumed, runs.differences(run.folder, reference))
      break
    except runs.Missed:
      if draw == _DRAWS - 1:
        raise
    finally:
      run.close()
      faults.unmount(run.folder)
  if not found:
    shutil.rmtree(folder)
  steps = [
    int(match[1]) if match else 0
    for end in [*(hit.ended for hit in hits[1:]), *resumed]
    for match in [re.search(r"resuming at step (\d+)", end.stderr)]
  ]
  return {
    "fault": kind,
    "moments": [hit.moment for hit in hits],
    "statuses": [hit.ended.status for hit in hits],
    "resumed_at": steps,
    "outcome": "; ".join(found) or _GOOD,
  }


def table(outcomes: Sequence[Mapping[str, Any]]) -> str:
  """Markdown: a row for each kind of fault."""
  lines = [
    "| fault | count | moments | status | resumed at step | outcome |",
    "|---|---|---|---|---|---|",
  ]
  for kind in KINDS:
    of_kind = [o for o in outcomes if o["fault"] == kind]
    if not of_kind:
      continue
    done = [o for o in of_kind if not o["outcome"].startswith("skipped")]
    good = [o for o in done if o["outcome"] == _GOOD]
    rest = sorted({o["outcome"] for o in of_kind if o not in good})
    if good:
      rest.insert(0, f"{len(good)} of {len(done)} {_GOOD}")
    cells = (
      kind,
      str(len(done)),
      "<br>".join(", then ".join(o["moments"]) for o in done),
      "<br>".join(", ".join(map(str, o["statuses"])) for o in done),
      "<br>".join(", ".join(map(str, o["resumed_at"])) for o in done),
      "<br>".join(rest).replace("|", "\\|"),
    )
    lines.append(f"| {' | '.join(cells)} |")
  return "\n".join(lines)


def _write(out: pathlib.Path, outcomes: list[dict], seed: int) -> None:
  out.mkdir(parents=True, exist_ok=True)
  (out / "faults.json").write_text(json.dumps(outcomes, indent=1) + "\n")
  good = sum(o["outcome"] == _GOOD for o in outcomes)
  text = (
    "# Faults and what came of them\n\n"
    f"`python experiments/faults/campaign.py --num {len(outcomes)} --seed"
    f" {seed}`: {good} of {len(outcomes)} {_GOOD}, bit for bit. Status: of the"
    " process that was hit, minus the signal's number where one killed it,"
    " None where it hung.\n\n"
  )
  (out / "faults.md").write_text(text + table(outcomes) + "\n")


def main(argv: Sequence[str]) -> int:
  """Runs the campaign; returns 1 if a run did not end as it must, else 0."""
  p = cli.parser(
    "experiments/faults/campaign.py",
    "Hit training runs by random faults; they must end as if not hit.",
    "  python experiments/faults/campaign.py --smoke\n"
    "  python experiments/faults/campaign.py --out experiments/results/faults",
  )
  p.add_argument("--num", type=int, default=50, help="faults in all")
  p.add_argument("--seed", type=int, default=0, help="of kinds and moments")
  p.add_argument("--smoke", action="store_true", help="seven faults")
  p.add_argument(
    "--workdir",
    type=pathlib.Path,
    default=pathlib.Path("runs/faults"),
    help="what is done is kept here; delete it to start again",
  )
  p.add_argument("--out", type=pathlib.Path, help="folder for the table")
  args = p.parse_args(argv)
  # So that a campaign that is told to stop ends its run, unmounts its disk.
  signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
  kinds = (
    SMOKE if args.smoke else [KINDS[i % len(KINDS)] for i in range(args.num)]
  )
  workdir = args.workdir.absolute()
  workdir.mkdir(parents=True, exist_ok=True)
  seconds = {}
  for count in sorted({faults.PROCESSES.get(kind, 1) for kind in kinds}):
    seconds[count] = _reference(_references(workdir, count), count)
    print(f"uninterrupted, {count}: {seconds[count]:.1f} s", flush=True)
  outcomes = []
  for i, kind in enumerate(kinds):
    file = workdir / f"{args.seed}-{i}-{kind.replace(' ', '-')}.json"
    if not file.exists():
      usual = seconds[faults.PROCESSES.get(kind, 1)]
      outcome = _outcome(kind, (args.seed, i), file.with_suffix(""), usual)
      if outcome["outcome"] == _GOOD:
        file.write_text(json.dumps(outcome))
    else:
      outcome = json.loads(file.read_text())
    outcomes.append(outcome)
    moments = ", then ".join(outcome["moments"])
    print(
      f"{i + 1}/{len(kinds)} {kind}: {moments}: {outcome['outcome']}",
      flush=True,
    )
  if args.out:
    _write(args.out, outcomes, args.seed)
  accepted = (_GOOD, "skipped")
  return int(not all(o["outcome"].startswith(accepted) for o in outcomes))


def _outcome(kind, seed, folder, seconds):
  try:
    return one(kind, seed, folder, seconds)
  except faults.SkippedError as error:
    why = f"skipped: {error}"
  except runs.Missed as error:
    why = f"{error}, in {_DRAWS} draws"
  except TimeoutError as error:
    why = str(error)
  return {
    "fault": kind,
    "moments": [],
    "statuses": [],
    "resumed_at": [],
    "outcome": why,
  }


if __name__ == "__main__":
  cli.run(main)
