"""What makes two runs the same: the data's content, places, names."""

import os
import pathlib
import shutil
import types

import numpy as np
import PIL.Image
import pytest

from rotjax import data
from rotjax.config import load, named, resolve
from rotjax.data import content
from rotjax.data import folder as folder_lib
from tests import run_folders


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  yield
  folder_lib._prepared.cache_clear()


def _write(folder, count=24):
  folder.mkdir()
  rng = np.random.default_rng(0)
  for n in range(count):
    pixels = rng.integers(0, 256, (9, 9), np.uint8)
    PIL.Image.fromarray(pixels).save(folder / f"{n}.png")


def _content(folder, name="folder"):
  folder_lib._prepared.cache_clear()  # as in another process
  options = {"name": name, "dir": str(folder), "side": 8}
  shares = {"test_share": 0.3, "validation_share": 0.3}
  return content.of(named.build("data", {**options, **shares}))


def test_pictures_that_are_added_removed_or_changed_are_noticed(tmp_path):
  folder = tmp_path / "photos"
  _write(folder)
  whole = _content(folder)
  assert whole.startswith("24 pictures ")
  # Neither the place nor the time of a copy matters.
  shutil.copytree(folder, tmp_path / "copy")
  os.utime(tmp_path / "copy" / "3.png", (1, 1))
  assert _content(tmp_path / "copy") == whole
  seen = {whole}
  changes = (
    lambda: (folder / "7.png").unlink(),
    lambda: (folder / "8.png").rename(folder / "x.png"),
    lambda: PIL.Image.new("L", (9, 9)).save(folder / "9.png"),
    lambda: PIL.Image.new("L", (8, 9)).save(folder / "new.png"),
  )
  for change in changes:
    change()
    seen.add(_content(folder))
  assert len(seen) == 5


def test_an_angle_that_is_another_one_is_noticed(tmp_path):
  folder = tmp_path / "photos"
  _write(folder)
  rows = [f"{n}.png,{n}" for n in range(24)]
  found = set()
  for last in ("23.png,23", "23.png,24"):
    rows[-1] = last
    table = "\n".join(["path,angle_deg", *rows, ""])
    (folder / "angles.csv").write_text(table)
    found.add(_content(folder, "csv"))
  assert len(found) == 2


def test_the_shipped_digits_need_no_reading():
  whole = content.of(named.build("data", run_folders.config().data))
  assert whole.startswith("5000 examples ")
  # Which classes are kept is the config's.
  kept = run_folders.config(data__classes=(5,))
  assert content.of(named.build("data", kept.data)) == whole


def test_a_dataset_of_one_s_own_is_read():
  def dataset(pixel):
    images = np.zeros((2, 3, 3, 1), np.uint8)
    images[1, 2, 2] = pixel
    split = data.Split(images, np.zeros(2, np.int32), np.arange(2), "train")
    return types.SimpleNamespace(load=lambda name: split)

  assert content.of(dataset(0)) == content.of(dataset(0))
  assert content.of(dataset(0)) != content.of(dataset(1))


def test_places_do_not_depend_on_the_working_directory(tmp_path, monkeypatch):
  home = {"data__name": "folder", "data__dir": "~/x"}
  config = run_folders.config(**home, init_from="runs/a")
  found = []
  for name in ("one", "two"):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    found.append(resolve.absolute(config))
  assert found[0].init_from == str(tmp_path / "one" / "runs" / "a")
  assert found[1].init_from == str(tmp_path / "two" / "runs" / "a")
  assert found[0].data.dir == str(pathlib.Path("~/x").expanduser())
  # What names no place of this machine stays as it is.
  plain = run_folders.config()
  assert resolve.absolute(plain) == plain
  far = run_folders.config(data__name="folder", data__dir="gs://a/b")
  assert resolve.absolute(far).data.dir == "gs://a/b"


INCIDENTAL = {
  "executor": "pmap",
  "distributed": "off",
  "seeds_together": "on",
  "steps_per_call": "4",
  "microbatches": "2",
  "stream.threads": "3",
  "stream.prefetch": "2",
  "checkpoint.every_steps": "7",
  "checkpoint.keep": "1",
  "log.every_steps": "9",
  "log.profile": "3:5",
  "log.writers": "('wandb',)",
  "eval.batch_views": "256",
}


def test_memory_and_dispatch_name_no_other_folder():
  plain = load.config("vonmises", {})
  for key, value in INCIDENTAL.items():
    assert load.config("vonmises", {key: value}).name == "vonmises", key
  other = load.config("vonmises", {"seed": "1"}).name
  both = load.config("vonmises", {"seed": "1", **INCIDENTAL})
  resnet = {"model.name": "resnet18"}
  deep, again = (
    resolve.identity(load.config("vonmises", {**resnet, **more}))
    for more in ({}, {"model.remat": "True"})
  )
  assert deep == again
  assert both.name == other != "vonmises"
  same = resolve.apply(plain, {**INCIDENTAL, "seed": "1"})
  assert resolve.identity(both) == resolve.identity(same)


def test_every_other_field_is_part_of_the_identity():
  config = run_folders.config(data__name="folder")
  flat = resolve.flatten(config)
  kept = resolve.identity(config).keys()
  assert flat.keys() - kept == {*INCIDENTAL, "name", "data.max_resident_mb"}
