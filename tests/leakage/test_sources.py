"""Sources without an orientation, and summaries of what is seen of them."""

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from rotjax.leakage import cues, sources


def test_a_pre_turned_image_keeps_its_ink_and_its_centre():
  rng = np.random.default_rng(1)
  y, x = np.mgrid[:28, :28]
  blob = np.exp(-((y - 14) ** 2 / 20 + (x - 14) ** 2 / 6))
  images = np.round(200 * blob * rng.uniform(0.5, 1, (3, 1, 1)))
  images = images.astype(np.uint8)[..., None]
  turned = sources.preturned(images, (14.0, 14.0), 4, seed=0)
  assert turned.images.shape == (12, 28, 28, 1)
  assert turned.cluster.tolist() == [0, 1, 2] * 4
  ratio = turned.images.sum((1, 2, 3)) / np.tile(images.sum((1, 2, 3)), 4)
  np.testing.assert_allclose(ratio, 1, atol=0.02)
  # cues.centroid measures from the canvas's centre, (13.5, 13.5).
  at = cues.centroid(turned.images[..., 0].astype(np.float64))
  np.testing.assert_allclose(at, 0.5, atol=0.05)


@pytest.mark.parametrize("kind", sources.ISOTROPIC)
def test_synthetic_sources_have_no_preferred_direction(kind):
  made = sources.isotropic(kind, 400, (24, 24, 1), seed=0)
  assert made.images.dtype == np.uint8
  pixels = made.images[..., 0].astype(np.float64)
  quarter = np.rot90(pixels, axes=(1, 2))
  assert np.abs(pixels.mean(0) - quarter.mean(0)).max() < 25
  along = [np.square(np.diff(pixels, axis=i)).mean() for i in (1, 2)]
  assert along[0] == pytest.approx(along[1], rel=0.1, abs=1e-9)


@hypothesis.given(st.integers(8, 40), st.sampled_from([1, 3]))
def test_every_summary_is_finite_on_any_views(side, channels):
  rng = np.random.default_rng(side)
  views = rng.normal(0.3, 0.5, (6, side, side, channels))
  views[0], views[1] = 0, 1  # black, white
  found = cues.summarize(views)
  assert set(found) == set(cues.CUES)
  for name, values in found.items():
    assert values.shape[0] == 6 and np.isfinite(values).all(), name


def test_the_spectrum_tells_a_waves_direction_and_frequency():
  y, x = np.mgrid[:32, :32] / 32
  phi = np.deg2rad([0, 20, 45, 70])
  # 10 cycles on the canvas: .31 a pixel, of the fifth band.
  waves = [np.cos(20 * np.pi * (x * np.cos(p) + y * np.sin(p))) for p in phi]
  found = cues.spectrum(np.asarray(waves, np.float32)[..., None])
  bands = len(cues._BANDS) - 1
  directions = found[:, bands:].reshape(4, bands, -1, 2)
  fourfold = directions[:, 4, cues._ORDERS.index(4)]
  want = np.stack([np.cos(4 * phi), np.sin(4 * phi)], -1)
  np.testing.assert_allclose(fourfold, want, atol=0.3)
  assert (found[:, :bands].argmax(1) == 4).all()


def test_the_rim_tells_a_wave_of_36():
  radius, phi = cues._polar(96)
  turns = np.asarray([0.0, 1.0, 2.0])
  waves = [0.5 + 0.5 * np.cos(36 * phi - t) * (radius < 1) for t in turns]
  weights = cues._rim_weights(96)
  found = np.asarray(waves).reshape(3, -1) @ weights
  at = 2 * cues._HARMONICS.index(36)
  np.testing.assert_allclose(found[:, at], 0.25 * np.cos(turns), atol=0.02)
  np.testing.assert_allclose(found[:, at + 1], 0.25 * np.sin(turns), atol=0.02)


def test_the_rows_tell_one_that_flickers():
  views = np.full((2, 28, 28, 1), 0.4)
  views[1, 9] += 0.01
  found = cues.rows(views)
  assert np.abs(found[0]).max() < 1e-9
  assert found[1].argmax() == 9 and found[1].max() == pytest.approx(0.01)
