"""`python` as the pages' commands meet it: the same command, made short.

test_commands.py puts it on the PATH of a page's commands. It changes how long a
command takes and nothing else, and notes in $ROTJAX_COMMANDS how each ended.
"""

import json
import os
import subprocess
import sys

# Audits that find a leak or nothing do not fail: so few steps tell nothing.
_FINE = {"rotjax.audit": (0, 3, 4)}
_ADDED = {
  "rotjax.ablate": ["--config.num_seeds=1"],
  "rotjax.audit": ["--num_steps=4", "--num_sources=64"],
}


def short(argv: list[str]) -> list[str]:
  """Every config and sweep in its smoke variant, an audit in a few steps."""
  argv = list(argv)
  for flag in ("--config", "--sweep"):
    if flag in argv:
      place = argv.index(flag) + 1
      name, _, variant = argv[place].partition(":")
      argv[place] = ",".join(filter(None, [f"{name}:smoke", variant]))
  module = argv[1] if argv[:1] == ["-m"] else ""
  return argv + _ADDED.get(module, [])


def main() -> int:
  """Runs the command; its exit status, 0 for every good end."""
  argv = short(sys.argv[1:])
  status = subprocess.run([sys.executable, *argv]).returncode
  module = argv[1] if argv[:1] == ["-m"] else argv[0]
  fine = status in _FINE.get(module, (0,))
  with open(os.environ["ROTJAX_COMMANDS"], "a") as file:
    file.write(json.dumps([sys.argv[1:], status, fine]) + "\n")
  return 0 if fine else status


if __name__ == "__main__":
  sys.exit(main())
