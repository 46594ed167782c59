"""The programs import each other as scripts do: by the folder they lie in."""

import pathlib
import sys

FOLDER = pathlib.Path(__file__).parents[2] / "experiments" / "benchmarks"
sys.path.insert(0, str(FOLDER))
