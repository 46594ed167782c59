"""Maps on a small grid."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from rotjax import errors, models
from rotjax.models import convnext_tiny, efficientnet_lite0, spatial


@given(st.integers(1, 60), st.integers(1, 16))
def test_each_cell_is_a_mean_and_no_pixel_is_lost(side, cells):
  matrix = spatial.pooling(side, cells)
  assert matrix.shape == (cells, side) and matrix.min() >= 0
  np.testing.assert_allclose(matrix.sum(1), 1, rtol=1e-5)
  np.testing.assert_allclose(matrix.sum(0), cells / side, rtol=1e-5)


def test_pixels_on_an_edge_count_in_both_cells_by_their_share():
  np.testing.assert_allclose(
    spatial.pooling(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]], rtol=1e-6
  )


def test_pool_is_a_loop_of_block_means_row_by_row():
  maps = np.random.default_rng(0).normal(size=(2, 6, 4, 3)).astype(np.float32)
  expected = [
    maps[:, 3 * i : 3 * i + 3, 2 * j : 2 * j + 2].mean((1, 2))
    for i in range(2)
    for j in range(2)
  ]
  got = spatial.pool(maps, 2)
  np.testing.assert_allclose(got, np.concatenate(expected, 1), atol=1e-6)


@pytest.mark.parametrize(
  "cls", (efficientnet_lite0.EfficientNetLite0, convnext_tiny.ConvNeXtTiny)
)
@pytest.mark.parametrize(
  "options, words",
  [
    (dict(head_blocks=()), ("model.head_blocks = ()", "0 to 1")),
    (dict(head_blocks=(4, 4)), ("model.head_blocks", "rising")),
    (dict(head_blocks=(4, 99)), ("model.head_blocks", "99")),
    (dict(pool=0), ("model.pool = 0",)),
    (dict(hidden=0), ("model.hidden",)),
    (dict(dropout=1.0), ("model.dropout", "1.0")),
    (dict(weights="imagnet"), ("model.weights", "imagnet", ".safetensors")),
    (dict(weights="weights.pt"), ("weights.pt", ".safetensors")),
  ],
)
def test_invalid_options_are_refused(cls, options, words):
  with pytest.raises(errors.UserError) as caught:
    cls(**options)
  for word in words:
    assert word in str(caught.value)


@pytest.mark.parametrize("name", ("efficientnet_lite0", "convnext_tiny"))
@pytest.mark.parametrize(
  "shape, words", [((28, 28, 3), ("view.size = 28", "32")), ((64, 64, 4), "4")]
)
def test_images_that_they_do_not_take_are_refused(name, shape, words):
  with pytest.raises(errors.UserError) as caught:
    models.build(models.MODELS[name](), 2, shape)
  for word in words:
    assert word in str(caught.value)
