"""The resolver: names, overrides, types, readable errors, JSON."""

import pathlib

import jax
import PIL.Image
import pytest

from rotjax import errors
from rotjax.config import base as base_lib
from rotjax.config import load, named, resolve, validate

CONFIGS = sorted((pathlib.Path(__file__).parents[2] / "configs").glob("*.py"))


def test_a_new_name_brings_its_own_defaults_and_drops_the_old_fields():
  config = resolve.apply(
    base_lib.base(), {"head.name": "bins", "head.num_bins": "72"}
  )
  assert config.head.num_bins == 72
  assert config.head.loss == "cross_entropy"
  back = resolve.apply(config, {"head.name": "vector"})
  assert "num_bins" not in back.head


def test_the_same_name_keeps_what_was_set():
  config = resolve.apply(
    base_lib.base(), {"head.name": "bins", "head.num_bins": 72}
  )
  assert resolve.apply(config, {"head.name": "bins"}).head.num_bins == 72


def test_a_field_of_another_head_is_refused():
  with pytest.raises(errors.UserError, match="unknown config field 'head.num"):
    resolve.apply(
      base_lib.base(), {"head.name": "vonmises", "head.num_bins": 72}
    )


def test_a_mistyped_field_names_the_nearest():
  with pytest.raises(errors.UserError, match="did you mean 'batch_size'"):
    resolve.apply(base_lib.base(), {"batchsize": "64"})


def test_a_mistyped_name_lists_the_valid_ones():
  with pytest.raises(errors.UserError, match="did you mean 'vonmises'.*bins"):
    resolve.apply(base_lib.base(), {"head.name": "vonmisses"})


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
  base = resolve.apply(base_lib.base(), {"optim.name": "sgd"})
  got = resolve.flatten(resolve.apply(base, {key: text}))[key]
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
    resolve.apply(base_lib.base(), {key: text})


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
  base = resolve.apply(base_lib.base(), {"head.name": "vector"})
  config = resolve.apply(base, {key: value})
  with pytest.raises(errors.UserError) as caught:
    validate.check(config)
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
  config = resolve.apply(
    base_lib.base(),
    {"head.name": "one_file.MyHead", "head.strength": "3"},
  )
  assert named.build("head", config.head).strength == 3.0
  with pytest.raises(errors.UserError, match="cannot be imported"):
    resolve.apply(config, {"head.name": "one_file.Other"})


def test_json_round_trip_keeps_tuples_and_equality():
  config = resolve.apply(base_lib.base(), {"data.classes": (1, 2)})
  again = resolve.from_json(resolve.to_json(config))
  assert again == config
  assert again.data.classes == (1, 2)


def test_identity_ignores_what_changes_no_number():
  base = base_lib.base()
  same = resolve.apply(
    base, {"log.every_steps": 7, "checkpoint.keep": 5, "executor": "pmap"}
  )
  other = resolve.apply(base, {"seed": 1})
  assert resolve.identity(base) == resolve.identity(same)
  assert resolve.identity(base) != resolve.identity(other)


def test_resolve_leaves_its_argument_alone():
  base = base_lib.base()
  resolve.apply(base, {"head.name": "bins", "data.classes": (9,)})
  assert base == base_lib.base()


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
  config = load.load(f"{name}:{variant}")
  validate.check(config)
  assert config.data.name == "folder"
  flat = resolve.flatten(config)
  assert {key: flat[key] for key in expected} == expected
  # Every turned square covers the view, its corners too.
  assert config.data.side >= 2**0.5 * config.view.size


@pytest.mark.parametrize("variant", ("frozen", "long", "tilt", "224"))
def test_the_recipes_for_photos(variant):
  config = load.load(f"photos:{variant}")
  validate.check(config)
  assert config.head_first.views and config.model.weights == "imagenet"
  # The disc lies inside the square, with hardly anything to spare.
  radius, room = config.view.size / 2 / config.view.zoom, config.data.side / 2
  assert 0.97 * room < radius <= room - 0.5


def test_photos_at_224_px():
  config = load.load("photos:224")
  validate.check(config)
  assert config.data.side >= 2**0.5 * config.view.size == 2**0.5 * 224


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_shipped_config_validates_and_traces_a_step(
  path, tmp_path, monkeypatch
):
  from rotjax.run import experiment as experiment_lib

  config = load.load(str(path))
  # Its data may not be on this machine; the step is the same.
  if config.data.name == "folder":
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    config.data.dir = _pictures(tmp_path / "pictures")
  elif config.data.name == "pages":
    config.data.dir, config.data.count = str(tmp_path), 4
    config.data.held_out = 1
  else:
    config = resolve.apply(config, {"data.name": "mnist_5k"})
  validate.check(config)
  experiment = experiment_lib.Experiment.from_config(config)
  state = jax.eval_shape(lambda: experiment.init_state(0, pretrained=False))
  images = experiment.split("train").images[:4]
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
  assert load.find_file("vonmises").name == "vonmises.py"


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
    load.load(str(file))


def test_an_unknown_config_or_variant_names_what_exists():
  with pytest.raises(errors.UserError, match="did you mean 'vonmises'"):
    load.load("configs/vonmise.py")
  with pytest.raises(errors.UserError, match="did you mean 'mnist'"):
    load.load("vonmises:mnits")


def test_how_a_run_is_computed_may_change_when_it_is_resumed():
  """train.py says so of seeds_together: its hint must not be refused."""
  config = base_lib.base()
  how = {"executor": "pmap", "seeds_together": "off", "stream.threads": 3}
  same = resolve.apply(config, how)
  other = resolve.apply(config, {"num_seeds": 2})
  assert resolve.identity(same) == resolve.identity(config)
  assert resolve.identity(other) != resolve.identity(config)


def test_a_config_json_keeps_the_meaning_that_it_was_written_with(tmp_path):
  file = tmp_path / "config.json"
  config = base_lib.base()
  config.head.name = "vonmises"
  file.write_text(resolve.to_json(config))
  assert load.load(str(file)).view.fineness == config.view.fineness > 0
  # From before there was a fineness: the source as it was.
  del config.view["fineness"]
  file.write_text(resolve.to_json(config))
  for found in (load.read(file), load.load(str(file))):
    assert found.view.fineness == 0.0
    assert found.view.size == 28 and "fineness" in found.view
