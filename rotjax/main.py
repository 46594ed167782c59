"""`python -m rotjax.main`: trains a config, resumes it, or evaluates it."""

from collections.abc import Sequence
import pathlib

from rotjax import cli


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
    " --config.head.name=bins --config.head.num_bins=72",
  )
  p.add_argument(
    "--config",
    required=True,
    metavar="FILE[:VARIANT]",
    help="a config file, or the name of a shipped one (vonmises)",
  )
  p.add_argument("--workdir", metavar="DIR", help="run folder; runs/... if not")
  p.add_argument("--mode", choices=("train", "eval"), default="train")
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
  cli.add_common_flags(p)
  args = p.parse_args(argv)

  # Only now what takes seconds to import.
  cli.use_compile_cache(not args.no_compile_cache)
  from rotjax import launch, processes, stopping

  if args.time_limit is not None:
    stopping.limit_minutes(args.time_limit)
  config = cli.load_config(args.config, overrides, args.mode == "train")
  processes.start(config.distributed)
  workdir = pathlib.Path(args.workdir or f"runs/{config.name}").absolute()
  if args.mode == "eval":
    return launch.evaluate(config, workdir)
  return launch.train(config, workdir, args.overwrite)


if __name__ == "__main__":
  cli.run(main)
