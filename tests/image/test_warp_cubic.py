"""The second interpolator against a function known everywhere, and SciPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rotjax.image import warp, warp_cubic

pytestmark = pytest.mark.optimized


def _scene(y, x):
  """A smooth function of real coordinates, with no symmetry."""
  return np.exp(-((y - 18) ** 2 + (x - 22) ** 2) / 60) + 0.5 * np.exp(
    -((y - 25) ** 2 + (x - 14) ** 2) / 30
  )


GRID = np.mgrid[:40, :40].astype(np.float64)
IMAGE = _scene(*GRID).astype(np.float32)[..., None]


def _turned(angle_deg, center, landing):
  c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
  v, u = GRID[0] - landing[0], GRID[1] - landing[1]
  return _scene(s * u + c * v + center[0], c * u - s * v + center[1])


@pytest.mark.parametrize("angle_deg", [0.0, 33.0, 90.0, 180.0, 251.7])
def test_it_is_the_turned_scene_and_better_than_the_bilinear_warp(angle_deg):
  center, landing = (20.0, 19.0), (18.5, 21.0)
  want = _turned(angle_deg, center, landing)
  got = warp_cubic.rotate(
    IMAGE, angle_deg, center=center, landing=landing, supersample=1
  )
  inner = (slice(6, -6), slice(6, -6))
  error = np.abs(np.asarray(got[..., 0]) - want)[inner].max()
  shift = np.subtract(landing, 19.5)
  bilinear = warp.rotate(IMAGE, angle_deg, center=center, shift=shift)
  bilinear_error = np.abs(np.asarray(bilinear[..., 0]) - want)[inner].max()
  assert error < 5e-4
  assert error < bilinear_error / 5


def test_the_warp_with_a_scale_is_the_scene_at_that_scale():
  want = _scene(20 + 1.5 * (GRID[0] - 19.5), 20 + 1.5 * (GRID[1] - 19.5))
  got = warp_cubic.rotate(
    IMAGE, 0.0, center=(20.0, 20.0), scale=1.5, max_scale=2.0, supersample=1
  )
  inner = (slice(9, -9), slice(9, -9))
  assert np.abs(np.asarray(got[..., 0]) - want)[inner].max() < 5e-4


def test_supersampling_averages_finer_samples():
  fine = warp_cubic.rotate(
    IMAGE, 20.0, size=(120, 120), scale=1 / 3, max_scale=1 / 3, supersample=1
  )
  want = np.asarray(fine).reshape(40, 3, 40, 3, 1).mean((1, 3))
  got = warp_cubic.rotate(IMAGE, 20.0, supersample=3)
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_there_and_back_loses_little():
  turned = warp_cubic.rotate(IMAGE, 37.0, supersample=1)
  back = warp_cubic.rotate(turned, -37.0, supersample=1)
  inside = np.asarray(warp.disc((40, 40)))
  assert np.abs(np.asarray(back - IMAGE)[inside]).max() < 2e-2


def test_constant_images_stay_constant_and_types_are_float32():
  image = np.full((12, 12, 3), 200, np.uint8)
  got = jax.jit(jax.vmap(lambda a: warp_cubic.rotate(image, a)))(
    jnp.arange(3.0)
  )
  assert got.dtype == jnp.float32
  # The weights of a sample sum to one wherever it sees the image alone.
  np.testing.assert_allclose(got[:, 4:8, 4:8], 200, rtol=1e-5)


def test_a_tpu_multiplies_to_the_same_picture(monkeypatch):
  image = np.random.default_rng(7).integers(0, 256, (40, 37, 3), np.uint8)
  angles = np.float32([0, 12.3, 90, 200])

  def turn():
    call = functools.partial(warp_cubic.rotate, scale=1.3, max_scale=1.5)
    return jax.vmap(lambda angle: call(image, angle, size=(35, 42)))

  gathered = turn()(angles)
  monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
  text = str(jax.make_jaxpr(turn())(angles))
  assert "dot_general" in text and "gather[" not in text
  np.testing.assert_allclose(turn()(angles), gathered, atol=2e-3)


def test_its_samples_do_not_lie_in_memory_together():
  views, side = 32, 48
  images = jax.ShapeDtypeStruct((views, side, side, 3), jnp.uint8)
  angles = jax.ShapeDtypeStruct((views,), jnp.float32)
  program = jax.jit(jax.vmap(warp_cubic.rotate)).lower(images, angles)
  memory = program.compile().memory_analysis()
  # The places of nine samples are four numbers each; their values, sixteen
  # neighbours of three channels, would be a hundred times the canvas.
  assert memory.temp_size_in_bytes < 30 * memory.output_size_in_bytes
