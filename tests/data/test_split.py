import numpy as np
import pytest

from rotjax import data, errors, files
from rotjax.data import split as split_lib
from rotjax.data.store import cache, location, prepare


def _split(n=6):
  images = np.arange(n * 4, dtype=np.uint8).reshape(n, 2, 2, 1)
  labels = np.arange(n, dtype=np.int32)
  return data.Split(images, labels, np.arange(n), "train", (1.0, 1.0))


def test_a_split_is_a_source():
  split = _split()
  assert len(split) == 6
  for indices in ([4, 1], np.array([4, 1]), (np.int64(4), 1)):
    batch = split.__getitems__(indices)
    assert set(batch) == {"image", "label"}
    np.testing.assert_array_equal(batch["label"], [4, 1])
    np.testing.assert_array_equal(batch["image"], split.images[[4, 1]])
    assert batch["image"].dtype == np.uint8
  assert split.__getitems__([])["image"].shape == (0, 2, 2, 1)


@pytest.mark.parametrize("indices", [[6], [0.5]])
def test_a_split_refuses_what_is_no_index(indices):
  with pytest.raises(IndexError):
    _split().__getitems__(indices)


@pytest.mark.parametrize(
  ("prepared", "expected"),
  [
    (
      ("train", "test"),
      [("train", "kept"), ("train", "held out"), ("test", "all")],
    ),
    (
      ("test", "validation", "train"),
      [("train", "all"), ("validation", "all"), ("test", "all")],
    ),
    (
      ("train", "validation"),
      [("train", "kept"), ("train", "held out"), ("validation", "all")],
    ),
  ],
)
def test_where_each_split_comes_from(prepared, expected):
  got = [split_lib.part("x", prepared, split) for split in data.SPLITS]
  assert got == expected


@pytest.mark.parametrize("prepared", [(), ("train",), ("test", "validation")])
def test_a_dataset_without_train_or_test_is_refused(prepared):
  with pytest.raises(errors.UserError, match="needs a train split"):
    split_lib.part("x", prepared, "train")


def test_the_held_out_part_is_every_20th():
  indices = np.array([0, 19, 20, 38, 39, 40, 59])
  held_out = split_lib.members(indices, "held out")
  np.testing.assert_array_equal(indices[held_out], [19, 39, 59])
  np.testing.assert_array_equal(split_lib.members(indices, "kept"), ~held_out)
  assert split_lib.members(indices, "all").all()


def test_classes_are_sorted_and_unique():
  for given in ((3, 1, 3), [3, 1], np.array([1, 3])):
    assert split_lib.class_ids("x", given, 10) == (1, 3)


@pytest.mark.parametrize("given", [3, "3", (3.0,), ("3",), None])
def test_classes_that_are_no_numbers(given):
  with pytest.raises(errors.UserError, match="classes of x must be"):
    split_lib.class_ids("x", given, 10)


@pytest.mark.parametrize("name", ["mnist_5k", "mnist", "fashion_mnist"])
@pytest.mark.parametrize("wrong", [10, -1])
def test_an_unknown_class_is_refused_at_once(name, wrong):
  with pytest.raises(
    errors.UserError, match=f"^{name} has no class {wrong}: valid: 0 to 9$"
  ):
    data.find(name)(classes=(3, wrong))


def test_every_dataset_states_its_facts():
  for name, cls in data.DATASETS.items():
    dataset = cls()
    assert dataset.name == name
    assert dataset.protocol.startswith(f"{name}: ")
    hash(dataset)
  assert data.find("mnist")().center == (14.0, 14.0)
  assert data.find("mnist_5k")().center == (14.0, 14.0)
  assert data.find("fashion_mnist")().center is None
  assert data.find("mnist_5k")().overlaps == ("mnist",)


@pytest.mark.parametrize("name", ["mnist_5k", "mnist", "fashion_mnist", "any"])
def test_an_unknown_split_is_refused(name):
  with pytest.raises(errors.UserError, match="unknown split 'tset'.*'test'"):
    data.find(name)().load("tset")


def test_the_newest_version_is_by_number(tmp_path):
  for version in ("1.9.0", "1.10.0", "incomplete.XYZ_1.11.0"):
    (tmp_path / "a" / version).mkdir(parents=True)
    (tmp_path / "a" / version / "dataset_info.json").write_text("{}")
  (tmp_path / "a" / "2.0.0").mkdir()  # without metadata: not prepared
  assert location.newest(tmp_path, "a") == tmp_path / "a" / "1.10.0"
  assert location.newest(tmp_path, "b") is None
  assert location.names(tmp_path) == ["a"]


def test_a_folder_without_write_bits_is_read_only(tmp_path):
  assert files.writable(tmp_path / "not" / "there")
  tmp_path.chmod(0o555)
  try:
    assert not files.writable(tmp_path)
    assert not files.writable(tmp_path / "not" / "there")
  finally:
    tmp_path.chmod(0o755)
  (tmp_path / "file").touch()
  assert not files.writable(tmp_path / "file" / "below")


@pytest.mark.parametrize("keep", [0, 10, 300, -1])
def test_a_damaged_cache_file_counts_as_absent(tmp_path, keep):
  path = tmp_path / "a.npz"
  array = np.arange(1000)
  cache.save(path, {"a": array})
  np.testing.assert_array_equal(cache.load(path)["a"], array)
  whole = path.read_bytes()
  path.write_bytes(whole[:keep])
  assert cache.load(path) is None
  flipped = bytearray(whole)
  flipped[500] ^= 1
  path.write_bytes(flipped)
  assert cache.load(path) is None
  assert list(tmp_path.iterdir()) == [path]  # no scratch files


def test_a_cache_that_cannot_be_written_is_tolerated(tmp_path):
  (tmp_path / "file").touch()
  cache.save(tmp_path / "file" / "a.npz", {"a": np.arange(3)})
  assert cache.load(tmp_path / "file" / "a.npz") is None


def test_publish_moves_all_or_nothing(tmp_path):
  def build(root):
    folder = root / "a" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text('{"fileFormat": "array_record"}')

  def fail(root):
    build(root)
    raise OSError("disk full")

  with pytest.raises(errors.UserError, match="cannot prepare a in .*disk full"):
    prepare.publish(tmp_path, "a", fail)
  assert not list(tmp_path.iterdir())

  def lose(root):
    build(root)
    build(tmp_path)  # somebody else is first
    (tmp_path / "a" / "1.0.0" / "theirs").touch()

  folder = prepare.publish(tmp_path, "a", lose)
  assert folder == tmp_path / "a" / "1.0.0"
  assert (folder / "theirs").exists()
  assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_quiet_gives_everything_back(capsys):
  from absl import logging

  before = logging.get_verbosity()
  with pytest.raises(KeyError), prepare.quiet():
    print("noise")
    raise KeyError
  assert logging.get_verbosity() == before
  print("heard")
  assert capsys.readouterr().out == "heard\n"
