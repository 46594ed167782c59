"""The audit's networks: built of any backbone that a config may name."""

import numpy as np
import pytest

from rotjax.image import view as view_lib
from rotjax.leakage import networks
from rotjax.models import efficientnet_lite0, polar

SIDE = 32


def _gains(backbone, pixel_range="unit"):
  view = view_lib.View(size=SIDE, fineness=0.0, pixel_range=pixel_range)
  view = view.resolve(None, (SIDE, SIDE))
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (8, SIDE, SIDE, 1), np.uint8)
  shape = (SIDE, SIDE, 1)
  network = networks.Network(view, backbone, shape, 2, 1e-3, view.white)
  return network.fit(images, 0).gain(images, 1)


@pytest.mark.slow
def test_one_that_turns_has_as_many_harmonics_as_it_can_tell():
  small = polar.Polar(num_angles=16, num_radii=4, widths=(8,))
  gains = _gains(small)
  assert gains.shape == (16,) and np.isfinite(gains).all()


@pytest.mark.slow
def test_one_with_its_own_pixels_sees_the_same_in_either_range():
  tiny = efficientnet_lite0.EfficientNetLite0(
    weights="", head_blocks=(0,), hidden=8, batch_stats="train"
  )
  unit, raw = _gains(tiny), _gains(tiny, "raw")
  assert np.ptp(unit) > 0
  np.testing.assert_allclose(unit, raw, atol=1e-3)
