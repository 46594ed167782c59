"""What a command is started in: jax's variables, locales, streams, memory."""

import ast
import errno
import json
import logging
import os
import pathlib
import pwd
import subprocess
import sys

import jax
import pytest

from rotjax import cli
from rotjax.cli import environment
from rotjax.config import load

_ABSENT = "tpu" if os.path.exists("/dev/nvidia0") else "cuda"
ROOT = pathlib.Path(__file__).parents[2]
SHORT = [
  *("--config", str(ROOT / "configs/smoke.py"), "--config.num_steps=4"),
  *("--config.eval.num_angles=2", "--config.num_train_images=40"),
]


def _main(tmp_path, variables, before=(), **options):
  environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
  options = {"stdout": subprocess.PIPE, **options}
  return subprocess.run(
    [*before, sys.executable, "-m", "rotjax.main", *SHORT, "--workdir", "run"],
    env={k: v for k, v in environment.items() if v is not None},
    cwd=tmp_path,
    stderr=subprocess.PIPE,
    timeout=300,
    **options,
  )


@pytest.mark.slow
def test_training_where_every_variable_and_the_locale_are_odd(tmp_path):
  done = _main(
    tmp_path,
    {
      "JAX_ENABLE_X64": "1",
      "JAX_NUMPY_DTYPE_PROMOTION": "strict",
      "JAX_DEBUG_NANS": "True",
      "JAX_TRANSFER_GUARD": "disallow",
      "LC_ALL": "C",
      "PYTHONUTF8": "0",
      "PYTHONCOERCECLOCALE": "0",
      "PYTHONIOENCODING": "ascii",
      "JAX_COMPILATION_CACHE_DIR": "/dev/null/cache",
      "HOME": None,
    },
  )
  err = done.stderr.decode()
  assert done.returncode == 0, err
  assert "rotjax: JAX_ENABLE_X64=1 is not followed" in err
  assert "JAX_DEBUG_NANS=True is not followed" in err
  assert "Traceback" not in err
  # One line for the cache, not one for each program.
  assert err.count("compiled programs are not kept") == 1
  assert err.count("persistent compilation cache") == 0
  assert b"?" in done.stdout  # the degree sign in ASCII
  summary = json.loads((tmp_path / "run" / "summary.json").read_text("utf-8"))
  assert summary["test"]["mae_deg"] > 0


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_stdout_and_a_closed_one_lose_nothing(tmp_path):
  with open("/dev/full", "w") as full:
    done = _main(tmp_path, {}, stdout=full)
  line = done.stderr.decode().splitlines()[-1]
  assert done.returncode == 2
  assert "stdout cannot be written" in line and "checkpoint" not in line
  assert "Exception ignored" not in done.stderr.decode()
  assert (tmp_path / "run" / "summary.json").exists()
  shown = _main(tmp_path, {}, before=("sh", "-c", 'exec "$0" "$@" >&-'))
  assert shown.returncode == 0, shown.stderr


@pytest.mark.parametrize(
  "variables,words",
  [
    ({"JAX_PLATFORMS": _ABSENT}, f"JAX_PLATFORMS={_ABSENT!r}"),
    ({"JAX_PLATFORMS": "no_such"}, "JAX_PLATFORMS='no_such'"),
    ({"JAX_NUM_CPU_DEVICES": "x"}, "jax_num_cpu_devices"),
    ({"JAX_DEFAULT_PRNG_IMPL": "dice"}, "jax_default_prng_impl"),
  ],
)
def test_a_variable_that_jax_refuses_is_one_line(tmp_path, variables, words):
  if variables.get("JAX_PLATFORMS") == "cuda" and os.path.exists(
    "/dev/nvidia0"
  ):
    pytest.skip("there is a CUDA device")
  done = _main(tmp_path, variables)
  (line,) = done.stderr.decode().splitlines()
  assert done.returncode == 2
  assert line.startswith("rotjax: ") and words in line
  assert not (tmp_path / "run").exists()


def test_no_home_is_no_cache_and_one_line(monkeypatch, caplog):
  def nobody(uid):
    raise KeyError(uid)

  for name in ("HOME", "XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR"):
    monkeypatch.delenv(name, raising=False)
  monkeypatch.setattr(pwd, "getpwuid", nobody)
  before = jax.config.jax_enable_compilation_cache
  try:
    environment.use_compile_cache(True)
    assert not jax.config.jax_enable_compilation_cache
  finally:
    jax.config.update("jax_enable_compilation_cache", before)
  (record,) = caplog.records
  assert "home folder is not known" in record.getMessage()


def _fails(monkeypatch, capsys, command):
  monkeypatch.setattr(sys, "argv", ["rotjax.main"])
  with pytest.raises(SystemExit) as caught:
    cli.run(command)
  assert caught.value.code == 2
  (line,) = capsys.readouterr().err.splitlines()
  return line


def _raising(error, module):
  """A command in which a function of a module raises."""
  scope = {"__name__": module, "error": error}
  exec("def command(argv):\n  raise error\n", scope)
  return scope["command"]


@pytest.mark.parametrize(
  "module,words,absent",
  [
    ("rotjax.evaluation.evaluator", "--config.eval.batch_views=", "batch_size"),
    ("rotjax.run.loop", "seeds_together=off", "batch_views"),
    ("rotjax.image.pictures", "picture", "batch"),
  ],
)
def test_memory_that_ran_out_is_told_by_where(
  monkeypatch, capsys, module, words, absent
):
  error = RuntimeError("RESOURCE_EXHAUSTED: Out of memory")
  line = _fails(monkeypatch, capsys, _raising(error, module))
  assert words in line and absent not in line


def test_the_memory_lines_advice_goes_on_with_the_same_run():
  """What it calls harmless is no part of the run's name."""
  config = load.config("smoke", {"seeds_together": "off"})
  assert config.name == load.config("smoke", {}).name == "smoke"
  smaller = load.config("smoke", {"batch_size": "8"})
  both = {"batch_size": "8", "seeds_together": "off", "log.every_steps": "3"}
  assert load.config("smoke", both).name == smaller.name != "smoke"


@pytest.mark.parametrize("number", ["EACCES", "EROFS", "ENAMETOOLONG", "EIO"])
def test_what_the_system_refuses_names_the_file(monkeypatch, capsys, number):
  error = OSError(getattr(errno, number), os.strerror(getattr(errno, number)))
  error.filename = "/some/file"
  line = _fails(monkeypatch, capsys, _raising(error, "rotjax.run.summary"))
  assert "'/some/file'" in line


def test_a_full_disk_speaks_of_checkpoints_only_in_training(
  monkeypatch, capsys
):
  error = OSError(errno.ENOSPC, "No space left on device")
  line = _fails(monkeypatch, capsys, _raising(error, "rotjax.run.loop"))
  assert "last good checkpoint" in line
  error = OSError(errno.ENOSPC, "No space left on device")
  line = _fails(monkeypatch, capsys, _raising(error, "rotjax.report"))
  assert "no space left" in line and "checkpoint" not in line


def test_a_librarys_log_is_its_own_and_absl_is_left_alone():
  code = (
    "import logging, sys\n"
    "from rotjax import cli\n"
    "def command(argv):\n"
    "  from rotjax.run import checkpoint\n"
    "  absl = logging.getLogger('absl')\n"
    "  assert absl.getEffectiveLevel() < logging.CRITICAL\n"
    "  logging.getLogger('matplotlib.font_manager').warning('no font')\n"
    "  logging.getLogger('rotjax').info('ours')\n"
    "  absl.error('hundreds of lines')\n"
    "cli.run(command)\n"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
  )
  assert done.returncode == 0, done.stderr
  assert done.stderr.splitlines() == [
    "matplotlib.font_manager: no font",
    "rotjax: ours",
  ]


def _states_encoding(call):
  """Whether a call that opens a file says how its text is encoded."""
  name = getattr(call.func, "attr", getattr(call.func, "id", ""))
  least = {"read_text": 1, "write_text": 2}.get(name)
  if any(k.arg == "encoding" for k in call.keywords):
    return True
  if least is not None:
    return len(call.args) >= least
  # open(path) and path.open() alike; os.open has flags, Pillow no text.
  if name != "open" or "PIL" in ast.unparse(call.func):
    return True
  # A run folder's own `open` takes a step.
  if ast.unparse(call.func) in ("os.open", "gzip.open", "run.open"):
    return True
  modes = [a.value for a in call.args if isinstance(a, ast.Constant)]
  return any("b" in str(mode) for mode in modes)


def test_no_file_is_read_or_written_in_the_locales_encoding():
  """A Latin-1 or ASCII locale would garble it, or end in a traceback."""
  silent = [
    f"{file.name}:{node.lineno}"
    for file in (ROOT / "rotjax").rglob("*.py")
    for node in ast.walk(ast.parse(file.read_text("utf-8")))
    if isinstance(node, ast.Call) and not _states_encoding(node)
  ]
  assert silent == []


def test_settling_leaves_what_is_right_alone(monkeypatch, caplog):
  caplog.set_level(logging.INFO)
  for name in ("JAX_ENABLE_X64", "JAX_DEBUG_NANS"):
    monkeypatch.setenv(name, "false")
  monkeypatch.setenv("JAX_NUMPY_DTYPE_PROMOTION", "standard")
  environment.settle()
  assert not caplog.records
