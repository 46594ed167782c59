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
    " 0 where no leak above 0.02 nats is found, 3 where there is one, and 4"
    " where, as the planted one shows, none of that size could be found.",
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
  p.add_argument("--num_steps", type=int, default=1000, metavar="N")
  p.add_argument("--num_sources", type=int, default=4000, metavar="N")
  cli.add_common_flags(p)
  args = p.parse_args(argv)
  environment.use_compile_cache(not args.no_compile_cache)
  from rotjax import distributed, errors, files
  from rotjax.config import load
  from rotjax.leakage import verdict

  distributed.refuse_several("rotjax.audit")
  if args.num_steps < 2 or args.num_sources < 64:
    raise errors.UserError("--num_steps is at least 2, --num_sources 64")
  config = load.config(args.config, overrides)
  folder = cli.workdir(args.workdir, f"runs/audit-{config.name}")
  environment.check_devices()
  report = verdict.run(config, args.num_steps, args.num_sources)
  folder.mkdir(parents=True, exist_ok=True)
  files.write_json(folder / "audit.json", report)
  verdict.plot(report, folder / "audit.png")
  print(f"{verdict.text(report)}\n\n  {report['seconds']:.0f} s, {folder}")
  return verdict.EXIT_STATUS[verdict.outcome(report)]


if __name__ == "__main__":
  cli.run(main)
