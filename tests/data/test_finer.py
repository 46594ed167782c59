"""Splits as a view turns them: kept where they fit, else made on demand."""

import dataclasses

import jax
import numpy as np
import pytest

from rotjax import angles as angles_lib
from rotjax import data
from rotjax.data import finer
from rotjax.image import view as view_lib

VIEW = view_lib.View(size=8, center="3.5,3.5", fineness=3.0)
SIDE = 24
FIELDS = ("labels", "indices", "origin", "center", "angle_deg")


@pytest.fixture(scope="module")
def splits(helpers, tmp_path_factory):
  """The same split in memory and left on disk."""
  root = tmp_path_factory.mktemp("finer")
  helpers.build(
    root, "plain", {"train": helpers.noise(24), "test": helpers.noise(1, 1)}
  )
  found = data.find("plain")
  return [
    found(dir=str(root), max_resident_mb=mb).load("train") for mb in (1, 0)
  ]


def test_a_split_without_fineness_is_itself(splits):
  view = dataclasses.replace(VIEW, fineness=0.0)
  for split in splits:
    assert finer.of(split, view, 1024) is split


def test_what_fits_is_resampled_once_and_kept(splits):
  resident, _ = splits
  got = finer.of(resident, VIEW, 1024)
  assert isinstance(got, data.Split)
  np.testing.assert_array_equal(got.images, VIEW.finer(resident.images))
  assert finer.of(resident, VIEW, 1024) is got  # for every seed of a process
  other = dataclasses.replace(VIEW, fineness=2.0)
  assert finer.of(resident, other, 1024).shape == (16, 16, 3)
  with pytest.raises(ValueError, match="read-only"):
    got.images[0] = 0


@pytest.mark.parametrize("kind", (0, 1), ids=("too large", "streamed"))
def test_what_does_not_fit_is_resampled_on_demand(splits, kind):
  resident, split = splits[0], splits[kind]
  # The source itself would fit: its finer images count.
  got = finer.of(split, VIEW, 0 if kind == 0 else 1024)
  assert isinstance(got, finer.Finer)
  assert got.shape == (SIDE, SIDE, 3) and len(got) == len(resident)
  for field in FIELDS:
    np.testing.assert_array_equal(getattr(got, field), getattr(split, field))
  rows = np.array([5, 0, 5])
  for batch in (
    got.__getitems__(rows),
    got.rows(rows).__getitems__(np.arange(3)),
  ):
    np.testing.assert_array_equal(
      batch["image"], VIEW.finer(resident.images[rows])
    )
    np.testing.assert_array_equal(batch["label"], resident.labels[rows])


def test_the_size_of_the_finer_images_decides(splits):
  resident, _ = splits
  # 606 images of 24 x 24 x 3 samples are just less than a MB, 607 just more.
  many = resident.rows(np.arange(607) % len(resident))
  assert isinstance(finer.of(many, VIEW, 1), finer.Finer)
  assert isinstance(finer.of(many.rows(np.arange(606)), VIEW, 1), data.Split)
  assert many.images.nbytes < 2**20 / 8


def test_a_step_resamples_what_is_not_kept(splits):
  images = splits[0].images
  keys = jax.random.split(jax.random.key(0), len(images))
  uniform = angles_lib.Angles()

  def sampled(view, images):
    sample = jax.jit(jax.vmap(lambda k, i: view.sample(k, i, uniform)))
    return sample(keys, images)

  kept, kept_deg = sampled(VIEW, VIEW.finer(images))
  made, made_deg = sampled(finer.FromSource(VIEW), images)
  np.testing.assert_array_equal(kept_deg, made_deg)
  assert kept.std() > 0.02
  # Of 0..1; a tie may be rounded to the other side.
  np.testing.assert_allclose(made, kept, rtol=0, atol=1.01 / 255)
  assert np.mean(np.abs(made - kept) > 1e-5) < 0.01
