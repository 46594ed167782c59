import concurrent.futures
import multiprocessing
import pickle

import numpy as np
import pytest

from rotjax import data, errors


@pytest.fixture(scope="module")
def root(helpers, tmp_path_factory):
  root = tmp_path_factory.mktemp("streamed")
  noise = helpers.noise
  splits = {"train": noise(60), "test": noise(7, 1)}
  helpers.build(root, "plain", splits)
  helpers.build(root, "sized", splits, shape=(8, 8, 3))
  helpers.build(root, "nameless", splits, shape=(8, 8, 3), label=None)
  mixed = [*noise(3), *noise(3, 1, shape=(8, 9, 3))]
  helpers.build(root, "mixed", {"train": mixed, "test": mixed})
  return root


def _both(root, name, split, **options):
  """The same split in memory and left on disk."""
  found = data.find(name)
  return [
    found(dir=str(root), max_resident_mb=mb, **options).load(split)
    for mb in (1, 0)
  ]


@pytest.mark.parametrize(
  ("name", "options"),
  [
    ("plain", {}),
    ("plain", {"classes": (1, 3)}),
    ("sized", {}),
    ("nameless", {"label": ""}),
  ],
)
@pytest.mark.parametrize("split", data.SPLITS)
def test_a_streamed_split_is_the_resident_one(root, name, options, split):
  resident, streamed = _both(root, name, split, **options)
  assert isinstance(resident, data.Split)
  assert isinstance(streamed, data.Streamed)
  assert len(streamed) == len(resident)
  assert streamed.shape == resident.shape == (8, 8, 3)
  assert streamed.origin == resident.origin
  assert streamed.center is None and streamed.angle_deg is None
  np.testing.assert_array_equal(streamed.labels, resident.labels)
  np.testing.assert_array_equal(streamed.indices, resident.indices)
  order = np.random.default_rng(0).permutation(len(resident))
  batch = streamed.__getitems__(order)
  assert set(batch) == {"image", "label"}
  assert batch["image"].dtype == np.uint8
  np.testing.assert_array_equal(batch["image"], resident.images[order])
  np.testing.assert_array_equal(batch["label"], resident.labels[order])


def test_rows_and_odd_indices(root):
  resident, streamed = _both(root, "plain", "train")
  some = streamed.rows(np.array([5, 0, 9]))
  assert len(some) == 3
  np.testing.assert_array_equal(
    some.__getitems__([2, 2, -1])["image"], resident.images[[9, 9, 9]]
  )
  assert streamed.__getitems__([])["image"].shape == (0, 8, 8, 3)
  for wrong in ([57], [0.5]):
    with pytest.raises(IndexError):
      streamed.__getitems__(wrong)


def test_the_limit_is_on_the_decoded_bytes_of_the_classes_kept(
  helpers, tmp_path
):
  # 12 images a class of 128 x 128 x 3 bytes are .5625 MB, all are 2.8 MB.
  images = helpers.noise(60, shape=(128, 128, 3))
  helpers.build(tmp_path, "large", {"train": images, "test": images[:5]})
  large = data.find("large")
  kinds = [
    type(large(dir=str(tmp_path), max_resident_mb=mb, classes=c).load("train"))
    for mb, c in ((1, ()), (1, (2,)), (3, ()), (0, (2,)))
  ]
  expected = [data.Streamed, data.Split, data.Split, data.Streamed]
  assert kinds == expected


def test_several_threads_read_at_once(root):
  resident, streamed = _both(root, "plain", "train")
  blocks = np.array_split(np.arange(57).repeat(4), 40)
  with concurrent.futures.ThreadPoolExecutor(4) as pool:
    for rows, batch in zip(blocks, pool.map(streamed.__getitems__, blocks)):
      np.testing.assert_array_equal(batch["image"], resident.images[rows])


def test_it_is_pickled_and_read_in_another_process(root):
  resident, streamed = _both(root, "plain", "train")
  streamed.__getitems__([0])  # open files are not sent
  np.testing.assert_array_equal(
    pickle.loads(pickle.dumps(streamed)).__getitems__([3])["image"],
    resident.images[[3]],
  )
  with concurrent.futures.ProcessPoolExecutor(
    1, mp_context=multiprocessing.get_context("spawn")
  ) as pool:
    batch = pool.submit(streamed.__getitems__, [8, 1]).result(timeout=120)
  np.testing.assert_array_equal(batch["image"], resident.images[[8, 1]])


def test_images_of_two_sizes_are_refused(root):
  with pytest.raises(errors.UserError, match="not all of one size: 8x"):
    data.find("mixed")(dir=str(root), max_resident_mb=0).load("train")


def test_files_that_are_gone_are_one_line(helpers, tmp_path):
  folder = helpers.build(
    tmp_path, "mine", {"train": helpers.noise(30), "test": helpers.noise(3)}
  )
  split = data.find("mine")(dir=str(tmp_path), max_resident_mb=0).load("test")
  for path in folder.glob("*.array_record*"):
    path.unlink()
  helpers.forget()
  with pytest.raises(errors.UserError, match="cannot read mine in") as e:
    split.__getitems__([0])
  assert "\n" not in str(e.value)
