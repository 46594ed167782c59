"""Every command that the pages show is run, as it stands there.

A page's commands run in its order, in one folder that holds what they name:
`PATH` and `TURNED` are folders of pictures, the Python blocks that begin with a
file name are those files, runs/vonmises is a finished run and runs/heads a
finished sweep. `python` is tests/shortened.py, so that each takes seconds.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from tests import shortened

ROOT = pathlib.Path(__file__).parent.parent
PAGES = ["CONTRIBUTING.md", "README.md", "configs/README.md"]
PAGES += [f"docs/{page.name}" for page in ROOT.glob("docs/*.md")]
# A block; or a command in a sentence, which may be broken over two lines.
_CODE = re.compile(
  r"```(?P<kind>bash|python)\n(?P<block>.*?)```"
  r"|`(?P<inline>python -m rotjax\.[^`]+)`",
  re.DOTALL,
)
# Two arms of a sweep are enough here: the baseline, and another.
_FEWER = """

_every_arm = sweep


def sweep():
  arms = list(_every_arm())
  first = globals().get("BASELINE", arms[0][0])
  others = [arm for arm in arms if arm[0] != first]
  return [arm for arm in arms if arm[0] == first] + others[:1]
"""
# What cannot be run here, and why.
_LEFT_OUT = {
  "pip install": "a new environment: .ci/run runs these two, word for word",
  "prepare mnist": "downloads: tests/data/test_mnist.py has stand-ins",
  "vonmises.py:mnist": "downloads, too",
}


def _scripts(page):
  """The page's shell scripts and Python programs, in order."""
  text = (ROOT / page).read_text()
  for match in _CODE.finditer(text):
    script = match["block"] or " ".join(match["inline"].split())
    if match["kind"] == "python":
      if not script.startswith("# my_package/"):
        yield "python", script
    elif "python -m rotjax." in script:
      if not any(words in script for words in _LEFT_OUT):
        yield "bash", script


def _pages():
  return [page for page in sorted(PAGES) if list(_scripts(page))]


def _write_pictures(folder, count):
  """A bright bar at the top of each on dark noise, turned by quarters."""
  rng = np.random.default_rng(len(folder.name))
  folder.mkdir()
  rows = ["path,angle_deg"]
  for n in range(count):
    pixels = rng.integers(0, 60, (100, 100), np.uint8)
    pixels[10:30, 20:80] = 255
    pixels = np.rot90(pixels, n % 4) if folder.name == "TURNED" else pixels
    PIL.Image.fromarray(pixels.copy()).save(folder / f"{n}.png")
    rows.append(f"{n}.png,{90 * (n % 4) if folder.name == 'TURNED' else 0}")
  (folder / "angles.csv").write_text("\n".join(rows) + "\n")


class Reader:
  """Someone who types what a page says, in a folder of their own."""

  def __init__(self, folder):
    self.folder, self.log = folder, folder / "commands.jsonl"
    for name in ("README.md", "configs", "docs", "experiments"):
      copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
      copy(ROOT / name, folder / name)
    for file in (folder / "experiments").glob("*.py"):
      if "\ndef sweep(" in file.read_text():
        file.write_text(file.read_text() + _FEWER)
    for name, count in (("PATH", 120), ("TURNED", 12), ("photos", 2)):
      _write_pictures(folder / name, count)
    shutil.copy(folder / "photos/0.png", folder / "scan.png")
    for page in PAGES:
      text = (ROOT / page).read_text()
      for name, code in re.findall(
        r"```python\n# (my_package/\S+)\n(.*?)```", text, re.DOTALL
      ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(code)
    binaries = folder / ".bin"
    binaries.mkdir()
    (binaries / "python").write_text(
      f'#!/bin/sh\nexec "{sys.executable}" "{shortened.__file__}" "$@"\n'
    )
    (binaries / "python").chmod(0o755)
    self.environment = {
      **os.environ,
      "PATH": f"{binaries}:{os.environ['PATH']}",
      "PYTHONPATH": str(ROOT),
      "ROTJAX_COMMANDS": str(self.log),
      "XDG_CACHE_HOME": str(folder / "cache"),
    }
    self.environment.pop("TFDS_DATA_DIR", None)

  def run(self, kind, script):
    """Runs it; returns (command, status) of what it called `python` for."""
    self.log.write_text("")
    program = ["bash", "-euo", "pipefail", "-c"]
    program = [sys.executable, "-c"] if kind == "python" else program
    done = subprocess.run(
      [*program, script],
      cwd=self.folder,
      env=self.environment,
      capture_output=True,
      text=True,
    )
    ended = [json.loads(line) for line in self.log.read_text().splitlines()]
    told = f"{script}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    assert done.returncode == 0, told
    # One in the background does not decide a script's exit status.
    assert all(fine for _, _, fine in ended), told
    assert "Traceback" not in done.stderr, told
    if kind == "bash":
      assert len(ended) >= script.count("python -m rotjax."), told
    return [(argv, status) for argv, status, _ in ended]


@pytest.fixture(name="reader", scope="module")
def _reader(tmp_path_factory):
  reader = Reader(tmp_path_factory.mktemp("reader"))
  reader.run(
    "bash",
    "python -m rotjax.main --config configs/vonmises.py"
    " --workdir runs/vonmises\n"
    "python -m rotjax.ablate --sweep experiments/heads.py --workdir runs/heads",
  )
  return reader


def test_short_commands_are_the_commands():
  line = "-m rotjax.main --config folder.py:as_found --workdir a --mode eval"
  expected = line.replace("folder.py:as_found", "folder.py:smoke,as_found")
  assert shortened.short(line.split()) == expected.split()
  assert shortened.short(["-m", "rotjax.ablate", "--sweep", "a.py"]) == [
    *("-m", "rotjax.ablate", "--sweep", "a.py:smoke"),
    "--config.num_seeds=1",
  ]
  assert shortened.short(["a.py", "--out", "b"]) == ["a.py", "--out", "b"]


def test_a_command_that_fails_is_noticed(tmp_path):
  reader = Reader(tmp_path)
  wrong = "python -m rotjax.main --config configs/vonmisse.py"
  with pytest.raises(AssertionError, match="did you mean 'vonmises'"):
    reader.run("bash", f"{wrong} &\nwait")  # whose own status is 0


@pytest.mark.slow
@pytest.mark.parametrize("page", _pages())
def test_commands_shown_run(page, reader):
  for kind, script in _scripts(page):
    reader.run(kind, script)
