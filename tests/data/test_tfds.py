import io

import numpy as np
import PIL.Image
import pytest

from rotjax import data, errors


@pytest.fixture(scope="module")
def root(helpers, tmp_path_factory):
  """A data directory with datasets of every shape that is dealt with."""
  root = tmp_path_factory.mktemp("prepared")
  noise = helpers.noise
  helpers.build(root, "plain", {"train": noise(60), "test": noise(7, 1)})
  helpers.build(
    root,
    "whole",
    {
      "train": noise(25),
      "validation": noise(6, 1),
      "test": noise(7, 2),
    },
  )
  helpers.build(
    root, "untested", {"train": noise(60), "validation": noise(7, 1)}
  )
  helpers.build(root, "only_train", {"train": noise(5)})
  helpers.build(
    root,
    "family",
    {"train": noise(5), "test": noise(5)},
    config="small",
  )
  grey = noise(40, shape=(6, 9))
  helpers.build(
    root, "grey", {"train": grey, "test": grey[:3]}, shape=(6, 9, 1)
  )
  helpers.build(
    root,
    "nameless",
    {"train": noise(40), "test": noise(3, 1)},
    label=None,
  )
  mixed = [*noise(3), *noise(3, 1, shape=(8, 9, 3))]
  helpers.build(root, "mixed", {"train": mixed, "test": mixed})
  alpha = noise(3, shape=(8, 8, 4))
  helpers.build(root, "alpha", {"train": alpha, "test": alpha}, shape=(8, 8, 4))
  return root


def _load(root, name, split, **options):
  return data.find(name)(dir=str(root), **options).load(split)


def test_a_set_with_train_and_test(helpers, root):
  got = {split: _load(root, "plain", split) for split in data.SPLITS}
  assert [len(split) for split in got.values()] == [57, 3, 7]
  np.testing.assert_array_equal(sorted(got["validation"].indices), [19, 39, 59])
  assert got["train"].images.shape == (57, 8, 8, 3)
  assert got["train"].center is None
  seen = [
    digest for split in got.values() for digest in helpers.hashes(split.images)
  ]
  assert len(seen) == len(set(seen)) == 67
  dataset = data.find("plain")(dir=str(root))
  assert "every 20th train example" in dataset.protocol
  assert dataset.name == "plain"


def test_pixels_and_labels_are_those_given(helpers, root):
  expected = {}
  for image, label in helpers.noise(7, 1):
    with PIL.Image.open(io.BytesIO(image)) as picture:
      expected[np.asarray(picture).tobytes()] = label
  got = _load(root, "plain", "test")
  assert expected == {
    image.tobytes(): label
    for image, label in zip(got.images, got.labels, strict=True)
  }


def test_its_own_validation_split_is_used(root):
  got = {split: _load(root, "whole", split) for split in data.SPLITS}
  assert {k: (len(v), v.origin) for k, v in got.items()} == {
    "train": (25, "train"),
    "validation": (6, "validation"),
    "test": (7, "test"),
  }
  assert "own validation" in data.find("whole")(dir=str(root)).protocol


def test_validation_serves_as_test(root):
  got = {split: _load(root, "untested", split) for split in data.SPLITS}
  assert {k: (len(v), v.origin) for k, v in got.items()} == {
    "train": (57, "train"),
    "validation": (3, "train"),
    "test": (7, "validation"),
  }
  protocol = data.find("untested")(dir=str(root)).protocol
  assert "test is its validation split" in protocol


def test_grey_images_and_a_config(root, monkeypatch):
  assert _load(root, "grey", "test").images.shape == (3, 6, 9, 1)
  monkeypatch.setenv("TFDS_DATA_DIR", str(root))
  assert len(data.find("family/small")().load("test")) == 5


def test_classes(root):
  got = _load(root, "plain", "train", classes=(1, 3))
  assert set(got.labels) == {1, 3}
  with pytest.raises(
    errors.UserError, match="^plain has no class 5: valid: 0 to 4$"
  ):
    _load(root, "plain", "train", classes=(5,))


def test_a_dataset_without_labels(root):
  got = _load(root, "nameless", "test", label="")
  np.testing.assert_array_equal(got.labels, [0, 0, 0])
  with pytest.raises(errors.UserError, match=r"'label'.*image \(Image\)"):
    _load(root, "nameless", "test")


@pytest.mark.parametrize(
  ("name", "options", "message"),
  [
    ("mixed", {}, "images of mixed are not all of one size: 8x"),
    ("alpha", {}, "images of alpha have 4 channels of uint8"),
    ("only_train", {}, "only_train has train$"),
    ("plain", {"image": "picture"}, r"no image 'picture'.*image \(Image\)"),
    ("plain", {"label": "kind"}, r"'kind'.*label \(ClassLabel\)"),
  ],
)
def test_what_cannot_be_used_is_named(root, name, options, message):
  with pytest.raises(errors.UserError, match=message) as e:
    _load(root, name, "train", **options)
  assert "\n" not in str(e.value)


@pytest.mark.parametrize(
  ("name", "near"),
  [
    ("plane", "did you mean 'plain'"),
    ("minst", "did you mean 'mnist'"),
    ("family", "family/small"),
    ("", "valid: "),
  ],
)
def test_a_name_that_is_not_prepared(root, name, near):
  with pytest.raises(errors.UserError) as e:
    _load(root, name, "train")
  message = str(e.value)
  assert near in message
  assert str(root) in message
  assert f"tfds build {name} --file_format=array_record" in message
  assert "\n" not in message


def test_a_set_prepared_as_tfrecord(tmp_path):
  folder = tmp_path / "theirs" / "1.0.0"
  folder.mkdir(parents=True)
  # Sets prepared before there was a choice do not state a format.
  for info in ('{"splits": []}', '{"fileFormat": "tfrecord"}'):
    (folder / "dataset_info.json").write_text(info)
    with pytest.raises(
      errors.UserError,
      match="as tfrecord.*tfds build theirs --file_format=array_record",
    ):
      _load(tmp_path, "theirs", "train")


def test_a_set_prepared_anew_is_noticed(helpers, tmp_path):
  helpers.build(
    tmp_path,
    "mine",
    {"train": helpers.noise(30), "test": helpers.noise(3)},
  )
  assert len(_load(tmp_path, "mine", "test")) == 3
  for path in (tmp_path / "mine" / "1.0.0").iterdir():
    path.unlink()
  (tmp_path / "mine" / "1.0.0").rmdir()
  helpers.build(
    tmp_path,
    "mine",
    {"train": helpers.noise(30), "test": helpers.noise(4)},
  )
  helpers.forget()
  assert len(_load(tmp_path, "mine", "test")) == 4


def test_truncated_records_are_named(helpers, tmp_path):
  folder = helpers.build(
    tmp_path,
    "mine",
    {"train": helpers.noise(30), "test": helpers.noise(3)},
  )
  (path,) = folder.glob("*test.array_record*")
  path.write_bytes(path.read_bytes()[:100])
  with pytest.raises(errors.UserError, match="cannot read mine in"):
    _load(tmp_path, "mine", "test")


class _Source(list):
  def __getitems__(self, indices):
    return [self[i] for i in indices]


def test_under_tfds_mock_data(helpers, root):
  import tensorflow_datasets as tfds

  examples = _Source(
    {"image": image, "label": label} for image, label in helpers.noise(50)
  )

  def as_data_source(self, split, **kwargs):
    return examples

  # mock_data puts its own data_dir in place of whatever folder is opened.
  with tfds.testing.mock_data(
    as_data_source_fn=as_data_source,
    data_dir=str(root / "plain" / "1.0.0"),
  ):
    got = _load(root, "plain", "train", classes=(4,))
  assert len(got) == 8  # of the ten, 19 and 39 are held out
  assert set(got.labels) == {4}
