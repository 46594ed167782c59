"""Batches of a resident set and of one that streams: the same ones."""

import dataclasses
import threading
import time

import numpy as np
import pytest

from rotjax.data import batches, input_pipeline
from rotjax.data import split as split_lib

IMAGES = np.random.default_rng(0).integers(0, 256, (37, 4, 6, 3), np.uint8)
SPLIT = split_lib.Split(
  IMAGES, np.zeros(37, np.int32), np.arange(37, dtype=np.int64), "train"
)
SEEDS, BATCH = [3, 9], 8


@dataclasses.dataclass(frozen=True)
class Slow:
  """What `feed` asks of a streamed split, and a count of its reads."""

  reads: list
  seconds: float = 0.0
  shape: tuple = IMAGES.shape[1:]
  angle_deg: np.ndarray | None = None

  def __len__(self):
    return len(IMAGES)

  def __getitems__(self, rows):
    time.sleep(self.seconds)
    self.reads.append((threading.get_ident(), len(rows)))
    return {"image": IMAGES[rows], "label": np.zeros(len(rows), np.int32)}


def _streaming(split, local=None, first=0, prefetch=3):
  local = np.ones((len(SEEDS), BATCH), bool) if local is None else local
  steps = range(first, 20)
  return input_pipeline.of(split, BATCH, SEEDS, local, steps, 2, prefetch)


def test_streamed_batches_are_those_of_the_resident_set():
  resident = input_pipeline.of(SPLIT, BATCH, SEEDS, None, range(5, 20), 0, 4)
  streaming = _streaming(Slow([]), first=5)
  assert resident.images is IMAGES and streaming.images is None
  # In several calls, as a run makes them, and resumed at a step.
  for count in (1, 3, 1, 10):
    want, got = resident.take(count), streaming.take(count)
    mine = want["index"].reshape(count, -1)
    np.testing.assert_array_equal(got["image"], IMAGES[mine])
    for name in ("slot", "mask"):
      np.testing.assert_array_equal(got[name], want[name])
  again = batches.batch(len(IMAGES), BATCH, SEEDS, 19, 1)
  np.testing.assert_array_equal(want["index"][-1], again["index"][0])
  streaming.close()


def test_a_process_decodes_only_its_own_share():
  local = np.zeros((2, BATCH), bool)
  local[1, 4:] = True
  source = Slow([])
  stream = _streaming(source, local)
  index = batches.batch(len(IMAGES), BATCH, SEEDS, 0, 1)["index"]
  got = stream.take(1)["image"]
  np.testing.assert_array_equal(got, IMAGES[index[:, local]])
  stream.close()
  assert {count for _, count in source.reads} == {4}


def test_how_far_images_are_turned_already_comes_with_them():
  known = np.linspace(-40, 40, len(IMAGES))
  turned = dataclasses.replace(SPLIT, angle_deg=known)
  resident = input_pipeline.of(turned, BATCH, SEEDS, None, range(20), 0, 4)
  streaming = _streaming(Slow([], angle_deg=known))
  want, got = resident.take(2), streaming.take(2)
  np.testing.assert_array_equal(want["known_deg"], got["known_deg"])
  np.testing.assert_array_equal(
    want["known_deg"], known[want["index"]].astype(np.float32)
  )
  streaming.close()


def test_reading_is_ahead_bounded_and_elsewhere():
  source = Slow([], seconds=0.01)
  stream = _streaming(source, prefetch=3)
  stream.take(1)
  deadline = time.monotonic() + 10
  while len(source.reads) < 4 and time.monotonic() < deadline:
    time.sleep(0.01)
  time.sleep(0.2)
  # Three ahead of the one taken, one more in each of two threads' hands.
  assert 4 <= len(source.reads) <= 6
  assert threading.get_ident() not in {who for who, _ in source.reads}
  assert stream.waited >= 0.01
  stream.close()


def test_a_read_that_fails_is_raised_where_the_batch_is_taken():
  @dataclasses.dataclass(frozen=True)
  class Broken(Slow):
    def __getitems__(self, rows):
      raise ValueError("the file is gone")

  stream = _streaming(Broken([]))
  with pytest.raises(ValueError, match="the file is gone"):
    stream.take(1)
  stream.close()
