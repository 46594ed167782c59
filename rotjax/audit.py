"""`python -m rotjax.audit`: does the view tell the angle by itself?"""

from collections.abc import Sequence

from rotjax import cli
from rotjax.cli import environment
from rotjax.config import hints


def main(argv: Sequence[str]) -> int:
  """Runs the command; returns 0, 3 for a leak, 4 for undecided."""
  argv, overrides = cli.split_overrides(argv)
  p = cli.parser(
    "rotjax.audit",
    "Measure how much a config's view tells about the angle when the content"
    " tells nothing: every image is first turned by a hidden angle. Exits with"
    " 0 where every bound is below 0.02 nats and planted leaks of that size are"
    " found, 3 where a leak above it is shown, and 4 where it is undecided.",
    "  python -m rotjax.audit --config configs/vonmises.py\n"
    "  python -m rotjax.audit --config configs/vonmises.py"
    " --config.view.center=canvas",
    hints.meant,
  )
  p.add_argument("--config", required=True, metavar="FILE[:VARIANT]")
  p.add_argument(
    "--workdir",
    metavar="DIR",
    help="for audit.json and audit.png; runs/audit-...",
  )
  p.add_argument(
    "--thorough",
    action="store_true",
    help="more sources, networks, seeds, learning rates and steps; hours",
  )
  p.add_argument(
    "--num_steps",
    type=int,
    metavar="N",
    help="of the training of each network (600; 4000 if thorough)",
  )
  p.add_argument(
    "--num_sources",
    type=int,
    metavar="N",
    help="differently turned images to look at (4000; 12000 if thorough)",
  )
  cli.add_common_flags(p)
  args = p.parse_args(argv)
  environment.use_compile_cache(not args.no_compile_cache)
  from rotjax import distributed, errors, files
  from rotjax.config import load
  from rotjax.leakage import examine, verdict
  from rotjax.leakage import report as report_lib

  distributed.refuse_several("rotjax.audit")
  given = examine.budget(args.num_sources, args.num_steps, args.thorough)
  if given.num_steps < 2 or given.num_sources < 64:
    raise errors.UserError(
      f"--num_steps={given.num_steps} and --num_sources={given.num_sources}:"
      " --num_steps is at least 2, --num_sources 64"
    )
  config = load.config(args.config, overrides)
  folder = cli.workdir(args.workdir, f"runs/audit-{config.name}")
  environment.check_devices()
  report = examine.run(config, given)
  folder.mkdir(parents=True, exist_ok=True)
  files.write_json(folder / "audit.json", report)
  report_lib.plot(report, folder / "audit.png")
  print(f"{report_lib.text(report)}\n\n  {report['seconds']:.0f} s, {folder}")
  return verdict.EXIT_STATUS[verdict.outcome(report)]


if __name__ == "__main__":
  cli.run(main)
