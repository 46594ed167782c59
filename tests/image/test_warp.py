"""The warp against float64 oracles, `np.rot90`, and its own derivative."""

import functools
import itertools
import math

import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import jax.scipy.ndimage
import numpy as np
import pytest

from rotjax import errors
from rotjax.image import warp
from tests import reference

pytestmark = pytest.mark.optimized


@functools.partial(jax.jit, static_argnames=("size", "mode", "fill"))
def turn(
  images, angles, centers, shifts=None, size=None, mode="constant", fill=0.0
):
  """One compiled warp over a batch in which everything varies."""
  if shifts is None:
    shifts = jnp.zeros((len(images), 2))
  return jax.vmap(
    lambda image, angle, center, shift: warp.rotate(
      image,
      angle,
      center=center,
      shift=shift,
      size=size,
      mode=mode,
      fill=fill,
    )
  )(images, angles, centers, shifts)


rotate = jax.jit(warp.rotate, static_argnames=("size", "max_scale", "mode"))


@jax.jit
def turn_one(image, angles):
  """One image at many angles, with every default."""
  return jax.vmap(warp.rotate, in_axes=(None, 0))(image, angles)


def noise(*shape, dtype=np.float32, seed=0):
  """White noise: the steepest image, on which errors of place show most."""
  rng = np.random.default_rng(seed)
  if dtype == np.uint8:
    return rng.integers(0, 256, shape, np.uint8)
  return rng.random(shape).astype(dtype)


def middle(shape):
  return ((shape[0] - 1) / 2, (shape[1] - 1) / 2)


# --- Exactness and sign -----------------------------------------------------


@pytest.mark.parametrize("dtype", (np.uint8, np.float32))
@pytest.mark.parametrize("shape", ((28, 28, 1), (27, 27, 3), (4, 4, 1)))
def test_multiples_of_90_are_rot90_bit_for_bit(shape, dtype):
  image = noise(*shape, dtype=dtype)
  k = np.arange(-3, 9)
  got = turn_one(image, 90.0 * k)
  assert got.dtype == jnp.float32
  expected = [np.rot90(image, i).astype(np.float32) for i in k]
  np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("shape", ((6, 9, 1), (7, 5, 3), (5, 8, 1)))
def test_multiples_of_90_of_oblong_images(shape):
  # A canvas of the turned shape, as np.rot90 has.
  image = noise(*shape, dtype=np.uint8)
  for k in range(-3, 9):
    size = shape[:2] if k % 2 == 0 else shape[1::-1]
    got = turn(
      image[None], jnp.full(1, 90.0 * k), jnp.array([middle(shape)]), size=size
    )
    np.testing.assert_array_equal(got[0], np.rot90(image, k))


@pytest.mark.parametrize("mode", warp.MODES)
@pytest.mark.parametrize("shape", ((28, 28, 1), (5, 8, 3)))
def test_zero_degrees_is_the_identity_bit_for_bit(shape, mode):
  # Values that 0 * x + 1 * x would not keep if a weight were off by one ulp.
  image = noise(*shape) * np.float32(1e4)
  got = turn(
    image[None],
    jnp.zeros(1),
    jnp.array([middle(shape)]),
    size=shape[:2],
    mode=mode,
    fill=0.0,
  )
  np.testing.assert_array_equal(got[0], image)


def test_many_full_turns_are_none():
  # 360 k is a float32, so the angle is exact and so must be the answer.
  image = noise(9, 9, 1)
  k = np.array([-1e4, -77.0, 0.0, 111.0, 4e4])
  for got in turn_one(image, 360.0 * k + 90):
    np.testing.assert_array_equal(got, np.rot90(image))


def test_sign_convention_on_nine_pixels():
  upright = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32)[..., None]
  # Counter-clockwise as seen: the right-hand column becomes the top row.
  np.testing.assert_array_equal(
    rotate(upright, 90)[..., 0], [[3, 6, 9], [2, 5, 8], [1, 4, 7]]
  )
  # An eighth of a turn takes the middle of the top row to the upper left
  # corner's direction: the corner reads a mix around (0, 1), not (1, 0).
  eighth = np.asarray(rotate(upright, 45, mode="edge"))[..., 0]
  assert eighth[0, 0] == pytest.approx(2, abs=1e-5)
  assert eighth[0, 2] == pytest.approx(6, abs=1e-5)
  assert eighth[2, 2] == pytest.approx(8, abs=1e-5)
  assert eighth[2, 0] == pytest.approx(4, abs=1e-5)


def test_the_center_lands_on_the_middle_of_the_canvas():
  image = np.zeros((5, 7, 1), np.float32)
  image[1, 5] = 1
  angles = jnp.arange(0.0, 360.0, 17.0)
  n = len(angles)
  got = turn(
    np.broadcast_to(image, (n, 5, 7, 1)),
    angles,
    np.tile([1.0, 5.0], (n, 1)),
    size=(9, 3),
  )
  np.testing.assert_allclose(got[:, 4, 1], 1, atol=1e-6)


def test_the_shift_is_down_and_right_on_the_canvas():
  upright = np.arange(1, 10, dtype=np.float32).reshape(3, 3, 1)
  down = rotate(upright, 0, shift=(1, 0))[..., 0]
  np.testing.assert_array_equal(down, [[0, 0, 0], [1, 2, 3], [4, 5, 6]])
  right = rotate(upright, 0, shift=(0, 1))[..., 0]
  np.testing.assert_array_equal(right, [[0, 1, 2], [0, 4, 5], [0, 7, 8]])
  # After the turn, so a turned image moves the same way.
  turned = rotate(upright, 90, shift=(0, 1))[..., 0]
  np.testing.assert_array_equal(turned, [[0, 3, 6], [0, 2, 5], [0, 1, 4]])


# --- Against the oracles ----------------------------------------------------


def cases(n, shape, seed=0, shift=3.0):
  """Angles (small, negative, huge), centres and shifts for `n` images.

  Angles are float32, whose rounding (5e-4 degrees at 1e4) is not the warp's
  doing; shifts are multiples of 1/64, which the warp does not round.
  """
  rng = np.random.default_rng(seed)
  angles = rng.uniform(-400, 400, n)
  angles[::3] = rng.uniform(-1e4, 1e4, len(angles[::3]))
  angles[1] = -10000.3
  centers = rng.uniform(0.1, 0.9, (n, 2)) * np.array(shape[:2])
  centers[0] = middle(shape)
  shifts = np.round(rng.uniform(-shift, shift, (n, 2)) * 64) / 64
  return [a.astype(np.float32) for a in (angles, centers, shifts)]


def oracle(images, angles, centers, shifts, rotate=reference.rotate, **kwargs):
  return np.stack(
    [
      rotate(i, float(a), center=c, shift=s, **kwargs)
      for i, a, c, s in zip(
        images, angles, centers.astype(float), shifts.astype(float)
      )
    ]
  )


@pytest.mark.parametrize("mode", warp.MODES)
@pytest.mark.parametrize(
  "shape, size, n",
  [
    ((28, 28, 1), (28, 28), 40),
    ((31, 20, 3), (17, 24), 20),
    ((20, 20, 1), (64, 41), 10),
    ((64, 64, 3), (64, 64), 10),
    ((224, 224, 3), (224, 224), 3),
    ((320, 300, 1), (224, 224), 3),
  ],
)
def test_equals_scipy_in_float64(shape, size, n, mode):
  images = noise(n, *shape)
  case = cases(n, shape)
  got = turn(images, *case, size=size, mode=mode, fill=0.7)
  expected = oracle(images, *case, size=size, mode=mode, fill=0.7)
  atol = 1e-5 if max(shape) <= 64 else 1e-4
  np.testing.assert_allclose(got, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("mode", warp.MODES)
@pytest.mark.parametrize(
  "shape, size", [((6, 9, 2), (7, 5)), ((3, 2, 1), (8, 8))]
)
def test_equals_a_loop_over_pixels(shape, size, mode):
  n = 12
  images = noise(n, *shape, seed=1)
  case = cases(n, shape, seed=1, shift=2.0)
  got = turn(images, *case, size=size, mode=mode, fill=-0.3)
  expected = oracle(
    images,
    *case,
    rotate=reference.rotate_loop,
    size=size,
    mode=mode,
    fill=-0.3,
  )
  np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("mode", warp.MODES)
def test_equals_map_coordinates_of_jax(mode):
  n, shape, size = 8, (19, 23, 1), (21, 18)
  images = noise(n, *shape, seed=2)
  angles, centers, shifts = cases(n, shape, seed=2)
  got = turn(images, angles, centers, shifts, size=size, mode=mode, fill=0.2)[
    ..., 0
  ]
  grids = np.stack(
    [
      reference.source_coordinates(float(a), shape, size, c, s)
      for a, c, s in zip(angles, centers.astype(float), shifts.astype(float))
    ]
  ).astype(np.float32)
  jax_mode = {"edge": "nearest"}.get(mode, mode)
  expected = jax.jit(
    jax.vmap(
      lambda image, yx: jax.scipy.ndimage.map_coordinates(
        image, list(yx), order=1, mode=jax_mode, cval=0.2
      )
    )
  )(images[..., 0], grids)
  # Its float32 coordinates are good to 2e-6 pixels here.
  np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


def test_any_shift_is_good_to_its_rounding():
  # Rounded to 2^-16 pixel: half of that each way, on slopes of up to one.
  n, shape = 20, (28, 28, 1)
  images = noise(n, *shape)
  angles, centers, _ = cases(n, shape)
  shifts = np.random.default_rng(3).uniform(-9, 9, (n, 2)).astype(np.float32)
  got = turn(images, angles, centers, shifts, size=(28, 28))
  expected = oracle(images, angles, centers, shifts, size=(28, 28))
  np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 + 2**-16)


@pytest.mark.parametrize("mode", warp.MODES)
def test_scale_is_source_pixels_in_one_canvas_pixel(mode):
  shape, size = (31, 26, 2), (20, 23)
  scales = np.array([0.25, 1.0, 1.37, 3.0, 0.01], np.float32)
  n = len(scales)
  images = noise(n, *shape)
  angles, centers, shifts = cases(n, shape)

  @jax.jit
  def scaled(images, angles, centers, shifts, scales):
    return jax.vmap(
      lambda image, angle, center, shift, scale: warp.rotate(
        image,
        angle,
        center=center,
        shift=shift,
        scale=scale,
        size=size,
        max_scale=3.0,
        mode=mode,
      )
    )(images, angles, centers, shifts, scales)

  got = scaled(images, angles, centers, shifts, scales)
  expected = [
    reference.rotate(
      image, float(a), center=c, shift=s, scale=k, size=size, mode=mode
    )
    for image, a, c, s, k in zip(
      images, angles, centers.astype(float), shifts.astype(float), scales
    )
  ]
  # The bound of 3 costs two bits.
  np.testing.assert_allclose(got, expected, rtol=0, atol=2e-5)


def test_scale_is_clipped_to_its_bound():
  image = noise(9, 9, 1)
  bounded = rotate(image, 40.0, scale=5.0, max_scale=2.0)
  at_bound = rotate(image, 40.0, scale=2.0, max_scale=2.0)
  np.testing.assert_array_equal(bounded, at_bound)


@pytest.mark.parametrize("place", ((-30.0, 40.0), (60.0, -5.0)))
def test_a_center_off_the_image(place):
  shape = (28, 28, 1)
  image, angle = noise(*shape), np.float32(33.0)
  got = rotate(image, angle, center=place, mode="edge")
  expected = reference.rotate(image, 33.0, center=place, mode="edge")
  np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


def test_uint8_and_bfloat16_images_become_float32_in_their_own_units():
  image = noise(13, 13, 2, dtype=np.uint8)
  got = turn_one(image, jnp.array([21.0]))
  assert got.dtype == jnp.float32
  np.testing.assert_allclose(
    got[0], reference.rotate(image, 21.0), rtol=0, atol=255e-5
  )
  half = jnp.asarray(image, jnp.bfloat16)
  got = turn_one(half, jnp.array([21.0]))
  assert got.dtype == jnp.float32
  # The arithmetic is float32: only the image itself has been rounded.
  np.testing.assert_array_equal(
    got, turn_one(half.astype(jnp.float32), jnp.array([21.0]))
  )


def test_jit_vmap_and_eager_agree():
  images = noise(3, 10, 12, 2)
  angles = np.array([10.0, -200.5, 7777.0], np.float32)
  batched = jax.vmap(warp.rotate)(images, angles)
  compiled = jax.jit(jax.vmap(warp.rotate))(images, angles)
  one_by_one = [rotate(i, a) for i, a in zip(images, angles)]
  np.testing.assert_allclose(batched, one_by_one, rtol=0, atol=1e-6)
  np.testing.assert_allclose(compiled, one_by_one, rtol=0, atol=1e-6)
  # Angles nested in images, as evaluation does it.
  grid = jax.jit(
    jax.vmap(jax.vmap(warp.rotate, in_axes=(None, 0)), in_axes=(0, None))
  )(images, angles)
  assert grid.shape == (3, 3, 10, 12, 2)
  diagonal = grid[np.arange(3), np.arange(3)]
  np.testing.assert_allclose(diagonal, one_by_one, rtol=0, atol=1e-6)


# --- No wrong pixel ---------------------------------------------------------


def hazard_angles(n):
  """Random angles and whole ones: both put coordinates on the pixel grid."""
  rng = np.random.default_rng(4)
  random = rng.uniform(-180, 180, n // 2)
  whole = rng.integers(-360, 360, n - n // 2)
  return np.concatenate([random, whole]).astype(np.float32)


@pytest.mark.parametrize(
  "shape, n, center",
  [((28, 28, 1), 1500, (14.0, 14.0)), ((64, 64, 3), 30, None)],
)
def test_no_value_is_wrong_in_a_million_under_jit(shape, n, center):
  # Coordinates recomputed by two fusions can floor to different pixels, an
  # error of up to the full range in some values per million. Consumers of
  # several kinds give XLA every reason to split the computation.
  images = noise(n, *shape, dtype=np.uint8, seed=5)
  angles = hazard_angles(n)

  @jax.jit
  def program(images, angles):
    def one(image, angle):
      turned = warp.rotate(image, angle, center=center) / 255
      standard = (turned - turned.mean()) / (turned.std() + 1e-3)
      slope = jax.jvp(
        lambda a: warp.rotate(image, a, center=center),
        (angle,),
        (jnp.ones_like(angle),),
      )
      return turned, standard, slope[0] / 255, turned.astype(jnp.bfloat16)

    return jax.vmap(one)(images, angles)

  turned, standard, primal, half = program(images, angles)
  expected = np.stack(
    [
      reference.rotate(image / 255, float(angle), center=center)
      for image, angle in zip(images, angles)
    ]
  )
  assert expected.size >= (1_000_000 if n > 1000 else 300_000)

  def num_wrong(got, expected, tolerance=1e-3):
    return np.sum(np.abs(np.asarray(got, np.float64) - expected) > tolerance)

  assert num_wrong(turned, expected) == 0
  assert num_wrong(primal, expected) == 0
  assert num_wrong(half, expected, tolerance=5e-3) == 0
  axes = (1, 2, 3)
  mean, std = (
    expected.mean(axes, keepdims=True),
    expected.std(axes, keepdims=True),
  )
  assert num_wrong(standard, (expected - mean) / (std + 1e-3), 5e-3) == 0


# --- Properties -------------------------------------------------------------

# Multiples of 1/16 degree below 2^19 are float32, and so are their sums.
SIXTEENTHS = st.integers(-160_000, 160_000).map(lambda i: i / 16)


@hypothesis.given(angle=SIXTEENTHS, turns=st.integers(-20, 20))
def test_property_a_full_turn_changes_nothing(angle, turns):
  image = noise(11, 11, 1)
  got = turn_one(image, jnp.array([angle, angle + 360.0 * turns]))
  np.testing.assert_array_equal(got[0], got[1])


@hypothesis.given(angle=SIXTEENTHS, k=st.integers(-5, 5))
def test_property_a_quarter_turn_more_is_rot90_of_the_result(angle, k):
  image = noise(11, 11, 1)
  less, more = turn_one(image, jnp.array([angle, angle + 90.0 * k]))
  np.testing.assert_allclose(more, np.rot90(less, k), rtol=0, atol=2e-6)


@hypothesis.given(
  angle=st.floats(-1e4, 1e4, width=32),
  seed=st.integers(0, 100),
  mode=st.sampled_from(warp.MODES),
)
def test_property_the_result_is_linear_and_within_the_images_range(
  angle, seed, mode
):
  a, b = noise(2, 9, 8, 1, seed=seed)
  turned = turn(
    np.stack([a, b, 2 * a - 3 * b]),
    np.full(3, angle, np.float32),
    np.tile(np.float32(middle(a.shape)), (3, 1)),
    size=(9, 8),
    mode=mode,
  )
  np.testing.assert_allclose(
    turned[2], 2 * turned[0] - 3 * turned[1], rtol=0, atol=2e-6
  )
  low = min(a.min(), 0) if mode == "constant" else a.min()
  assert low - 1e-6 <= turned[0].min() and turned[0].max() <= a.max() + 1e-6


def test_there_and_back_again_inside_the_disc():
  image = reference.smooth_image(64, 64, 1)
  angles = jnp.arange(3.0, 360.0, 23.0)
  there = turn_one(image, angles)
  back = jax.jit(jax.vmap(warp.rotate))(there, -angles)
  # Two bilinear passes blur; corners that left the canvas are lost.
  inside = reference.disc((60, 60))
  inside = np.pad(inside, 2)
  error = np.abs(np.asarray(back) - image)[:, inside]
  assert error.max() < 0.02
  # The other sense is another image, so the bound means something.
  wrong = np.abs(np.asarray(turn_one(there[0], angles[:1])) - image)
  assert wrong[:, inside].max() > 0.05


# --- The derivative ---------------------------------------------------------

SHAPE, SIZE = (12, 11, 2), (9, 13)


def derivative_cases():
  """Angles and centres whose coordinates keep clear of the pixel grid."""
  n = 6
  images = noise(n, *SHAPE, seed=6)
  angles, centers, shifts = cases(n, SHAPE, seed=6)
  angles = np.asarray(np.mod(angles, 720) - 360, np.float32)
  return images, angles, centers, shifts


def numerical_jvp(primals, tangents, mode, step=1e-6):
  """Central differences of the float64 oracle along `tangents`."""

  def at(t):
    image, angle, center, shift = (
      np.asarray(p, np.float64) + t * np.asarray(d, np.float64)
      for p, d in zip(primals, tangents)
    )
    return reference.rotate(
      image,
      float(angle),
      center=center,
      shift=shift,
      size=SIZE,
      mode=mode,
      fill=0.4,
    )

  return (at(step) - at(-step)) / (2 * step)


@functools.partial(jax.jit, static_argnames="mode")
def derivatives(primals, tangents, cotangents, mode):
  def f(image, angle, center, shift):
    return warp.rotate(
      image,
      angle,
      center=center,
      shift=shift,
      size=SIZE,
      mode=mode,
      fill=0.4,
    )

  def one(primals, tangents, cotangent):
    forward = jax.jvp(f, primals, tangents)[1]
    return forward, jax.vjp(f, *primals)[1](cotangent)

  return jax.vmap(one)(primals, tangents, cotangents)


@pytest.mark.parametrize("mode", warp.MODES)
@pytest.mark.parametrize("name", ("image", "angle", "center", "shift"))
def test_derivative_equals_float64_differences(name, mode):
  primals = derivative_cases()
  rng = np.random.default_rng(7)
  tangents = tuple(
    rng.normal(size=p.shape).astype(np.float32)
    if name == kind
    else np.zeros_like(p)
    for kind, p in zip(("image", "angle", "center", "shift"), primals)
  )
  n = len(primals[0])
  cotangents = rng.normal(size=(n, *SIZE, 2)).astype(np.float32)
  forward, backward = derivatives(primals, tangents, cotangents, mode)
  expected = np.stack(
    [
      numerical_jvp([p[i] for p in primals], [t[i] for t in tangents], mode)
      for i in range(n)
    ]
  )
  # The step crosses the pixel grid at no pixel: the differences are exact to
  # rounding, and the scale of a derivative in degrees is small.
  scale = np.abs(expected).max()
  assert scale > 0.05
  np.testing.assert_allclose(forward, expected, rtol=0, atol=2e-5 * scale)
  # Reverse mode states the same numbers along this direction.
  for i in range(n):
    along = sum(
      np.vdot(np.asarray(b[i], np.float64), t[i])
      for b, t in zip(backward, tangents)
    )
    want = np.vdot(cotangents[i], expected[i])
    size = np.linalg.norm(cotangents[i]) * np.linalg.norm(expected[i])
    assert abs(along - want) < 1e-5 * size


@pytest.mark.parametrize("mode", warp.MODES)
def test_reverse_mode_is_the_adjoint_of_forward_mode(mode):
  primals = derivative_cases()
  rng = np.random.default_rng(8)
  tangents = tuple(rng.normal(size=p.shape).astype(np.float32) for p in primals)
  w = rng.normal(size=(len(primals[0]), *SIZE, 2)).astype(np.float32)
  forward, backward = derivatives(primals, tangents, w, mode)
  for i in range(len(w)):
    left = np.vdot(np.asarray(forward[i], np.float64), w[i])
    parts = [
      np.vdot(np.asarray(b[i], np.float64), t[i])
      for b, t in zip(backward, tangents)
    ]
    assert all(part != 0 for part in parts)
    assert left == pytest.approx(sum(parts), rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("mode", warp.MODES)
def test_gradients_are_finite_at_multiples_of_90(mode):
  image = noise(8, 8, 1)

  @jax.jit
  def gradients(angles):
    def f(image, angle, center, shift):
      out = warp.rotate(
        image, angle, center=center, shift=shift, mode=mode, fill=0.5
      )
      return jnp.square(out).sum()

    grad = jax.grad(f, argnums=(0, 1, 2, 3))
    return jax.vmap(
      lambda a: grad(image, a, jnp.array([3.5, 3.5]), jnp.zeros(2))
    )(angles)

  k = np.arange(-5, 9)
  by_image, by_angle, by_center, by_shift = gradients(90.0 * k)
  for g in (by_image, by_angle, by_center, by_shift):
    assert np.isfinite(g).all()
    assert np.abs(g).max() > 0
  # There the turn is a permutation, whose gradient of sum x^2 is 2 x.
  np.testing.assert_allclose(
    by_image, np.tile(2 * image, (len(k), 1, 1, 1)), rtol=0, atol=1e-6
  )


def test_the_derivative_on_the_pixel_grid_is_the_one_ahead():
  # Bilinear interpolation has a corner at every pixel; stated: one-sided.
  image = noise(6, 6, 1)
  got = jax.jvp(
    lambda c: warp.rotate(image, 0.0, center=c),
    (jnp.array([2.5, 2.5]),),
    (jnp.array([0.0, 1.0]),),
  )[1]
  np.testing.assert_allclose(
    got[:, :-1], image[:, 1:] - image[:, :-1], atol=1e-6
  )


@pytest.mark.parametrize(
  "scale, max_scale", [(0.7, 2.0), (1.0, 2.0), (1.0, 1.0)]
)
def test_the_derivative_in_the_scale(scale, max_scale):
  # Also at the bound, which is where the default lies.
  image, w = noise(12, 12, 1), noise(12, 12, 1, seed=1)
  angle = np.float32(33.0)

  def f(scale):
    out = warp.rotate(image, angle, scale=scale, max_scale=max_scale)
    return (w * out).sum()

  def oracle(scale):
    return np.vdot(w, reference.rotate(image, 33.0, scale=scale))

  step = 1e-6
  expected = (oracle(scale + step) - oracle(scale - step)) / (2 * step)
  assert abs(expected) > 1
  got = jax.jit(jax.grad(f))(scale)
  assert float(got) == pytest.approx(expected, rel=1e-3)


def test_uint8_images_have_a_derivative_in_the_angle():
  image = noise(10, 10, 1, dtype=np.uint8)
  w = noise(10, 10, 1, seed=1)

  def f(image, angle):
    return (w * warp.rotate(image, angle)).sum()

  grad = jax.jit(jax.grad(f, argnums=1))
  assert grad(image, 27.0) == pytest.approx(
    float(grad(image.astype(np.float32), 27.0)), rel=1e-6
  )


# --- The disc, and wrong input ----------------------------------------------


@pytest.mark.parametrize(
  "size", [(1, 1), (2, 2), (3, 3), (28, 28), (27, 27), (6, 9), (9, 4), (64, 63)]
)
def test_disc_is_what_lies_within_half_the_shorter_side(size):
  got = np.asarray(warp.disc(size))
  assert got.dtype == bool
  np.testing.assert_array_equal(got, reference.disc(size))
  np.testing.assert_array_equal(got, np.rot90(got, 2))
  if size[0] == size[1]:
    np.testing.assert_array_equal(got, np.rot90(got))


@pytest.mark.parametrize("side", (27, 28))
def test_no_corner_of_any_turn_reaches_into_the_disc(side):
  # Of a white square on black, only what lies outside tells the angle apart.
  image = np.ones((side, side, 1), np.float32)
  turned = np.asarray(turn_one(image, jnp.arange(0.0, 360.0, 1.0)))
  inside = np.asarray(warp.disc((side - 2, side - 2)))
  inside = np.pad(inside, 1)
  np.testing.assert_allclose(turned[:, inside], 1, atol=1e-6)


@pytest.mark.parametrize("mode", ("bilinear", "nearest", "", "Constant"))
def test_an_unknown_mode_is_refused_with_the_valid_ones(mode):
  with pytest.raises(errors.UserError) as caught:
    warp.rotate(np.zeros((4, 4, 1), np.float32), 0.0, mode=mode)
  assert repr(mode) in str(caught.value)
  assert all(name in str(caught.value) for name in warp.MODES)


@pytest.mark.parametrize("shape", ((4, 4), (2, 4, 4, 1), ()))
def test_an_image_of_another_rank_is_refused_with_what_to_do(shape):
  with pytest.raises(errors.UserError) as caught:
    warp.rotate(np.zeros(shape, np.float32), 0.0)
  message = str(caught.value)
  assert str(shape) in message
  assert "[H, W, C]" in message and "vmap" in message


def test_the_oracles_agree_with_each_other():
  # A mistake in one of them would otherwise pass for one in the warp.
  image = noise(6, 5, 1, seed=9).astype(np.float64)
  for mode, angle in itertools.product(warp.MODES, (0.0, 31.0, -140.0)):
    options = dict(size=(9, 8), center=(2.2, 1.7), shift=(0.3, -1), mode=mode)
    np.testing.assert_allclose(
      reference.rotate(image, angle, fill=0.4, **options),
      reference.rotate_loop(image, angle, fill=0.4, **options),
      atol=1e-12,
    )
  assert math.isclose(reference.arc(3.1, -3.1), 2 * math.pi - 6.2)
