"""The resolver: names, overrides, types, readable errors, JSON."""

import pathlib

import jax
import PIL.Image
import pytest

from rotjax import config as config_lib
from rotjax import config_files, errors, validation

CONFIGS = sorted(
  (pathlib.Path(__file__).parent.parent / "configs").glob("*.py")
)


def test_a_new_name_brings_its_own_defaults_and_drops_the_old_fields():
  config = config_lib.resolve(
    config_lib.base(), {"head.name": "bins", "head.num_bins": "72"}
  )
  assert config.head.num_bins == 72
  assert config.head.loss == "cross_entropy"
  back = config_lib.resolve(config, {"head.name": "vector"})
  assert "num_bins" not in back.head


def test_the_same_name_keeps_what_was_set():
  config = config_lib.resolve(
    config_lib.base(), {"head.name": "bins", "head.num_bins": 72}
  )
  assert config_lib.resolve(config, {"head.name": "bins"}).head.num_bins == 72


def test_a_field_of_another_head_is_refused():
  with pytest.raises(errors.UserError, match="unknown config field 'head.num"):
    config_lib.resolve(
      config_lib.base(), {"head.name": "vonmises", "head.num_bins": 72}
    )


def test_a_mistyped_field_names_the_nearest():
  with pytest.raises(errors.UserError, match="did you mean 'batch_size'"):
    config_lib.resolve(config_lib.base(), {"batchsize": "64"})


def test_a_mistyped_name_lists_the_valid_ones():
  with pytest.raises(errors.UserError, match="did you mean 'vonmises'.*bins"):
    config_lib.resolve(config_lib.base(), {"head.name": "vonmisses"})


@pytest.mark.parametrize(
  "key,text,value",
  [
    ("batch_size", "64", 64),
    ("optim.learning_rate", "1", 1.0),
    ("optim.learning_rate", "3e-4", 3e-4),
    ("optim.nesterov", "True", True),
    ("optim.nesterov", "false", False),
    ("data.classes", "(3, 5)", (3, 5)),
    ("data.classes", "3,5", (3, 5)),
    ("data.classes", "7", (7,)),
    ("data.classes", "()", ()),
    ("angles.range_deg", "(-45, 45)", (-45.0, 45.0)),
    ("executor", "pmap", "pmap"),
    ("name", "12", "12"),
  ],
)
def test_strings_become_the_fields_own_type(key, text, value):
  base = config_lib.resolve(config_lib.base(), {"optim.name": "sgd"})
  got = config_lib.flatten(config_lib.resolve(base, {key: text}))[key]
  assert got == value and type(got) is type(value)


@pytest.mark.parametrize(
  "key,text",
  [
    ("batch_size", "1.5"),
    ("batch_size", "many"),
    ("num_steps", "True"),
    ("optim.learning_rate", "fast"),
    ("data.classes", "threes"),
    ("angles.range_deg", "('a', 'b')"),
  ],
)
def test_a_value_of_the_wrong_type_is_refused(key, text):
  with pytest.raises(errors.UserError, match=f"--config.{key}="):
    config_lib.resolve(config_lib.base(), {key: text})


@pytest.mark.parametrize(
  "key,value",
  [
    ("batch_size", 0),
    ("num_steps", 0),
    ("seed", -1),
    ("dtype", "float16"),
    ("executor", "shard_map"),
    ("seeds_together", "yes"),
    ("eval.tta", "flip"),
    ("eval.num_angles", 0),
    ("head.loss", "cosin"),
    ("view.mask", "square"),
    ("view.center", "middle"),
    ("view.jitter", 20.0),
    ("angles.period_deg", 100.0),
    ("optim.schedule", "step"),
    ("model.norm", "layer"),
  ],
)
def test_an_invalid_value_is_refused_before_anything_starts(key, value):
  base = config_lib.resolve(config_lib.base(), {"head.name": "vector"})
  config = config_lib.resolve(base, {key: value})
  with pytest.raises(errors.UserError) as caught:
    validation.check(config)
  assert str(value) in str(caught.value)
  assert "\n" not in str(caught.value)


def test_a_dotted_path_names_a_class_outside_rotjax(tmp_path, monkeypatch):
  (tmp_path / "one_file.py").write_text(
    "import dataclasses\n"
    "from rotjax.heads import vector\n"
    "@dataclasses.dataclass(frozen=True)\n"
    "class MyHead(vector.Vector):\n"
    "  strength: float = 2.0\n"
  )
  monkeypatch.syspath_prepend(tmp_path)
  config = config_lib.resolve(
    config_lib.base(),
    {"head.name": "one_file.MyHead", "head.strength": "3"},
  )
  assert config_lib.build("head", config.head).strength == 3.0
  with pytest.raises(errors.UserError, match="cannot be imported"):
    config_lib.resolve(config, {"head.name": "one_file.Other"})


def test_json_round_trip_keeps_tuples_and_equality():
  config = config_lib.resolve(config_lib.base(), {"data.classes": (1, 2)})
  again = config_lib.from_json(config_lib.to_json(config))
  assert again == config
  assert again.data.classes == (1, 2)


def test_identity_ignores_what_changes_no_number():
  base = config_lib.base()
  same = config_lib.resolve(
    base, {"log.every_steps": 7, "checkpoint.keep": 5, "executor": "pmap"}
  )
  other = config_lib.resolve(base, {"seed": 1})
  assert config_lib.identity(base) == config_lib.identity(same)
  assert config_lib.identity(base) != config_lib.identity(other)


def test_resolve_leaves_its_argument_alone():
  base = config_lib.base()
  config_lib.resolve(base, {"head.name": "bins", "data.classes": (9,)})
  assert base == config_lib.base()


def _pictures(folder):
  """A folder of small pictures, as BMP: their hashes are always the same."""
  folder.mkdir()
  for i in range(60):
    picture = PIL.Image.new("RGB", (4, 5), (4 * i, 0, 0))
    picture.save(folder / f"{i}.bmp")
  return str(folder)


@pytest.mark.parametrize("name", ["folder", "photos"])
@pytest.mark.parametrize(
  ("variant", "expected"),
  [
    ("", {}),
    ("deskew", {"angles.range_deg": (-10.0, 10.0)}),
    ("tilt", {"angles.range_deg": (-45.0, 45.0)}),
    ("quarters", {"angles.values_deg": (0.0, 90.0, 180.0, 270.0)}),
    ("lines", {"angles.period_deg": 180.0}),
    ("smoke", {"num_steps": 20}),
    ("smoke,tilt", {"num_steps": 20, "angles.range_deg": (-45.0, 45.0)}),
  ],
)
def test_ones_own_pictures_in_any_range(name, variant, expected):
  config = config_files.load(f"{name}:{variant}")
  validation.check(config)
  assert config.data.name == "folder"
  flat = config_lib.flatten(config)
  assert {key: flat[key] for key in expected} == expected
  # Every turned square covers the view, its corners too.
  assert config.data.side >= 2**0.5 * config.view.size


def test_photos_at_224_px():
  config = config_files.load("photos:224")
  validation.check(config)
  assert config.data.side >= 2**0.5 * config.view.size == 2**0.5 * 224


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_shipped_config_validates_and_traces_a_step(
  path, tmp_path, monkeypatch
):
  from rotjax import experiment as experiment_lib

  config = config_files.load(str(path))
  # Its data may not be on this machine; the step is the same.
  if config.data.name == "folder":
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    config.data.dir = _pictures(tmp_path / "pictures")
  else:
    config = config_lib.resolve(config, {"data.name": "mnist_5k"})
  validation.check(config)
  experiment = experiment_lib.Experiment.from_config(config)
  state = jax.eval_shape(lambda: experiment.init_state(0))
  images = experiment.dataset.load("train").images[:4]
  batch = {
    "image": images,
    "slot": jax.numpy.arange(4),
    "mask": jax.numpy.ones(4, bool),
    "seed": jax.numpy.uint32(0),
  }
  new, metrics = jax.eval_shape(experiment.make_step(), state, batch)
  assert jax.tree.structure(new) == jax.tree.structure(state)
  assert metrics["loss"].shape == ()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_shipped_config_states_its_command_result_and_time(path):
  text = path.read_text()
  assert len(text.splitlines()) <= 50
  assert f"python -m rotjax.main --config configs/{path.name}" in text


def test_a_config_is_found_by_its_name_alone():
  assert config_files.find_file("vonmises").name == "vonmises.py"


@pytest.mark.parametrize(
  "text,words",
  [
    ("x = 1\n", "no function get_config"),
    ("def get_config(:\n", "SyntaxError"),
    ("import nowhere_to_be_found\n", "ModuleNotFoundError"),
  ],
)
def test_a_broken_config_file_is_one_line(tmp_path, text, words):
  file = tmp_path / "broken.py"
  file.write_text(text)
  with pytest.raises(errors.UserError, match=words):
    config_files.load(str(file))


def test_an_unknown_config_or_variant_names_what_exists():
  with pytest.raises(errors.UserError, match="did you mean 'vonmises'"):
    config_files.load("configs/vonmise.py")
  with pytest.raises(errors.UserError, match="did you mean 'mnist'"):
    config_files.load("vonmises:mnits")


def test_how_a_run_is_computed_may_change_when_it_is_resumed():
  """train.py says so of seeds_together: its hint must not be refused."""
  config = config_lib.base()
  how = {"executor": "pmap", "seeds_together": "off", "stream.threads": 3}
  same = config_lib.resolve(config, how)
  other = config_lib.resolve(config, {"num_seeds": 2})
  assert config_lib.identity(same) == config_lib.identity(config)
  assert config_lib.identity(other) != config_lib.identity(config)
