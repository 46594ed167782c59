"""What a wheel holds, and that it works without the sources beside it."""

import json
import os
import pathlib
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parent.parent


def _run(*command, **options):
  done = subprocess.run(
    [str(word) for word in command], capture_output=True, text=True, **options
  )
  assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
  return done.stdout


@pytest.fixture(name="wheel", scope="module")
def _wheel(tmp_path_factory):
  """Built by pip, which fetches the build backend and nothing else."""
  folder = tmp_path_factory.mktemp("wheel")
  _run(
    *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
    *("--wheel-dir", folder, ROOT),
  )
  (file,) = folder.glob("rotjax-*.whl")
  return file


@pytest.fixture(name="python", scope="module")
def _python(wheel, tmp_path_factory):
  """Of a new environment: the wheel, and this one's packages but rotjax."""
  folder = tmp_path_factory.mktemp("environment")
  venv.create(folder)
  python = folder / "bin" / "python"
  _run(
    *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet"),
    *("--no-deps", "--no-index", wheel),
  )
  scheme = {"base": str(folder), "platbase": str(folder)}
  packages = pathlib.Path(sysconfig.get_path("purelib", "venv", scheme))
  # .pth files of a folder that is added so are not read: not the one by which
  # an editable rotjax is found there.
  ours = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
  (packages / "dependencies.pth").write_text("\n".join(ours) + "\n")
  return python


def _environment():
  """Nothing that leads back to the sources."""
  return {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}


def test_the_wheel_holds_what_it_needs(wheel):
  with zipfile.ZipFile(wheel) as archive:
    names = set(archive.namelist())
  assert "rotjax/py.typed" in names
  package = [p for p in (ROOT / "rotjax").rglob("*") if p.is_file()]
  package = [p for p in package if "__pycache__" not in p.parts]
  wanted = {p.relative_to(ROOT).as_posix() for p in package}
  wanted |= {
    f"rotjax/shipped_configs/{p.name}" for p in ROOT.glob("configs/*.py")
  }
  assert wanted <= names
  tops = {name.split("/")[0] for name in names}
  assert {t for t in tops if not t.endswith(".dist-info")} == {"rotjax"}


@pytest.mark.parametrize("absolute", [False, True], ids=["name", "absolute"])
def test_an_installed_rotjax_trains_anywhere(python, tmp_path, absolute):
  where = _run(
    *(python, "-c", "import rotjax; print(rotjax.__file__)"),
    cwd=tmp_path,
    env=_environment(),
  )
  assert pathlib.Path(where.strip()).is_relative_to(python.parent.parent)
  config = ROOT / "configs" / "vonmises.py" if absolute else "vonmises"
  shown = _run(
    *(python, "-m", "rotjax.main", "--config", f"{config}:smoke"),
    cwd=tmp_path,
    env=_environment(),
  )
  assert "mean absolute error" in shown
  run = tmp_path / "runs" / "vonmises-smoke"
  assert json.loads((run / "summary.json").read_text())["test"]["mae_deg"] > 0
