"""`python -m rotjax`: lists the commands."""

from collections.abc import Sequence

from rotjax import cli
from rotjax.cli import commands


def main(argv: Sequence[str]) -> None:
  """Runs the command."""
  # It has no flag of its own, and whatever follows belongs to another.
  if argv and argv[0] not in ("-h", "--help"):
    raise commands.unknown_command(argv[0])
  print("rotjax: how far has this image been turned?\n")
  for name, sentence in commands.COMMANDS.items():
    print(f"  python -m rotjax.{name:<8} {sentence}")
  print("\nEach has a --help with two examples.")


if __name__ == "__main__":
  cli.run(main)
