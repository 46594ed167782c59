"""`python -m rotjax.main`: trains a config, resumes it, or evaluates it."""

from collections.abc import Sequence

from rotjax import cli, errors, files
from rotjax.cli import environment
from rotjax.config import hints


def main(argv: Sequence[str]) -> int:
  """Runs the command; returns its exit status."""
  argv, overrides = cli.split_overrides(argv)
  p = cli.parser(
    "rotjax.main",
    "Train a network to tell how far an image has been turned, or evaluate"
    " the best checkpoint of a run. The same command again resumes the run,"
    " or shows its table when it is finished. Any config field can be set"
    " with --config.field=value.",
    "  python -m rotjax.main --config configs/vonmises.py\n"
    "  python -m rotjax.main --config configs/vonmises.py:mnist"
    " --config.head.name=bins --config.head.num_bins=72\n"
    "  python -m rotjax.main --mode eval --workdir runs/vonmises"
    " --config.eval.tta=rot90",
    hints.meant,
  )
  p.add_argument(
    "--config",
    metavar="FILE[:VARIANT]",
    help="a config file, or the name of a shipped one (vonmises); with --mode"
    " eval the run's own if not",
  )
  p.add_argument("--workdir", metavar="DIR", help="run folder; runs/... if not")
  p.add_argument(
    "--mode",
    choices=("train", "eval"),
    default="train",
    help="eval scores a finished run again; on other terms than its own"
    " (--config.data..., angles, eval) in a folder eval-... beside it",
  )
  p.add_argument(
    "--overwrite",
    action="store_true",
    help="delete what the run folder holds and start again",
  )
  p.add_argument(
    "--time_limit",
    type=float,
    metavar="MINUTES",
    help="stop after so long, save, and exit with status 75",
  )
  p.add_argument(
    "--profile",
    metavar="START:STOP",
    help="trace these steps with jax.profiler into the run folder's profile/",
  )
  cli.add_common_flags(p)
  args = p.parse_args(argv)

  # Only now what takes seconds to import.
  environment.use_compile_cache(not args.no_compile_cache)
  from rotjax import distributed, stopping
  from rotjax.config import load
  from rotjax.run import train

  if args.profile is not None:
    overrides["log.profile"] = args.profile
  if args.time_limit is not None:
    stopping.limit_minutes(args.time_limit)
  if args.config:
    config = load.config(args.config, overrides, args.mode == "train")
  elif args.mode == "eval" and args.workdir:
    config = train.config_of(
      files.absolute(args.workdir, "--workdir"), overrides
    )
  else:
    raise errors.UserError(
      "--config is needed: a file, or the name of a shipped one (vonmises);"
      " --mode eval does with --workdir"
    )
  distributed.start(config.distributed)
  environment.check_devices()
  workdir = cli.workdir(args.workdir, f"runs/{config.name}")
  if args.mode == "eval":
    return train.evaluate(config, workdir)
  return train.train(config, workdir, args.overwrite)


if __name__ == "__main__":
  cli.run(main)
