"""Numbers that are far out or not finite: right, NaN or refused."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rotjax import errors
from rotjax.image import blur, geometry, view_scipy, warp, warp_cubic
from rotjax.image import view as view_lib
from tests import reference

pytestmark = pytest.mark.optimized

IMAGE = np.random.default_rng(0).random((7, 9, 2)).astype(np.float32)


def by_loop(image, angle, size, center, shift=(0, 0), scale=1.0, mode="edge"):
  """Each pixel from its definition, in float64; SciPy's reflect is slow far
  out and its other modes lose bits there."""
  y, x = reference.source_coordinates(
    angle, image.shape, size, np.float64(center), np.float64(shift), scale
  )
  out = np.zeros((*size, image.shape[2]))

  def pixel(row, column):
    where = []
    for at, side in ((row, image.shape[0]), (column, image.shape[1])):
      if mode == "constant" and not 0 <= at < side:
        return np.zeros(image.shape[2])
      if mode == "reflect":
        at %= 2 * side
        at = min(at, 2 * side - 1 - at)
      where.append(min(max(at, 0), side - 1))
    return np.float64(image[tuple(where)])

  for at in np.ndindex(size):
    row, column = math.floor(y[at]), math.floor(x[at])
    down, right = y[at] - row, x[at] - column
    out[at] = (1 - down) * (
      (1 - right) * pixel(row, column) + right * pixel(row, column + 1)
    ) + down * (
      (1 - right) * pixel(row + 1, column) + right * pixel(row + 1, column + 1)
    )
  return out


def agree(got, angle, size, center, tolerance, **kwargs):
  expected = by_loop(IMAGE, angle, size, center, **kwargs)
  np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)


def formulations(mode, size, max_scale):
  """Both, compiled: angle, center, shift, scale -> picture."""

  def make(by):
    @jax.jit
    def turned(angle, center, shift, scale):
      placement = geometry.place(
        IMAGE.shape, angle, center, shift, scale, max_scale
      )
      return by(IMAGE, placement, size, max_scale, mode, 0.0)

    return turned

  return [make(by) for by in (warp.by_gather, warp.by_matmul)]


@pytest.mark.parametrize("mode", warp.MODES)
def test_a_center_many_images_outside(mode):
  both = formulations(mode, (6, 8), 1.0)
  for away, angle in itertools.product(
    (30, 111.5, 4096, -65536), (0, 33.0, 90)
  ):
    for center in ((away, 4.0), (3.0, -away), (away, away)):
      for turned in both:
        # float32 knows the place no better.
        agree(
          turned(angle, jnp.float32(center), jnp.zeros(2), 1.0),
          *(angle, (6, 8), center, 2e-5),
          mode=mode,
        )


@pytest.mark.parametrize("mode", warp.MODES)
def test_a_shift_of_many_canvases(mode):
  both = formulations(mode, (6, 8), 1.0)
  center = (2.75, 4.5)
  for shift in ((4.5, -5.25), (40.0, 0.5), (0.0, -4096.0), (-1e6, 1e6)):
    for angle in (0.0, 90.0, 180.0):  # exact, so that the place is
      for turned in both:
        got = turned(angle, jnp.float32(center), jnp.float32(shift), 1.0)
        agree(got, angle, (6, 8), center, 2e-6, shift=shift, mode=mode)


def test_a_shift_that_brings_a_far_center_back_shows_it():
  # Right to what float32 knows of 33 degrees at such a distance.
  angle, away = 33.0, 1000.0
  back = -away * np.array([math.cos, math.sin][0](math.radians(angle)))
  shift = np.float32(np.round([-back, 0.0]))
  for turned in formulations("constant", (6, 8), 1.0):
    got = turned(angle, jnp.float32([away, 4.0]), jnp.asarray(shift), 1.0)
    agree(got, angle, (6, 8), (away, 4.0), 5e-4, shift=shift, mode="constant")


@pytest.mark.parametrize("mode", warp.MODES)
@pytest.mark.parametrize(
  "scale, tolerance",
  [(0.0, 1e-6), (1e-9, 1e-6), (0.01, 1e-6), (-0.7, 1e-5), (-3.0, 1e-5)]
  + [(60.0, 1e-3), (1000.0, 2e-2)],
)
def test_any_scale(mode, scale, tolerance):
  for turned in formulations(mode, (6, 8), abs(scale)):
    for angle in (0.0, 33.0, -135.0):
      got = turned(angle, jnp.float32([3.25, 4.5]), jnp.zeros(2), scale)
      agree(got, angle, (6, 8), (3.25, 4.5), tolerance, scale=scale, mode=mode)


def test_a_negative_scale_needs_no_bound_and_is_clipped_as_a_positive_one():
  got = warp.rotate(IMAGE, 20.0, scale=-0.5)
  np.testing.assert_allclose(
    got, warp.rotate(IMAGE, 200.0, scale=0.5), atol=1e-6
  )
  bounded = warp.rotate(IMAGE, 20.0, scale=-7.0, max_scale=0.5)
  np.testing.assert_array_equal(bounded, got)


def test_a_huge_angle_is_reduced_exactly():
  # Each is a float32; 90 times its quadrant is none.
  for angle in (1e9, -3e9, 2.0**40, 1e20, -(2.0**100)):
    angle = float(np.float32(angle))
    expected = reference.rotate(IMAGE, math.fmod(angle, 360))
    np.testing.assert_allclose(
      warp.rotate(IMAGE, np.float32(angle)), expected, atol=1e-5
    )


@pytest.mark.parametrize("mode", warp.MODES)
@pytest.mark.parametrize("shape", ((1, 1, 1), (2, 2, 3), (1, 5, 1), (2, 1, 1)))
def test_tiny_images(shape, mode):
  image = np.random.default_rng(1).random(shape).astype(np.float32)
  options = dict(center=(0.3, 0.2), shift=(0.25, -0.5), mode=mode)
  for angle in (0.0, 40.0, -170.0):
    for size in ((1, 1), (5, 4)):
      got = warp.rotate(image, angle, size=size, **options)
      expected = reference.rotate_loop(image, angle, size=size, **options)
      np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6)


WRONG = (math.nan, math.inf, -math.inf)
PLACES = ("angle", "center y", "center x", "shift y", "shift x", "scale")


@pytest.mark.parametrize("rotate", (warp.rotate, warp_cubic.rotate))
@pytest.mark.parametrize("mode", warp.MODES)
def test_a_number_that_is_not_finite_makes_all_nan(rotate, mode):
  if rotate is warp_cubic.rotate and mode != "constant":
    mode = None  # it has one mode, and no shift but the landing

  @jax.jit
  def turned(numbers):
    angle, cy, cx, sy, sx, scale = numbers
    center, shift = jnp.stack([cy, cx]), jnp.stack([sy, sx])
    options = dict(center=center, scale=scale, max_scale=2.0)
    if rotate is warp.rotate:
      options |= dict(mode=mode, shift=shift)
    return rotate(IMAGE, angle, **options)

  fine = np.float32([20, 3, 4, 0, 0, 1])
  assert np.isfinite(turned(fine)).all()
  for k, value in itertools.product(range(len(PLACES)), WRONG):
    if rotate is warp_cubic.rotate and "shift" in PLACES[k]:
      continue
    numbers = fine.copy()
    numbers[k] = value
    assert np.isnan(turned(numbers)).all(), (PLACES[k], value)
    # The gradient tells as well.
    grad = jax.grad(lambda x: turned(x).sum())(numbers)
    assert not np.isfinite(grad).all(), (PLACES[k], value)


@pytest.mark.parametrize("value", WRONG)
def test_a_pixel_that_is_not_finite_shows_where_it_is_read(value):
  image = IMAGE.copy()
  image[3, 4, 0] = value
  for rotate in (warp.rotate, warp_cubic.rotate):
    out = np.asarray(rotate(image, 20.0))
    assert not np.isfinite(out[..., 0]).all()
    assert np.isfinite(out[..., 1]).all()


@pytest.mark.parametrize("value", WRONG)
def test_a_view_passes_on_what_is_not_finite(value):
  picture = np.full((7, 7, 1), 100, np.uint8)
  as_it_is = {"fineness": 0.0}
  for options in (
    {"passes": "double", **as_it_is},
    {"zoom": 2.0, **as_it_is},
    {"threshold": 0.2},
    {},
  ):
    view = view_lib.View(size=7, jitter=0, center="canvas", **options)
    view = view.resolve(None, (7, 7))
    for interpolator in ("own", "cubic"):
      (finer,) = view.finer(picture[None])
      source = finer if interpolator == "own" else picture
      shown = view.render(source, view_lib.Draw(value), interpolator)
      assert np.isnan(shown[3, 3, 0])
  shown = view_scipy.render(view, picture[None], np.array([[value, 0.0]]))
  assert np.isnan(shown[0, 0, 3, 3]) and np.isfinite(shown[0, 1]).all()


def refused(call, *words):
  with pytest.raises(errors.UserError) as caught:
    call()
  message = str(caught.value)
  assert "\n" not in message
  assert all(word in message for word in words), message


@pytest.mark.parametrize("value", WRONG)
def test_static_numbers_that_are_not_finite_are_refused(value):
  refused(lambda: warp.rotate(IMAGE, 0.0, fill=value), "fill", str(value))
  refused(lambda: warp.rotate(IMAGE, 0.0, max_scale=value), "max_scale")
  refused(lambda: warp.rotate(IMAGE, 0.0, scale=value), "scale")
  refused(lambda: warp_cubic.rotate(IMAGE, 0.0, max_scale=value), "max_scale")
  refused(lambda: blur.gaussian(IMAGE, value), "sigma")


def test_what_has_no_bits_left_is_refused():
  refused(lambda: warp.rotate(IMAGE, 0.0, scale=1e9), "1e+09", "524,288")
  refused(lambda: warp_cubic.rotate(IMAGE, 0.0, max_scale=1e30), "524,288")
  strip = np.zeros((1, 2_000_000, 1), np.uint8)
  refused(lambda: warp.rotate(strip, 0.0, size=(8, 8)), "1 x 2000000")


def test_arguments_of_another_shape_are_refused():
  refused(lambda: warp.rotate(IMAGE, jnp.zeros(3)), "angle_deg", "(3,)", "vmap")
  refused(lambda: warp.rotate(IMAGE, 0.0, center=1.0), "center")
  refused(lambda: warp.rotate(IMAGE, 0.0, shift=(1, 2, 3)), "shift", "(3,)")
  refused(lambda: warp.rotate(IMAGE[:, :0], 0.0), "no pixels")
  refused(lambda: warp.rotate(IMAGE, 0.0, size=(0, 4)), "0 x 4")
  refused(lambda: warp_cubic.rotate(IMAGE[0], 0.0), "[H, W, C]")
  refused(lambda: warp_cubic.rotate(IMAGE, 0.0, supersample=0), "supersample")
  refused(lambda: blur.gaussian(IMAGE, 0.0), "sigma")
  traced = jax.jit(lambda scale: warp.rotate(IMAGE, 0.0, scale=scale))
  refused(lambda: traced(1.0), "max_scale", "traced")
