"""Every program runs with --quick and writes its page; no time is asserted."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import evaluation
import guard
import harness
import numpy as np
import pytest
import startup
import time_to_accuracy

FOLDER = pathlib.Path(guard.__file__).parent


def run(*arguments, status=0):
  done = subprocess.run(
    [sys.executable, *map(str, arguments)],
    # Most of the time would be spent on optimising tiny programs.
    env={**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},
    capture_output=True,
    text=True,
  )
  assert done.returncode == status, done.stderr
  return done


def missing(*modules):
  # Not imported: keras looks for a backend then.
  return [m for m in modules if importlib.util.find_spec(m) is None]


def needs(*modules):
  if missing(*modules):
    pytest.skip(f"not installed: {missing(*modules)}")


@pytest.mark.slow
@pytest.mark.parametrize(
  "name, flags, expected",
  (
    (
      "seeds",
      ["--rounds", "1"],
      ["rotjax, 4 seeds", "lax.conv, vmap, 4 seeds"],
    ),
    ("evaluation", ["--rounds", "1"], ["loop over angles", "peak MiB"]),
    ("guard", ["--rounds", "1"], ["classic step: lax.conv / rotjax"]),
    ("gpu", ["--rounds", "1", "--allow_cpu"], ["bfloat16, no warp", "scan"]),
  ),
)
def test_quick(name, flags, expected, tmp_path):
  out = tmp_path / "page.md"
  run(FOLDER / f"{name}.py", "--quick", "--out", out, *flags)
  text = out.read_text()
  assert text.startswith("# ") and "nan" not in text
  for part in expected:
    assert part in text


@pytest.mark.slow
@pytest.mark.parametrize("name", ("step", "warp", "heads", "photos"))
def test_quick_with_peers(name, tmp_path):
  if name == "photos":
    needs("torch", "timm")
  elif name != "heads":
    needs("torch", "cv2", "keras", "kornia", "dm_pix")
  out = tmp_path / "page.md"
  run(FOLDER / f"{name}.py", "--quick", "--rounds", "1", "--out", out)
  text = out.read_text()
  assert "Left out" not in text and "nan" not in text
  if name == "step":
    assert "Keras on jax" in text and "Keras on torch" in text
    assert "torch.compile left out: --quick" in text


@pytest.mark.slow
def test_gpu_without_an_accelerator_is_one_line():
  done = run(FOLDER / "gpu.py", "--quick", status=2)
  assert len(done.stderr.splitlines()) == 1 and "--allow_cpu" in done.stderr
  run(FOLDER / "gpu.py", "--allow_cpu", status=2)  # not at full size


def test_gpu_needs_no_dataset_library():
  code = (
    f"import sys; sys.path.insert(0, {str(FOLDER)!r}); import gpu, json;"
    " print(json.dumps(sorted(m.split('.')[0] for m in sys.modules)))"
  )
  loaded = set(json.loads(run("-c", code).stdout))
  assert {"jax", "flax", "optax", "rotjax"} <= loaded
  unwanted = {"tensorflow_datasets", "mlxtend", "orbax", "matplotlib", "torch"}
  assert not loaded & unwanted


def test_evaluation_and_the_loop_answer_alike():
  own, loop = (call() for call in evaluation.candidates(5, 3, 12).values())
  for a, b in zip(own, loop):
    assert a.shape == b.shape == (5, 3)
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


def test_guard_fails_below_a_floor_and_names_what_does_not_fit():
  found = {"a": harness.Ratio(1.5, 1.4, 1.6), "b": harness.Ratio(0.9, 0.8, 1)}
  rows = guard.verdicts(found, {"a": 1.5, "b": 1.0})
  assert [row[-1] for row in rows] == ["ok", "BELOW"]
  with pytest.raises(ValueError, match="'b', 'c'"):
    guard.verdicts(found, {"a": 1.5, "c": 1.0})


def test_guard_exit_status(monkeypatch, capsys):
  names = json.loads(guard.FLOORS.read_text())
  assert names.keys() == guard.pairs(quick=True).keys()

  def status(value, *flags):
    ratio = harness.Ratio(value, value, value)
    monkeypatch.setattr(
      guard, "measure", lambda *_: dict.fromkeys(names, ratio)
    )
    monkeypatch.setattr(sys, "argv", ["guard.py", *flags])
    return guard.main()

  assert status(1000.0) == 0
  assert status(0.001) == 1
  assert status(0.001, "--quick") == 0
  assert "BELOW" in capsys.readouterr().out


def test_importtime_is_read():
  text = (
    "import time: self [us] | cumulative | imported package\n"
    "import time:       150 |        150 |   scipy._lib\n"
    "import time:      1000 |    2000000 | scipy\n"
    "noise\n"
  )
  assert startup.parse_importtime(text) == {
    "scipy._lib": (150e-6, 150e-6),
    "scipy": (1e-3, 2.0),
  }


def test_heavy_imports_of_a_command():
  assert startup.heavy_imports(["-c", "pass"]) == {}
  found = startup.heavy_imports(["-c", "import scipy.stats"])
  assert found.keys() == {"scipy"} and 0 < found["scipy"] < 60


@pytest.mark.slow
def test_startup_quick(tmp_path):
  out = tmp_path / "page.md"
  run(FOLDER / "startup.py", "--quick", "--out", out)
  text = out.read_text()
  assert "second start" in text and "--no_compile_cache" in text
  # --help knows what it is to do before anything heavy is imported.
  for line in text.splitlines():
    if "--help |" in line and "import" not in line and "python -m" not in line:
      assert line.endswith("| none |"), line


def test_time_to_accuracy_arithmetic():
  assert time_to_accuracy.mae_deg(
    np.array([359.0, -170.0, 10.0]), np.array([1.0, 170.0, 10.0])
  ) == pytest.approx((2 + 20 + 0) / 3)
  ours = [{"step": 1, "cpu": 2.0, "mae": 9.0}, {"step": 2, "cpu": 4, "mae": 7}]
  slow = [
    {"step": 1, "cpu": 8.0, "mae": 50.0},
    {"step": 2, "cpu": 10.0, "mae": 9.5},
  ]
  assert time_to_accuracy.versus(slow, ours, 10.0) == "5.0x"
  assert time_to_accuracy.versus(slow, ours, 8.0) == "> 2.5x"
  assert time_to_accuracy.versus(ours, slow, 8.0) == "rotjax did not reach it"


def test_time_to_accuracy_stops_at_the_target_and_does_not_count_tests(
  monkeypatch,
):
  clock = [0.0]
  monkeypatch.setattr(time_to_accuracy, "cpu_seconds", lambda: clock[0])

  def training(errors):
    def test():
      clock[0] += 100.0
      return errors[min(step // 2, len(errors)) - 1]

    for step in range(1, 1000):
      clock[0] += 1.0
      yield step, test

  curve = time_to_accuracy.run(training([50.0, 9.0, 7.0, 1.0]), 2, 1e9)
  assert curve == [
    {"step": 2, "cpu": 2.0, "mae": 50.0},
    {"step": 4, "cpu": 4.0, "mae": 9.0},
    {"step": 6, "cpu": 6.0, "mae": 7.0},
  ]
  clock[0] = 0.0
  curve = time_to_accuracy.run(training([50.0]), 2, 5.0)
  assert [point["cpu"] for point in curve] == [2.0, 4.0, 6.0]


@pytest.mark.slow
def test_time_to_accuracy_quick(tmp_path):
  contenders = ["rotjax-short"]
  if not missing("cv2", "keras"):
    contenders.append("keras-rotnet")
  out = tmp_path / "page.md"
  flags = ["--keras_backend", "jax", "--contenders", *contenders]
  run(FOLDER / "time_to_accuracy.py", "--quick", "--out", out, *flags)
  rows = [line for line in out.read_text().splitlines() if "not in" in line]
  assert len(rows) == len(contenders)


def test_a_run_starts_without_what_it_needs_at_its_end_alone():
  code = (
    "import sys, json, rotjax.run.train, rotjax.run.loop;"
    " print(json.dumps(sorted(sys.modules)))"
  )
  loaded = set(json.loads(run("-c", code).stdout))
  late = {"matplotlib", "scipy.stats", "sklearn", "tensorflow_datasets"}
  assert "rotjax.run.loop" in loaded and not loaded & late
