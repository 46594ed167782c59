"""The blur against SciPy's."""

import jax
import numpy as np
import pytest
import scipy.ndimage

from rotjax.image import blur


@pytest.mark.parametrize("sigma", [0.3, 0.7, 1.0, 2.5])
def test_it_is_scipys_gaussian_filter(sigma):
  image = np.random.default_rng(0).integers(0, 256, (20, 17, 2), np.uint8)
  ours = jax.jit(blur.gaussian, static_argnums=1)(image, sigma)
  wanted = [
    scipy.ndimage.gaussian_filter(
      np.float64(image[..., c]),
      sigma,
      mode="constant",
      radius=max(1, int(np.ceil(4 * sigma))),
    )
    for c in range(2)
  ]
  np.testing.assert_allclose(ours, np.stack(wanted, -1), atol=2e-4)
