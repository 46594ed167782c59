"""SciPy's view: the same turn, centre, zoom and mask as ours."""

import dataclasses

import jax
import numpy as np
import pytest

from rotjax.image import view as view_lib
from rotjax.image import view_scipy

VIEW = view_lib.View(size=28, center="14,14", fineness=0.0)


def smooth(seed=0, size=30):
  """An image without fine detail, so that interpolators agree."""
  rng = np.random.default_rng(seed)
  y, x = np.mgrid[:size, :size] / size
  waves = sum(
    rng.normal() * np.cos(2 * np.pi * (a * x + b * y) + rng.uniform(0, 6))
    for a in range(3)
    for b in range(3)
  )
  waves = (waves - waves.min()) / np.ptp(waves)
  return np.uint8(255 * waves)[..., None]


def ours(view, image, angle_deg):
  draw = view_lib.Draw(np.float32(angle_deg))
  return np.asarray(jax.jit(view.render)(image, draw))


@pytest.mark.parametrize(
  "view",
  [
    VIEW,
    dataclasses.replace(VIEW, center="13.5,15"),
    dataclasses.replace(VIEW, center="14.5,14.5", crop="expand", mask="none"),
    dataclasses.replace(VIEW, center="14.5,14.5", crop="inscribed"),
    dataclasses.replace(VIEW, center="centroid", pixel_range="raw"),
    dataclasses.replace(VIEW, blur=1.0),
  ],
  ids=["plain", "off centre", "expand", "inscribed", "centroid", "blur"],
)
def test_it_agrees_with_the_own_warp_on_smooth_images(view):
  image, angles = smooth(), np.array([[0.0, 37.3, 90.0, -128.0]])
  shown = view_scipy.render(view, image[None], angles)[0]
  scale = 255 if view.pixel_range == "raw" else 1
  inside = (slice(9, -9), slice(9, -9))  # borders are faded differently
  for picture, angle in zip(shown, angles[0]):
    difference = np.abs(picture - ours(view, image, angle))[inside]
    assert difference.max() < 0.03 * scale, angle
  assert np.ptp(shown[0]) > 0.3 * scale


def test_a_quarter_turn_is_exact():
  rng = np.random.default_rng(1)
  image = rng.integers(0, 256, (29, 29, 1), np.uint8)
  view = dataclasses.replace(VIEW, size=29, mask="none")
  shown = view_scipy.render(view, image[None], np.array([[90.0, 180.0]]))[0]
  for k in (1, 2):
    np.testing.assert_allclose(
      shown[k - 1], np.rot90(image, k) / 255, atol=1e-5
    )


def test_a_threshold_leaves_black_and_white():
  view = dataclasses.replace(VIEW, threshold=0.4)
  for picture in (
    view_scipy.render(view, smooth()[None], np.array([[30.0]]))[0, 0],
    ours(view, smooth(), 30.0),
  ):
    assert set(np.unique(picture)) == {0.0, 1.0}
