"""`python -m rotjax.ablate`: every arm of a sweep, with its seeds."""

from collections.abc import Sequence
import sys

from rotjax import cli, errors, files, stopping
from rotjax.ablation import launchers
from rotjax.cli import environment


def main(argv: Sequence[str]) -> int:
  """Runs the command; returns its exit status."""
  argv, overrides = cli.split_overrides(argv)
  args = _parser().parse_args(argv)
  environment.use_compile_cache(not args.no_compile_cache)
  if args.workers < 1:
    raise errors.UserError(f"--workers={args.workers} must be at least 1")
  from rotjax import distributed

  distributed.refuse_several("rotjax.ablate")
  if args.time_limit is not None:
    stopping.limit_minutes(args.time_limit)
  if args.arm:
    return _run_one(args)
  from rotjax.ablation import manifest, sweep

  plan = sweep.load(args.sweep, overrides)
  workdir = cli.workdir(args.workdir, f"runs/{plan.name}")
  own = {k: getattr(args, k) for k in launchers.LAUNCHERS[args.launcher]}
  job = launchers.Job(
    plan,
    workdir,
    ("--no_compile_cache",) if args.no_compile_cache else (),
    args.workers,
    {k: v for k, v in own.items() if v},
  )
  launcher = launchers.find(args.launcher)
  if args.dry_run:
    launcher.show(job)
    return 0
  with manifest.hold(workdir, plan):
    return _launch(launcher, job, args.audit)


def _parser():
  p = cli.parser(
    "rotjax.ablate",
    "Run every arm of an experiment file with its seeds, and end in a table."
    " The same command again goes on where it was stopped, tries failed arms"
    " once more and leaves finished ones alone.",
    "  python -m rotjax.ablate --sweep experiments/heads.py"
    " --workdir runs/heads\n"
    "  python -m rotjax.ablate --sweep experiments/heads.py --launcher slurm"
    " --partition gpu --time 4:00:00",
  )
  what = p.add_mutually_exclusive_group(required=True)
  what.add_argument("--sweep", metavar="FILE[:VARIANT]")
  what.add_argument(
    "--arm", metavar="NAME", help="one arm of --workdir, as a launcher does"
  )
  p.add_argument("--workdir", metavar="DIR", help="runs/... if not given")
  p.add_argument("--launcher", choices=launchers.LAUNCHERS, default="local")
  p.add_argument(
    "--workers", type=int, default=1, metavar="N", help="processes of `local`"
  )
  p.add_argument(
    "--dry_run", action="store_true", help="show the arms and what is done"
  )
  p.add_argument(
    "--time_limit",
    type=float,
    metavar="MINUTES",
    help="of `local`: stop after so long, save, and exit with status 75",
  )
  p.add_argument(
    "--audit",
    action="store_true",
    help="afterwards audit each different view (five minutes each) for leaks;"
    " the verdict is a column of the table",
  )
  for launcher, flags in launchers.LAUNCHERS.items():
    for flag in flags:
      p.add_argument(f"--{flag}", metavar="X", help=f"of `{launcher}`")
  cli.add_common_flags(p)
  return p


def _launch(launcher, job, audit) -> int:
  try:
    if not launcher.launch(job):
      return 0  # they run elsewhere
  except errors.Stopped as stopped:
    print(
      f"rotjax: stopped by {stopped}; the same command goes on with"
      f" {job.workdir}",
      file=sys.stderr,
    )
    return stopping.EXIT_STATUS
  if audit:
    from rotjax.ablation import audits

    audits.run(job.plan, job.workdir)
  return _end(job.plan, job.workdir)


def _run_one(args) -> int:
  from rotjax.ablation import arms as arms_lib
  from rotjax.ablation import manifest

  if not args.workdir:
    raise errors.UserError("--arm needs the sweep's --workdir")
  workdir = files.absolute(args.workdir, "--workdir")
  try:
    # Open between two seeds and trials too: a signal must not kill it there.
    with manifest.opened(workdir) as plan, stopping.on_signals():
      arms = {arm.name: arm for arm in plan.arms}
      if args.arm not in arms:
        raise errors.unknown("arm", args.arm, arms)
      error = arms_lib.run_arm(plan, arms[args.arm], workdir)
  except errors.Stopped as stopped:
    print(f"rotjax: stopped by {stopped}", file=sys.stderr)
    return stopping.EXIT_STATUS
  if error:
    raise errors.UserError(f"arm {args.arm}: {error}")
  return 0


def _end(plan, workdir) -> int:
  from rotjax.ablation import manifest
  from rotjax.reporting import tables

  table = tables.build(plan, workdir)
  tables.write_all(table, workdir)
  print(f"\n{tables.FORMATS['text'](table)}\n  {workdir}")
  failed = {a.name: manifest.failure(workdir, a) for a in plan.arms}
  failed = {name: error for name, error in failed.items() if error}
  if failed:
    name, error = next(iter(failed.items()))
    raise errors.UserError(
      f"{len(failed)} of {len(plan.arms)} arms failed, the first of them"
      f" {name} ({error}); the same command tries them again"
    )
  return 0


if __name__ == "__main__":
  cli.run(main)
