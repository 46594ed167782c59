"""Values of config fields: what is taken, and one line for the rest."""

import json
import pathlib

import numpy as np
import pytest

from experiments.faults import fuzz_config
from rotjax import angles, errors, models
from rotjax.config import base, load, named, resolve, validate
from rotjax.config import base as base_lib


def _refused(overrides, base=None):
  """The one line that a config with these overrides is refused with."""
  with pytest.raises(errors.UserError) as caught:
    base = base_lib.base() if base is None else base
    validate.check(resolve.apply(base, overrides))
  line = str(caught.value)
  assert line and "\n" not in line
  return line


VALUES = {"angles.distribution": "values"}


@pytest.mark.parametrize(
  "overrides,words",
  [
    ({"seed": 2**32}, "4294967295"),
    ({"seed": 2**32 - 1, "num_seeds": 2}, "seed + num_seeds - 1"),
    ({"num_steps": 2**32}, "num_steps"),
    ({"num_steps": 2**31 - 1}, "num_steps"),
    ({"batch_size": 2**30}, "batch_size"),
    ({"batch_size": 2**20, "view.size": 2048}, "pixels"),
    ({**VALUES, "angles.values_deg": "('a',)"}, "a tuple of numbers"),
    ({**VALUES, "angles.values_deg": "((1,),)"}, "a tuple of numbers"),
    ({**VALUES, "angles.values_deg": "(0, None)"}, "a tuple of numbers"),
    ({**VALUES, "angles.values_deg": (0, True)}, "a tuple of numbers"),
    ({**VALUES, "angles.values_deg": (0.0, 360.0)}, "twice"),
    ({**VALUES, "angles.values_deg": (1e30,)}, "-720 ... 720"),
    ({"angles.values_deg": (0.0, 90.0)}, "no effect"),
    ({"angles.step_deg": 5.0}, "no effect"),
    (
      {
        **VALUES,
        "angles.values_deg": (0.0, 90.0),
        "angles.range_deg": (-45.0, 45.0),
      },
      "angles.range_deg = (-45.0, 45.0) has no effect",
    ),
    ({"angles.distribution": "grid", "angles.step_deg": 1e-30}, "step_deg"),
    ({"angles.distribution": "grid", "angles.step_deg": 400.0}, "step_deg"),
    ({"angles.range_deg": (0.0, 1e-30)}, "0.001"),
    ({"angles.range_deg": (1e30, 2e30)}, "more than 360 degrees"),
    ({"angles.range_deg": (1e9, 1e9 + 90)}, "-720 ... 720"),
    ({"angles.period_deg": 1e-5}, "360/n"),
    ({"angles.period_deg": float("nan")}, "not finite"),
    ({"model.hidden": 0}, "model.hidden"),
    ({"model.widths": (8, 0, 8)}, "model.widths"),
    ({"model.kernels": (3, -3, 3)}, "model.kernels"),
    ({"optim.b1": 1.0}, "optim.b1"),
    ({"optim.b2": -0.1}, "optim.b2"),
    ({"optim.eps": 0.0}, "optim.eps"),
    ({"optim.clip_norm": "inf"}, "not a number"),
    ({"optim.clip_norm": float("inf")}, "not finite"),
    ({"optim.clip_norm": "1e999"}, "not finite"),
    ({"optim.learning_rate": 1e-60}, "zero in float32"),
    ({"optim.learning_rate": 10**400}, "not finite"),
    ({"optim.name": "sgd", "optim.momentum": 1.0}, "optim.momentum"),
    (
      {"optim.name": "sgd", "optim.momentum": 0.0, "optim.nesterov": True},
      "no effect",
    ),
    ({"optim.name": "adadelta", "optim.rho": 2.0}, "optim.rho"),
    ({"head.name": "bins", "head.num_bins": 2**31 - 1}, "head.num_bins"),
    ({"head.name": "scalar", "head.rcc_weight": -1.0}, "head.rcc_weight"),
    ({"model.name": "resnet18", "model.stages": (10**6,)}, "model.stages"),
    ({"model.name": "resnet18", "model.stages": ()}, "model.stages"),
    ({"view.size": 10**6}, "view.size"),
    ({"name": ""}, "folder"),
    ({"name": "a/../../b"}, "folder"),
    ({"name": "x" * 300}, "folder"),
    ({"name": "a\0b"}, "a text"),
    ({"init_from": None}, "a text"),
    ({"batch_size": "(" * 300}, "a whole number"),
    ({"batch_size": "9" * 5000}, "a whole number"),
    ({"batch_size": "0or"}, "a whole number"),
    ({"batch_size": 1.5}, "a whole number"),
    ({"batch_size": True}, "a whole number"),
  ],
)
def test_a_value_that_cannot_be_is_one_line(overrides, words):
  assert words in _refused(overrides)


def test_a_model_of_too_many_parameters_is_one_line():
  """Each of its sizes is possible; all of them together are not."""
  sizes = {"model.widths": (2**14,) * 3, "model.kernels": (64,) * 3}
  config = resolve.apply(base_lib.base(), sizes)
  validate.check(config)
  with pytest.raises(errors.UserError, match="2,199,1.* parameters"):
    models.build(named.build("model", config.model), 2, (28, 28, 1))


@pytest.mark.parametrize(
  "key,value,wanted",
  [
    ("num_steps", "1e3", 1000),
    ("num_steps", 1e3, 1000),
    ("num_steps", np.int64(5), 5),
    ("seed", 2**32 - 1, 2**32 - 1),
    ("optim.learning_rate", np.float32(0.5), 0.5),
    ("angles.values_deg", "(0, 90)", (0.0, 90.0)),
    ("angles.range_deg", [-45, 45], (-45.0, 45.0)),
    ("data.classes", (3.0, 4), (3, 4)),
  ],
)
def test_a_number_is_what_it_stands_for(key, value, wanted):
  got = resolve.flatten(resolve.apply(base_lib.base(), {key: value}))
  assert got[key] == wanted
  assert type(got[key]) is type(wanted)
  if isinstance(wanted, tuple):
    assert list(map(type, got[key])) == list(map(type, wanted))


def test_each_distribution_uses_what_it_says():
  """What is not refused must change the angles that are drawn."""
  listed = angles.Angles(distribution="values", values_deg=(7.0, 11.0))
  np.testing.assert_array_equal(listed.discrete_deg, [7, 11])
  grid = angles.Angles(
    distribution="grid", step_deg=15.0, range_deg=(0.0, 30.0)
  )
  np.testing.assert_array_equal(grid.discrete_deg, [0, 15, 30])
  # A list may name one direction of lines twice: they are other pictures.
  angles.Angles("values", values_deg=(0.0, 90.0, 180.0), period_deg=180.0)


@pytest.mark.parametrize(
  "name,words",
  [
    ("os.path.join", "is a function, not a class"),
    ("os.path", "is a module, not a class"),
    ("math.pi", "is a float, not a class"),
    ("subprocess.Popen", "needs a default"),
    ("pathlib.Path", "needs a default"),
    ("fractions.Fraction", "default"),
    ("rotjax.heads.Head", "default"),
    ("rotjax.models.strided.Strided", "it has no num_outputs"),
    ("threading.Event", "is not a class for head"),
    ("rotjax..heads", "cannot be imported"),
    (".heads", "cannot be imported"),
    ("no_such_package.Head", "cannot be imported"),
    ("rotjax.heads.vector.Vectr", "cannot be imported"),
  ],
)
def test_a_dotted_path_to_something_else_is_one_line(name, words):
  assert words in _refused({"head.name": name})


def test_a_module_that_fails_on_import_is_one_line(tmp_path, monkeypatch):
  (tmp_path / "leaves.py").write_text("raise SystemExit(0)\n")
  monkeypatch.syspath_prepend(tmp_path)
  assert "SystemExit" in _refused({"head.name": "leaves.Head"})


def _config_file(folder, text, name="mine.py"):
  file = folder / name
  file.parent.mkdir(parents=True, exist_ok=True)
  file.write_text(text)
  return file


_MAKE = "from rotjax.config import base\n"


@pytest.mark.parametrize(
  "text,words",
  [
    ("def get_config(v):\n  pass\n", "returns NoneType"),
    ("def get_config(v):\n  return {'seed': 1}\n", "returns dict"),
    ("def get_config(v):\n  return 1 / 0\n", "line 2: ZeroDivisionError"),
    ("raise SystemExit(0)\n", "SystemExit"),
    ("get_config = 3\n", "no function get_config"),
    (
      _MAKE + "def get_config(v):\n  c = base.base()\n  c.batchsize = 3\n"
      "  return c\n",
      "did you mean 'batch_size'",
    ),
    (
      _MAKE + "def get_config(v):\n  c = base.base()\n  c.seed = 'x'\n"
      "  return c\n",
      "line 4: TypeError",
    ),
    (
      _MAKE + "def get_config(v):\n  c = base.base()\n"
      "  c.head.loss = 5\n  return c\n",
      "head.loss",
    ),
  ],
)
def test_a_config_file_that_gives_no_config_is_one_line(tmp_path, text, words):
  file = _config_file(tmp_path, text)
  with pytest.raises(errors.UserError) as caught:
    validate.check(load.load(str(file)))
  assert words in str(caught.value) and "\n" not in str(caught.value)


def test_get_config_without_an_argument(tmp_path):
  text = _MAKE + "def get_config():\n  return base.make('', {'seed': 4})\n"
  file = _config_file(tmp_path, text)
  assert load.load(str(file)).seed == 4
  with pytest.raises(errors.UserError, match="takes no argument"):
    load.load(f"{file}:mnist")


def test_a_path_with_colons_and_a_variant(tmp_path):
  text = _MAKE + "def get_config(v):\n  return base.make(v, {'seed': 4})\n"
  for folder in ("a:b", "C:/x"):
    file = _config_file(tmp_path / folder, text)
    assert load.load(str(file)).num_steps == 1000
    assert load.load(f"{file}:smoke").num_steps == 20
    assert load.load(f"{file}:smoke").name == "mine-smoke"
  odd = _config_file(tmp_path, text, "mine:smoke.py")
  assert load.load(str(odd)).num_steps == 1000
  with pytest.raises(errors.UserError, match="unknown config '/a:b/c.py'"):
    load.load("/a:b/c.py")


def test_a_runs_config_json_is_a_config(tmp_path):
  config = resolve.apply(
    base_lib.base(), {"head.name": "bins", "head.num_bins": 72}
  )
  config.name = "mine"
  old = json.loads(resolve.to_json(config))
  del old["log"], old["model"]["dropout"]  # of a version before these fields
  file = tmp_path / "config.json"
  file.write_text(json.dumps(old))
  assert load.load(str(file)) == config
  assert load.load(f"{file}:smoke").num_steps == 20
  with pytest.raises(errors.UserError, match="config.json"):
    load.load(str(tmp_path))
  file.write_text("[1]")
  with pytest.raises(errors.UserError, match="cannot be read"):
    load.load(str(file))


def test_other_files_are_no_configs(tmp_path):
  file = _config_file(tmp_path, "seed: 3\n", "mine.yaml")
  with pytest.raises(errors.UserError, match="neither Python"):
    load.load(str(file))


def test_odd_values_in_every_field_end_in_one_line_or_a_traced_step():
  """A short and fixed part of experiments/faults/fuzz_config.py."""
  traced = fuzz_config.run(2, 5.0, limit=400, trace_every=40)
  assert traced.faults == []
  # It would prove little if all were refused, or nothing.
  assert traced.done > 80 and traced.refused > 200


@pytest.mark.parametrize(
  "path",
  sorted((pathlib.Path(__file__).parents[2] / "configs").glob("*.py")),
  ids=lambda p: p.stem,
)
def test_a_shipped_config_is_complete_and_comes_back_from_json(path):
  config = load.load(str(path))
  assert base.complete(config) == config
  again = resolve.from_json(resolve.to_json(config))
  assert base.complete(again) == config
