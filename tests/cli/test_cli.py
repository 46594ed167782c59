"""The command itself: one line for what is wrong, and the exit status."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from rotjax import cli, main

ROOT = pathlib.Path(__file__).parents[2]


def _fails(monkeypatch, capsys, *argv):
  """Runs the command in this process; returns its one line on stderr."""
  monkeypatch.setattr(sys, "argv", ["rotjax.main", *argv])
  with pytest.raises(SystemExit) as caught:
    cli.run(main.main)
  assert caught.value.code == 2
  captured = capsys.readouterr()
  lines = captured.err.strip().splitlines()
  assert len(lines) == 1 and lines[0].startswith("rotjax: "), captured.err
  assert captured.out == ""
  return lines[0]


@pytest.mark.parametrize(
  "argv,words",
  [
    (["--config.batchsize=3"], "did you mean 'batch_size'"),
    (["--config.head.name=vonmisses"], "did you mean 'vonmises'"),
    (["--config.head.name=bins", "--config.head.loss=cosine"], "cross_entropy"),
    (["--config.head.num_bins=72"], "unknown config field"),
    (["--config.batch_size=6"], "multiple of the 4 devices"),
    (["--config.batch_size=big"], "a whole number"),
    (["--config.batch_size"], "needs a value"),
    (["--config.data.classes=(12,)"], "no class 12"),
    (["--config.data.name=mnits"], "mnits"),
    (["--config.executor=shmap"], "pmap"),
    (["--mode=test"], "--help"),
    (["--colour"], "--help"),
  ],
)
def test_wrong_input_is_one_line(monkeypatch, capsys, tmp_path, argv, words):
  workdir = tmp_path / "run"
  # Nothing prepared and nothing reachable: a dataset that is not there.
  monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
  line = _fails(
    monkeypatch, capsys, "--config", "smoke", "--workdir", str(workdir), *argv
  )
  assert words in line
  assert not (workdir / "checkpoints").exists()


def test_a_missing_config_is_one_line(monkeypatch, capsys):
  assert "valid: " in _fails(monkeypatch, capsys, "--config", "nothing.py")
  assert "--config" in _fails(monkeypatch, capsys)


def test_memory_that_ran_out_says_what_to_lower(monkeypatch, capsys):
  def exhausted(argv):
    raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")

  with pytest.raises(SystemExit) as caught:
    cli.run(exhausted)
  assert caught.value.code == 2
  assert "lower batch_size" in capsys.readouterr().err


def test_a_bug_keeps_its_traceback():
  def broken(argv):
    raise RuntimeError("a bug")

  with pytest.raises(RuntimeError, match="a bug"):
    cli.run(broken)


def test_overrides_are_taken_from_anywhere_on_the_line():
  rest, overrides = cli.split_overrides(
    ["--config.a=1", "--config", "f", "--config.b.c", "x=y", "--overwrite"]
  )
  assert rest == ["--config", "f", "--overwrite"]
  assert overrides == {"a": "1", "b.c": "x=y"}


def _command(*argv):
  return [sys.executable, "-m", "rotjax.main", *argv]


def test_help_shows_two_examples_and_imports_nothing_heavy():
  code = (
    "import sys; sys.argv = ['x', '--help']\n"
    "from rotjax import cli, main\n"
    "try: cli.run(main.main)\n"
    "finally: assert not {'jax', 'orbax', 'matplotlib'} & set(sys.modules)"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout.count("python -m rotjax.main --config") == 2


def test_the_command_runs_from_anywhere_and_resumes_after_sigterm(tmp_path):
  environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "1"}
  argv = _command(
    "--config",
    str(ROOT / "configs" / "smoke.py"),
    "--config.num_steps=100000",
    "--workdir=run",
  )
  process = subprocess.Popen(
    argv, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
  )
  log = tmp_path / "run" / "metrics.jsonl"
  deadline = time.monotonic() + 240
  while not (log.exists() and log.read_text()):
    assert process.poll() is None and time.monotonic() < deadline
    time.sleep(0.2)
  process.send_signal(signal.SIGTERM)
  _, err = process.communicate(timeout=120)
  assert process.returncode == 75
  assert "stopped by SIGTERM; the same command resumes" in err
  assert "Traceback" not in err
  steps = [
    int(p.name) for p in (tmp_path / "run" / "checkpoints" / "latest").iterdir()
  ]
  logged = [json.loads(line)["step"] for line in log.read_text().splitlines()]
  assert max(steps) >= max(logged)
