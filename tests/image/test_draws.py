"""Training views: circles, flips and light leave the angle what it is."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rotjax import angles as angles_lib
from rotjax import errors
from rotjax.image import draws, photometric
from rotjax.image import view as view_lib

View = functools.partial(view_lib.View, size=16, fineness=0.0)
FULL_CIRCLE = angles_lib.Angles()
KEYS = jax.random.split(jax.random.key(3), 64)


def noise(*shape):
  return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def sampled(view, image, angles=FULL_CIRCLE):
  """The 64 views of one image and their angles."""
  shown, deg = jax.jit(jax.vmap(lambda key: view.sample(key, image, angles)))(
    KEYS
  )
  return np.asarray(shown), np.asarray(deg)


def drawn(view, angles=FULL_CIRCLE):
  return jax.device_get(
    jax.jit(jax.vmap(lambda key: draws.draw(view, key, angles)))(KEYS)
  )


def test_without_them_the_draws_are_those_that_always_were():
  view = View(jitter=1.5).resolve(None, (20, 20))
  got = drawn(view)
  parts = jax.vmap(lambda key: jax.random.split(key, 3))(KEYS)
  for i in range(len(KEYS)):
    assert got.angle_deg[i] == FULL_CIRCLE.draw(parts[i, 0])
    shift = jax.random.uniform(parts[i, 1], (2,), jnp.float32, -1.5, 1.5)
    np.testing.assert_array_equal(got.shift[i], shift)
    via = jax.random.uniform(parts[i, 2], (), jnp.float32, 0.0, 360.0)
    assert got.via_deg[i] == via
  assert got.radius is None and got.flip is None
  # Nor do further draws move the first ones.
  more = drawn(View(jitter=1.5, flip=True, grey=0.5).resolve(None, (20, 20)))
  np.testing.assert_array_equal(more.angle_deg, got.angle_deg)
  np.testing.assert_array_equal(more.shift, got.shift)


def test_a_flipped_view_is_the_turned_mirror_image():
  image = noise(20, 22, 3)
  view = View(flip=True, jitter=0.0, center="9,12").resolve(None, (20, 22))
  other = View(jitter=0.0, center="9,9").resolve(None, (20, 22))
  shown, deg = sampled(view, image)
  flip = drawn(view).flip
  assert 16 < flip.sum() < 48
  for i in range(12):
    source = image[:, ::-1] if flip[i] else image
    expected = (other if flip[i] else view).render(
      source, view_lib.Draw(jnp.float32(deg[i]))
    )
    np.testing.assert_allclose(shown[i], expected, atol=2e-3)


def test_a_random_circle_stays_inside_the_largest_one():
  side = 41
  y, x = np.mgrid[:side, :side] - (side - 1) / 2
  image = np.uint8(255 * (np.hypot(y, x) <= 20))[..., None]
  view = View(
    size=16, zoom=16 / 38, crop="circle", jitter=0.0, radius_range=(0.3, 1.0)
  ).resolve(None, (side, side))
  shown, _ = sampled(view, image)
  inside = np.hypot(*(np.mgrid[:16, :16] - 7.5)) <= 8
  np.testing.assert_allclose(shown[:, inside], 1.0, atol=1e-5)


def test_circles_fill_the_largest_one_whatever_the_angle():
  view = View(jitter=0.0, radius_range=(0.5, 0.9)).resolve(None, (20, 20))
  got = drawn(view)
  assert 0.5 <= got.radius.min() < 0.55 and 0.85 < got.radius.max() <= 0.9
  # From middle to middle, in radii of the largest circle.
  apart = np.hypot(*got.shift.T) * got.radius / 8
  assert (apart <= 1 - got.radius + 1e-5).all()
  assert (apart / (1 - got.radius)).max() > 0.9
  # Of another distribution of angles they are the same.
  narrow = drawn(view, angles_lib.Angles(range_deg=(-10.0, 10.0)))
  np.testing.assert_array_equal(narrow.radius, got.radius)
  np.testing.assert_array_equal(narrow.shift, got.shift)


def test_a_smaller_circle_is_shown_larger():
  # A ramp of 2 grey values a source pixel, upright: half the radius, half the
  # slope on the canvas.
  image = np.uint8(
    np.broadcast_to(60 + 2 * np.arange(40)[:, None, None], (40, 40, 1))
  )
  view = View(radius_range=(0.5, 0.5), jitter=0.0, mask="none")
  view = view.resolve(None, (40, 40))
  upright = angles_lib.Angles(distribution="values", values_deg=(0.0,))
  shown, _ = sampled(view, image, upright)
  slopes = np.diff(shown[..., 0] * 255, axis=1)
  np.testing.assert_allclose(slopes, 1.0, atol=0.02)


def lit(**options):
  """64 pictures of the same, each in its light, and the one they come from."""
  pixels = np.float32(noise(6, 6, 3)) * 0.1 + 90  # far from both ends
  view = View(**options)
  made = jax.vmap(lambda key: photometric.lit(view, key, jnp.asarray(pixels)))(
    KEYS
  )
  return np.float64(made), np.float64(pixels)


def test_contrast_turns_about_mid_grey():
  made, before = lit(contrast=0.4)
  factors = (made - 127.5) / (before - 127.5)
  assert np.ptp(factors, axis=(1, 2, 3)).max() < 1e-3
  factors = factors.mean((1, 2, 3))
  assert 0.6 <= factors.min() < 0.7 and 1.3 < factors.max() <= 1.4


def test_brightness_adds_the_same_everywhere():
  made, before = lit(brightness=0.2)
  added = made - before
  assert np.ptp(added, axis=(1, 2, 3)).max() < 1e-3
  assert -51 <= added.min() < -40 and 40 < added.max() <= 51


def test_gains_are_one_a_channel():
  made, before = lit(color=0.2)
  gains = made / before
  assert np.ptp(gains, axis=(1, 2)).max() < 1e-4
  gains = gains.mean((1, 2))
  assert 0.8 <= gains.min() < 0.85 and 1.15 < gains.max() <= 1.2
  assert np.corrcoef(gains.T)[0, 1] < 0.5


def test_some_pictures_are_grey_and_the_others_as_they_were():
  made, before = lit(grey=0.5)
  grey = np.ptp(made, axis=-1).max((1, 2)) < 1e-3
  assert 16 < grey.sum() < 48
  luma = before @ [0.299, 0.587, 0.114]
  np.testing.assert_allclose(
    made[grey][..., 0], np.broadcast_to(luma, made[grey].shape[:3]), rtol=1e-5
  )
  np.testing.assert_array_equal(made[~grey][0], before)


def test_light_stays_in_range_and_leaves_evaluation_alone():
  image = noise(20, 20, 3)
  view = View(brightness=0.9, contrast=0.9, color=0.9, grey=0.5, flip=True)
  view = view.resolve(None, (20, 20))
  shown, _ = sampled(view, image)
  assert shown.min() >= 0 and shown.max() <= 1
  draw = view_lib.Draw(jnp.float32(30.0))
  plain = View().resolve(None, (20, 20))
  np.testing.assert_array_equal(
    view.render(image, draw), plain.render(image, draw)
  )


@pytest.mark.parametrize(
  "options, words",
  [
    (dict(brightness=-0.1), ("view.brightness", "-0.1")),
    (dict(contrast=1.0), ("view.contrast", "1.0")),
    (dict(color=2.0), ("view.color", "2.0")),
    (dict(grey=1.5), ("view.grey", "1.5")),
    (dict(radius_range=(0.9, 0.5)), ("view.radius_range", "0.9", "0.1 to 1")),
    (dict(radius_range=(0.5,)), ("view.radius_range", "two")),
    (
      dict(radius_range=(0.5, 1.0), crop="expand"),
      ("view.radius_range", "expand"),
    ),
    (
      dict(radius_range=(0.5, 1.0), passes="double"),
      ("view.radius_range", "double"),
    ),
  ],
)
def test_what_cannot_be_drawn_is_refused(options, words):
  with pytest.raises(errors.UserError) as caught:
    View(**options)
  for word in words:
    assert word in str(caught.value)
