"""Prepares a dataset, so that runs need neither network nor time for it."""

import argparse
from collections.abc import Sequence
import sys
from typing import Any

from rotjax import cli, data, errors
from rotjax.config import hints

_EXAMPLES = """\
  python -m rotjax.data prepare mnist_5k
  python -m rotjax.data prepare mnist --dir /data/tfds
  python -m rotjax.data prepare --config configs/folder.py \\
      --config.data.dir=/data/photos
"""


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command; returns its exit status: 0, or 2 for wrong input."""
  parser = cli.parser("rotjax.data", __doc__, _EXAMPLES, hints.meant)
  commands = parser.add_subparsers(metavar="COMMAND", required=True)
  prepare = commands.add_parser(
    "prepare",
    help="prepare a dataset from its original files or the network",
    description=(
      "Prepares a dataset from its original files or the network: one by its"
      " name, with its default options, or that of a config. What was"
      " interrupted goes on where it was. Other TFDS datasets are prepared by"
      " TFDS itself, where TensorFlow is installed: tfds build NAME"
      " --file_format=array_record"
    ),
    epilog=parser.epilog,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  prepare.add_argument(
    "name", metavar="NAME", nargs="?", help=", ".join(data.DATASETS)
  )
  prepare.add_argument(
    "--dir",
    default="",
    metavar="D",
    help=(
      "TFDS data directory, or, for mnist and fashion_mnist, a folder with"
      " the original .gz files, or, for folder and csv, the pictures; default"
      " as for data.dir in a config"
    ),
  )
  prepare.add_argument(
    "--config",
    metavar="F",
    help="the dataset of a config, with its --config.data.... overrides",
  )
  try:
    rest, overrides = cli.split_overrides(
      sys.argv[1:] if argv is None else argv
    )
    args = parser.parse_args(rest)
    dataset = _dataset(args, overrides)
    folder = dataset.prepare()
  except errors.UserError as error:
    print(error, file=sys.stderr)
    return 2
  print(f"{dataset.name} is ready in {folder}")
  return 0


def _dataset(args: argparse.Namespace, overrides: dict[str, str]) -> Any:
  """The dataset that the arguments name."""
  if (args.name is None) == (args.config is None):
    raise errors.UserError("name either a dataset or a --config FILE")
  if args.config is None:
    if overrides:
      raise errors.UserError(
        f"--config.{next(iter(overrides))} needs a --config FILE"
      )
    name, options = args.name, {"name": args.name, "dir": args.dir}
  else:
    if args.dir:
      raise errors.UserError(
        "--dir does not go with --config: use --config.data.dir"
      )
    from rotjax.config import load

    options = load.config(args.config, overrides).data
    name = options.name
  errors.choose("dataset", name, data.DATASETS)
  from rotjax.config import named

  return named.build("data", options)


if __name__ == "__main__":
  cli.run(main)
