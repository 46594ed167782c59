"""Prepares a dataset, so that runs need neither network nor time for it."""

import argparse
from collections.abc import Sequence
import sys

from rotjax import data, errors

_EXAMPLES = """examples:
  python -m rotjax.data prepare mnist_5k
  python -m rotjax.data prepare mnist --dir /data/tfds
"""


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command; returns its exit status: 0, or 2 for wrong input."""
  parser = argparse.ArgumentParser(
    prog="python -m rotjax.data",
    description=__doc__,
    epilog=_EXAMPLES,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  commands = parser.add_subparsers(metavar="COMMAND", required=True)
  prepare = commands.add_parser(
    "prepare",
    help="prepare a dataset from its original files or the network",
    description=(
      "Prepares a dataset from its original files or the network. Other"
      " TFDS datasets are prepared by TFDS itself, where TensorFlow is"
      " installed: tfds build NAME --file_format=array_record"
    ),
    epilog=_EXAMPLES,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  prepare.add_argument("name", metavar="NAME", help=", ".join(data.DATASETS))
  prepare.add_argument(
    "--dir",
    default="",
    metavar="D",
    help=(
      "TFDS data directory, or, for mnist and fashion_mnist, a folder with"
      " the original .gz files; default as for data.dir in a config"
    ),
  )
  args = parser.parse_args(argv)
  try:
    if args.name not in data.DATASETS:
      raise errors.unknown("dataset", args.name, data.DATASETS)
    folder = data.DATASETS[args.name](dir=args.dir).prepare()
  except errors.UserError as error:
    print(error, file=sys.stderr)
    return 2
  print(f"{args.name} is ready in {folder}")
  return 0


if __name__ == "__main__":
  sys.exit(main())
