r"""Audits of every view that the shipped configs train on.

python experiments/audits.py --out experiments/results/audits

One audit for each different (data, view, backbone) that is not known to leak;
about five minutes each on two cores. Exit status 3 where one finds a leak, else
4 where one is undecided.
"""

from collections.abc import Iterator, Sequence
import json
import pathlib

from rotjax import cli
from rotjax.cli import environment
from rotjax.leakage import verdict

_VARIANTS = ("", "mnist", "all_digits", "mnist,all_digits")


def views() -> Iterator[tuple[str, object]]:
  """Config with variant, and the config, of each different view."""
  from rotjax.config import load, named, resolve

  folder = pathlib.Path(__file__).parent.parent / "configs"
  seen = set()
  for file in sorted(folder.glob("*.py"), key=lambda f: f.stem != "vonmises"):
    for variant in _VARIANTS:
      config = load.load(f"{file}:{variant}")
      dataset = named.build("data", config.data)
      if named.build("view", config.view).leaks(dataset.center):
        continue
      sections = {key: config[key] for key in ("data", "view", "model")}
      digest = resolve.digest(resolve.flatten(sections))
      if digest not in seen:
        seen.add(digest)
        yield f"{file.stem}:{variant}".rstrip(":"), config


def _row(name: str, report: dict) -> str:
  findings, planted = report["findings"], report["planted"]
  cells = [f"`{name}`"]
  for family in ("linear", "boosting", "networks"):
    found = findings[family]
    cells.append(
      f"{found['nats']:+.4f} ({found['low']:+.4f} to {found['high']:+.4f})"
    )
  synthetic = {k: f for k, f in findings.items() if "," in k}
  worst = max(synthetic, key=lambda k: synthetic[k]["highest"])
  cells += [
    f"{worst}: {synthetic[worst]['highest']:+.4f}",
    f"{sum(report['seen'].values())} of {len(planted)}",
    report["outcome"],
    f"{report['seconds']:.0f}",
  ]
  return f"| {' | '.join(cells)} |"


def main(argv: Sequence[str]) -> int:
  """Runs the audits that are not there yet, and writes the page."""
  p = cli.parser(
    "experiments/audits.py",
    "Audit every view of the shipped configs that is not known to leak.",
    "  python experiments/audits.py --out experiments/results/audits",
  )
  p.add_argument("--out", required=True, metavar="DIR")
  cli.add_common_flags(p)
  args = p.parse_args(argv)
  environment.use_compile_cache(not args.no_compile_cache)
  from rotjax import files
  from rotjax.leakage import examine

  given = examine.budget(None, None, thorough=False)
  out = pathlib.Path(args.out)
  out.mkdir(parents=True, exist_ok=True)
  rows, outcomes = [], set()
  for name, config in views():
    file = out / f"{config.name.replace(',', '-')}.json"
    if not file.exists():
      files.write_json(file, examine.run(config, given))
    report = json.loads(file.read_text())
    rows.append(_row(name, report))
    outcomes.add(verdict.outcome(report))
    print(f"{name}: {report['verdict']}", flush=True)
  head = [
    "| config | linear, nats (corrected 95 %) | boosting | networks | highest"
    " bound of the synthetic sources | plants found | verdict | s |",
    "|---|---|---|---|---|---|---|---|",
  ]
  (out / "table.md").write_text("\n".join(head + rows) + "\n")
  worst = next((o for o in ("leaks", "undecided") if o in outcomes), "passes")
  return verdict.EXIT_STATUS[worst]


if __name__ == "__main__":
  cli.run(main)
