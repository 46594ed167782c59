"""The warp as matrix products: what a TPU runs, computed here on a CPU."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rotjax.image import geometry, warp
from tests import reference

pytestmark = pytest.mark.optimized


@functools.partial(
  jax.jit, static_argnames=("by", "size", "max_scale", "mode", "fill")
)
def turn(by, images, placement, size, max_scale=1.0, mode="constant", fill=0.0):
  """One formulation over a batch in which everything varies."""
  return jax.vmap(lambda i, p: by(i, p, size, max_scale, mode, fill))(
    images, placement
  )


def cases(n, shape, scale=1.0, seed=0):
  """Any angle, centres in and beside the image, shifts of whole 64ths."""
  rng = np.random.default_rng(seed)
  angles = rng.uniform(-400, 400, n)
  angles[:2] = 90, 0
  centers = rng.uniform(-0.3, 1.3, (n, 2)) * np.array(shape[:2])
  shifts = np.round(rng.uniform(-3, 3, (n, 2)) * 64) / 64
  numbers = (angles, shifts, centers, np.full(n, scale))
  return geometry.Placement(*(a.astype(np.float32) for a in numbers))


def oracle(images, placement, **kwargs):
  return np.stack(
    [
      reference.rotate(
        image,
        float(angle),
        center=center.astype(float),
        shift=shift.astype(float),
        scale=float(scale),
        **kwargs,
      )
      for image, angle, shift, center, scale in zip(images, *placement)
    ]
  )


# Canvases of one tile, of whole ones and of cut ones; windows as large as the
# source and smaller.
SHAPES = [
  ((28, 28, 1), (28, 28), 12),
  ((31, 20, 3), (17, 40), 8),
  ((12, 9, 1), (70, 33), 6),
  ((64, 64, 3), (64, 64), 4),
  ((150, 201, 1), (97, 128), 3),
]


@pytest.mark.parametrize("mode", warp.MODES)
@pytest.mark.parametrize("shape, size, n", SHAPES)
def test_equals_scipy_in_float64(shape, size, n, mode):
  images = np.random.default_rng(1).random((n, *shape), np.float32)
  placement = cases(n, shape)
  got = turn(warp.by_matmul, images, placement, size, mode=mode, fill=0.7)
  expected = oracle(images, placement, size=size, mode=mode, fill=0.7)
  atol = 1e-5 if max(shape) <= 64 else 1e-4
  np.testing.assert_allclose(got, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("mode", warp.MODES)
@pytest.mark.parametrize("scale", (0.5, 1.7))
def test_equals_scipy_at_other_scales(scale, mode):
  n, shape, size = 4, (90, 70, 1), (40, 65)
  images = np.random.default_rng(2).random((n, *shape), np.float32)
  placement = cases(n, shape, scale)
  got = turn(warp.by_matmul, images, placement, size, max_scale=2.0, mode=mode)
  expected = oracle(images, placement, size=size, mode=mode)
  np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", (np.uint8, np.float32))
@pytest.mark.parametrize("shape, size, n", SHAPES)
def test_equals_the_gathers_to_rounding(shape, size, n, dtype):
  # The same weights in other sums.
  rng = np.random.default_rng(3)
  images = rng.integers(0, 256, (n, *shape)).astype(dtype)
  placement = cases(n, shape, seed=3)
  got, expected = (
    turn(by, images, placement, size) for by in (warp.by_matmul, warp.by_gather)
  )
  assert got.dtype == expected.dtype == np.float32
  np.testing.assert_allclose(got, expected, rtol=0, atol=255 * 5e-7)


def test_quarter_turns_are_rot90_bit_for_bit():
  image = np.random.default_rng(4).random((36, 36, 2), np.float32)
  angles = np.float32([0, 90, 180, 270])
  placement = geometry.Placement(
    angles,
    np.zeros((4, 2), np.float32),
    np.full((4, 2), 17.5, np.float32),
    np.ones(4, np.float32),
  )
  images = np.broadcast_to(image, (4, *image.shape))
  got = turn(warp.by_matmul, images, placement, (36, 36))
  for k in range(4):
    np.testing.assert_array_equal(got[k], np.rot90(image, k))


def test_its_transpose_is_that_of_the_gathers():
  # What reverse mode needs where images are parameters.
  shape, size = (20, 23, 2), (40, 35)
  placement = jax.tree.map(lambda x: x[2], cases(3, shape))
  weights = np.random.default_rng(5).random((*size, 2), np.float32)
  got, expected = (
    jax.linear_transpose(
      lambda image, by=by: by(image, placement, size, 1.0, "edge", 0.0),
      jax.ShapeDtypeStruct(shape, jnp.float32),
    )(weights)[0]
    for by in (warp.by_matmul, warp.by_gather)
  )
  np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(
  "backend, has, has_not",
  [("tpu", "dot_general", "gather"), ("cuda", "gather", "dot_general")],
)
def test_a_tpu_multiplies_and_a_gpu_gathers(backend, has, has_not, monkeypatch):
  monkeypatch.setattr(jax, "default_backend", lambda: backend)
  text = str(
    jax.make_jaxpr(jax.vmap(warp.rotate))(np.ones((8, 28, 28, 1)), np.ones(8))
  )
  assert has in text and has_not not in text
