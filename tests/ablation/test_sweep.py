"""Experiment files: their arms, helpers, and what is refused."""

import pathlib

import pytest

from rotjax import errors
from rotjax.ablation import manifest, sweep
from rotjax.ablation import tuning as tuning_lib

HEADER = '''"""What is asked?"""
from rotjax.config import base
from rotjax.ablation import sweep as s, tuning

def get_config(variant=""):
  return base.make(variant, {"num_seeds": 2})
'''


def write(folder, body, header=HEADER):
  file = folder / "demo.py"
  file.write_text(header + body)
  return str(file)


def test_a_file_becomes_arms(tmp_path):
  file = write(
    tmp_path,
    "BASELINE = 'b'\n"
    "TUNING = tuning.Budget((0.1,), 5)\n"
    "COLUMNS = ('mae_deg',)\n"
    "def sweep():\n"
    "  yield 'a', {'head.name': 'bins', 'head.num_bins': 36}\n"
    "  yield 'b', {'view.jitter': 2}\n",
  )
  plan = sweep.load(file)
  assert (plan.name, plan.question) == ("demo", "What is asked?")
  assert [arm.name for arm in plan.arms] == ["a", "b"]
  assert plan.arms[0].config.head.num_bins == 36
  assert plan.arms[1].config.view.jitter == 2.0
  assert plan.baseline == "b" and plan.columns == ("mae_deg",)
  assert plan.tuning == tuning_lib.Budget((0.1,), 5)
  smoke = sweep.load(file + ":smoke", {"batch_size": 8})
  assert smoke.name == "demo-smoke" and smoke.tuning is None
  assert {arm.config.num_steps for arm in smoke.arms} == {20}
  assert {arm.config.batch_size for arm in smoke.arms} == {8}


def test_a_smoke_run_is_short_whatever_the_arms_say(tmp_path):
  body = "def sweep():\n  yield 'long', {'num_steps': 10**6}\n"
  (arm,) = sweep.load(write(tmp_path, body) + ":smoke").arms
  assert arm.config.num_steps == 20


def test_helpers():
  loss = sweep.over("head.loss", ["mse", "cosine"])
  activation = [("t", {"head.activation": "tanh"}), ("l", {})]
  assert list(sweep.product(activation, loss)) == [
    ("t-mse", {"head.activation": "tanh", "head.loss": "mse"}),
    ("t-cosine", {"head.activation": "tanh", "head.loss": "cosine"}),
    ("l-mse", {"head.loss": "mse"}),
    ("l-cosine", {"head.loss": "cosine"}),
  ]
  zipped = list(sweep.zipped(activation, loss))
  assert [name for name, _ in zipped] == ["t-mse", "l-cosine"]
  assert list(sweep.chain(loss, activation)) == [*loss, *activation]
  with pytest.raises(ValueError):
    list(sweep.zipped(activation, loss[:1]))


def test_the_address_follows_what_decides_the_numbers(tmp_path):
  def address(overrides):
    body = f"def sweep():\n  yield 'a', {overrides}\n"
    return sweep.load(write(tmp_path, body)).arms[0].address

  base = address({})
  assert address({"num_seeds": 7, "seed": 3, "log.every_steps": 7}) == base
  assert address({"executor": "pmap"}) == base
  assert address({"head.name": "bins"}) != base
  assert address({"eval.num_angles": 12}) != base


@pytest.mark.parametrize(
  "body, words",
  [
    ("", ("no function sweep()",)),
    ("def sweep():\n  return []\n", ("yields no arm",)),
    ("def sweep():\n  yield 'a'\n", ("(name, overrides)",)),
    (
      "def sweep():\n  yield 'a', {}\n  yield 'a', {'seed': 1}\n",
      ("two arms are called 'a'",),
    ),
    (
      "def sweep():\n  yield 'a', {'head.los': 'mse'}\n",
      ("arm a", "head.los"),
    ),
    (
      "def sweep():\n  yield 'a', {'head.name': 'vector', 'head.loss': 'x'}\n",
      ("arm a", "loss for head vector", "cosine"),
    ),
    ("def sweep():\n  yield 'a/b', {}\n", ("'a/b'", "folder")),
    (
      "BASELINE = 'z'\ndef sweep():\n  yield 'a', {}\n",
      ("BASELINE", "'z'", "valid: a"),
    ),
    ("1 / 0\n", ("ZeroDivisionError",)),
  ],
)
def test_what_is_wrong_is_one_line(tmp_path, body, words):
  with pytest.raises(errors.UserError) as caught:
    sweep.load(write(tmp_path, body))
  for word in words:
    assert word in str(caught.value)


def test_no_such_file_names_those_that_are_there(tmp_path):
  file = write(tmp_path, "")
  with pytest.raises(errors.UserError, match=f"did you mean '{file}'"):
    sweep.load(file.replace("demo", "dem"))


def test_the_manifest_holds_the_whole_sweep(tmp_path):
  body = "def sweep():\n  yield 'a', {'head.name': 'fourier'}\n"
  plan = sweep.load(write(tmp_path, body))
  workdir = tmp_path / "run"
  manifest.write(workdir, plan)
  again = manifest.read(workdir)
  assert again.name == plan.name and again.question == plan.question
  assert again.arms[0].address == plan.arms[0].address
  assert again.arms[0].config.to_dict() == plan.arms[0].config.to_dict()
  # Another sweep, or somebody's files, are left alone.
  other = sweep.Sweep("other", "", plan.arms, "a", None)
  with pytest.raises(errors.UserError, match="holds the sweep 'demo'"):
    manifest.write(workdir, other)
  (tmp_path / "files").mkdir()
  (tmp_path / "files" / "x").write_text("mine")
  with pytest.raises(errors.UserError, match="no sweep.json"):
    manifest.write(tmp_path / "files", plan)
  (workdir / "sweep.json").write_text("{")
  with pytest.raises(errors.UserError, match="cannot be read"):
    manifest.read(workdir)
  (workdir / "sweep.json").write_text("{}")
  with pytest.raises(errors.UserError, match="not a sweep of this version"):
    manifest.read(workdir)


@pytest.mark.parametrize(
  "file",
  [
    f
    for f in sorted(pathlib.Path("experiments").glob("*.py"))
    if "def sweep" in f.read_text()
  ],
  ids=lambda f: f.stem,
)
def test_every_shipped_experiment_names_valid_arms(file):
  for variant in ("", ":smoke"):
    plan = sweep.load(f"{file}{variant}")
    assert len(plan.arms) >= 2 and "?" in plan.question.splitlines()[0]
    assert f"python -m rotjax.ablate --sweep {file}" in plan.question


def test_a_variant_does_not_repeat_what_the_full_run_gives(tmp_path):
  file = tmp_path / "asks.py"
  file.write_text(
    '"""Which of two?\n\nExpected: a wins by 3 degrees.\n"""\n'
    "from rotjax.config import base\n"
    "def get_config(variant=''):\n"
    "  return base.make(variant, {})\n"
    "def sweep():\n"
    "  yield 'a', {}\n"
  )
  assert "wins by 3" in sweep.load(str(file)).question
  for spec, overrides, words in (
    (f"{file}:smoke", {}, f"--sweep {file}:smoke\n"),
    (f"{file}:smoke,deskew", {}, ":smoke,deskew\n"),
    (str(file), {"batch_size": "8"}, "--config.batch_size=8"),
  ):
    question = sweep.load(spec, overrides).question
    assert question.startswith("Which of two?\n")
    assert words in question and "3 degrees" not in question
