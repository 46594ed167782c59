"""`python -m rotjax.ablate`: every arm of a sweep, with its seeds."""

from collections.abc import Sequence
import shlex
import subprocess
import sys

from rotjax import cli, errors, files, stopping
from rotjax.cli import environment

_LAUNCHERS = ("local", "print", "slurm")
# The usual ones; for others sbatch has variables (SBATCH_ACCOUNT, ...), but for
# cores.
_SBATCH = ("partition", "time", "gres", "cpus_per_task")


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
  if args.launcher != "local":
    if not args.dry_run:
      manifest.write(workdir, plan)
    _hand_over(plan, workdir, args)
    return 0
  if args.dry_run:
    for arm in plan.arms:
      print(f"{manifest.status(workdir, arm):<14} {arm.name}")
    return 0
  with manifest.hold(workdir, plan):
    return _run_here(plan, workdir, args)


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
  p.add_argument("--launcher", choices=_LAUNCHERS, default="local")
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
    help="afterwards audit each different view (two minutes each) for leaks;"
    " the verdict is a column of the table",
  )
  for option in _SBATCH:
    p.add_argument(f"--{option}", metavar="X", help="of sbatch")
  cli.add_common_flags(p)
  return p


def _run_here(plan, workdir, args) -> int:
  from rotjax.ablation import arms as arms_lib
  from rotjax.ablation import audits

  try:
    arms_lib.local(plan, workdir, args.workers, _flags(args))
  except errors.Stopped as stopped:
    print(
      f"rotjax: stopped by {stopped}; the same command goes on with {workdir}",
      file=sys.stderr,
    )
    return stopping.EXIT_STATUS
  if args.audit:
    audits.run(plan, workdir)
  return _end(plan, workdir)


def _flags(args) -> list[str]:
  """What the commands of single arms are given, too."""
  return ["--no_compile_cache"] if args.no_compile_cache else []


def _hand_over(plan, workdir, args) -> None:
  """Prints what runs the arms elsewhere, or submits it."""
  from rotjax.ablation import arms as arms_lib

  arms = arms_lib.to_do(plan, workdir)
  if not arms:
    print("every arm is done")
  elif args.launcher == "print":
    for arm in arms:
      print(shlex.join(arms_lib.command(workdir, arm, _flags(args))))
  else:
    given = {k: getattr(args, k) for k in _SBATCH}
    options = {k.replace("_", "-"): v for k, v in given.items() if v}
    script = arms_lib.sbatch_script(plan, workdir, options, _flags(args))
    if args.dry_run:
      print(script, end="")
    else:
      print(f"{_sbatch(script)}; when it is done:")
      print(f"  python -m rotjax.tables --workdir {shlex.quote(str(workdir))}")


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


def _sbatch(script: str) -> str:
  try:
    done = subprocess.run(
      ["sbatch"], input=script, capture_output=True, encoding="utf-8"
    )
  except FileNotFoundError:
    raise errors.UserError(
      "there is no sbatch on this machine: --dry_run prints the script"
    ) from None
  if done.returncode:
    raise errors.UserError(f"sbatch: {done.stderr.strip()}")
  return done.stdout.strip()


if __name__ == "__main__":
  cli.run(main)
