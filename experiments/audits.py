r"""Audits of every view that the shipped configs train on.

python experiments/audits.py --out experiments/results/audits

One audit for each different (data, view, backbone) that is not known to leak;
about two minutes each on two cores. Exit status 3 where one finds a leak, else
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
  probes = report["probes"]
  main, control = probes["pre-turned"], probes["control"]
  worst = max(
    (k for k in probes if k not in ("pre-turned", "control")),
    key=lambda k: probes[k]["nats"],
  )
  return (
    f"| `{name}` | {main['nats']:+.4f} ({main['low']:+.4f} to"
    f" {main['high']:+.4f}) | {control['nats']:.4f} of"
    f" {report['planted_nats']:.4f} | {worst}: {probes[worst]['nats']:+.4f} |"
    f" {'passes' if report['passed'] else report['verdict']} |"
    f" {report['seconds']:.0f} |"
  )


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

  out = pathlib.Path(args.out)
  out.mkdir(parents=True, exist_ok=True)
  rows, outcomes = [], set()
  for name, config in views():
    file = out / f"{config.name.replace(',', '-')}.json"
    if not file.exists():
      files.write_json(file, verdict.run(config, 1000, 4000))
    report = json.loads(file.read_text())
    rows.append(_row(name, report))
    outcomes.add(verdict.outcome(report))
    print(f"{name}: {report['verdict']}", flush=True)
  head = [
    "| config | hidden pre-turn, nats (95 %) | control found | worst of the"
    " other probes, nats | verdict | s |",
    "|---|---|---|---|---|---|",
  ]
  (out / "table.md").write_text("\n".join(head + rows) + "\n")
  worst = next((o for o in ("leaks", "undecided") if o in outcomes), "passes")
  return verdict.EXIT_STATUS[worst]


if __name__ == "__main__":
  cli.run(main)
