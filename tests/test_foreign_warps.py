"""The libraries that runs are scored under turn as our own warp does."""

import jax
import numpy as np
import pytest

from experiments import foreign_warps
from rotjax.image import view as view_lib


@pytest.mark.parametrize("name", foreign_warps.WARPS)
@pytest.mark.parametrize("options", ({}, {"zoom": 1.25, "size": 33}))
def test_a_library_turns_as_the_view_does(name, options):
  pytest.importorskip("cv2")
  view = view_lib.View(center="14,12.5", pixel_range="raw", **options)
  y, x = np.mgrid[:28, :28]
  blobs = ((9, 15, 4.5), (17, 9, 4.0))  # smooth: all agree
  image = sum(
    np.exp(-((y - a) ** 2 + (x - b) ** 2) / s**2) for a, b, s in blobs
  )
  image = np.uint8(np.rint(150 * np.stack([image, image / 2], -1)))[None]
  degrees = np.array([[0.0, 90.0, 31.0, 250.0]])
  shown = foreign_warps.turned(view, image, degrees, name)
  finer = view.finer(image)[0]
  render = jax.jit(view.render)
  for picture, angle in zip(shown, degrees[0]):
    ours = render(finer, view_lib.Draw(np.float32(angle)))
    received = view.receive(picture)
    np.testing.assert_allclose(received, ours, rtol=0, atol=6)  # of 255
    assert np.ptp(received) > 100
