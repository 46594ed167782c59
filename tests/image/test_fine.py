"""Sources without their own grid, against float64 Fourier transforms."""

import jax
import numpy as np
import pytest

from rotjax import errors
from rotjax.image import fine
from rotjax.image import view as view_lib


def fall(radius):
  """What is kept of a frequency, cycles per pixel: a raised cosine."""
  passed = np.clip((fine.STOP - radius) / (fine.STOP - fine.PASS), 0, 1)
  return np.sin(np.pi / 2 * passed) ** 2


def mirrored(image):
  """`[H, W]` -> `[2 H, 2 W]`, so that its period has no jump."""
  return np.pad(image, [(0, side) for side in image.shape], "symmetric")


def by_fourier(image, cutoff, at_y, at_x, samples=None):
  """`[H, W]` band-limited, read at places of the source; float64.

  With `samples` a pixel the mean loss of linear interpolation is undone.
  """
  spectrum = np.fft.fft2(mirrored(np.float64(image)))
  fy, fx = np.meshgrid(
    *(np.fft.fftfreq(side) for side in spectrum.shape), indexing="ij"
  )
  spectrum *= fall(np.hypot(fy, fx) / cutoff) / spectrum.size
  if samples:
    spectrum /= (np.sinc(fy / samples) * np.sinc(fx / samples)) ** 2
  wave = 2j * np.pi
  along_y = np.exp(wave * np.outer(at_y, np.fft.fftfreq(spectrum.shape[0])))
  along_x = np.exp(wave * np.outer(at_x, np.fft.fftfreq(spectrum.shape[1])))
  return (along_y @ spectrum @ along_x.T).real


def smooth_noise(shape, seed=0):
  """Frequencies of all kinds; far from 0 and 255, where it would be cut."""
  rng = np.random.default_rng(seed)
  return np.uint8(rng.integers(90, 166, shape))


@pytest.mark.parametrize("factor", (3.0, 2.0, 1.75, 0.8))
@pytest.mark.parametrize("cutoff", (1.0, 0.6))
def test_a_resampled_image_is_its_band_limited_self_at_its_samples(
  factor, cutoff
):
  images = smooth_noise((2, 20, 25, 3))
  got = fine.resample(images, factor, cutoff)
  assert got.dtype == np.uint8
  at_y, at_x = (
    (np.arange(fine.side(n, factor)) + 0.5) / factor - 0.5 for n in (20, 25)
  )
  assert at_y[-1] >= 19.5 - 0.5 / factor - 1e-9  # the whole source
  for image, shown in zip(images, got):
    for channel in range(3):
      plane = image[..., channel]
      expected = by_fourier(plane, cutoff, at_y, at_x, factor)
      np.testing.assert_allclose(shown[..., channel], expected, atol=0.501)


def test_a_lowpass_is_that_of_the_fourier_transform():
  pictures = smooth_noise((2, 3, 21, 26, 1))
  got = np.asarray(jax.jit(lambda x: fine.lowpass(x, 0.9))(pictures))
  assert got.shape == pictures.shape and got.dtype == np.float32
  expected = by_fourier(
    pictures[1, 2, ..., 0], 0.9, np.arange(21), np.arange(26)
  )
  np.testing.assert_allclose(got[1, 2, ..., 0], expected, atol=1e-3)


def test_what_is_within_the_disc_is_kept_and_what_is_outside_is_not():
  y, x = np.mgrid[:48, :48]

  def wave(fy, fx):  # a cosine of its transform, whole periods mirrored
    return np.cos(np.pi * fy * (2 * y + 1)) * np.cos(np.pi * fx * (2 * x + 1))

  for fy, fx, kept in (
    (16 / 96, 30 / 96, True),  # .354 cycles a pixel
    (24 / 96, 26 / 96, True),  # .369
    (34 / 96, 33 / 96, False),  # .494
    (40 / 96, 40 / 96, False),  # a corner of the square
  ):
    picture = np.float32(128 + 60 * wave(fy, fx))[..., None]
    got = np.asarray(fine.lowpass(picture, 1.0))[..., 0] - 128
    share = (got * wave(fy, fx)).mean() / (60 * (wave(fy, fx) ** 2).mean())
    assert share == pytest.approx(float(kept), abs=1e-4)


def test_black_and_white_stay_within_their_range():
  image = np.zeros((1, 28, 28, 1), np.uint8)
  image[:, 8:20, 8:20] = 255
  shown = fine.resample(image, 3.0, 1.0)  # would ring to -20 and 275
  assert shown[0, 2, 2, 0] == 0 and shown[0, 41, 41, 0] > 230
  wide = np.asarray(fine.lowpass(image, 1.0))
  assert wide.min() == 0 and wide.max() == 255
  np.testing.assert_array_equal(fine.resample(image[:0], 3.0, 1.0).shape[0], 0)


def test_large_sets_are_the_same_in_chunks(monkeypatch):
  images = smooth_noise((7, 12, 12, 1))
  whole = fine.resample(images, 2.0, 1.0)
  monkeypatch.setattr(fine, "_CHUNK", 2 * 24 * 24)
  np.testing.assert_array_equal(fine.resample(images, 2.0, 1.0), whole)


# --- Views of finer sources -------------------------------------------------


def rendered(view, images, angle_deg, shift=(0.0, 0.0)):
  draw = view_lib.Draw(np.float32(angle_deg), np.float32(shift))
  finer = view.finer(images)
  assert finer.shape[1:] == view.finer_shape(images.shape[1:])
  return np.asarray(jax.jit(view.render)(finer[0], draw))[..., 0]


@pytest.mark.parametrize(
  "options, center",
  [
    (dict(), "14,14"),
    (dict(fineness=2.0), "13.5,13.5"),
    (dict(zoom=2 / 3, size=20), "14,13.2"),
    (dict(zoom=0.61, size=18, fineness=4.0), "12.3,13.2"),
    (dict(zoom=1.5, size=42), "14,14"),
  ],
)
def test_a_blob_lands_where_the_angle_puts_it(options, center):
  view = view_lib.View(center=center, mask="none", jitter=0.0, **options)
  y, x = np.mgrid[:28, :28]
  at = np.array([16.3, 11.6])
  blob = np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / 8)
  blob = np.uint8(np.rint(255 * blob))[None, ..., None]
  down, right = (at - np.array(center.split(","), float)) * view.zoom
  grid = np.arange(view.size) - (view.size - 1) / 2
  for angle in (0.0, 30.0, 90.0, 133.0):
    shown = rendered(view, blob, angle, (0.5, -0.25)).astype(np.float64)
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    expected = (cosine * down - sine * right, sine * down + cosine * right)
    found = (shown.sum(1) @ grid, shown.sum(0) @ grid) / shown.sum()
    np.testing.assert_allclose(found, np.add(expected, (0.5, -0.25)), atol=0.01)


def test_a_band_limited_image_is_turned_exactly():
  # Waves below .2 cycles a pixel, which no step may change.
  rng = np.random.default_rng(3)
  waves = [(*rng.uniform(-0.14, 0.14, 2), rng.uniform(0, 6)) for _ in range(6)]

  def picture(y, x):
    total = sum(np.cos(2 * np.pi * (a * y + b * x) + c) for a, b, c in waves)
    return 128 + 18 * total

  source = np.uint8(np.rint(picture(*np.mgrid[:60, :60])))[None, ..., None]
  view = view_lib.View(size=28, center="29.5,30", pixel_range="raw")
  for angle in (0.0, 21.0, 45.0, 200.0):
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    v, u = np.mgrid[:28, :28] - 13.5
    expected = picture(sine * u + cosine * v + 29.5, cosine * u - sine * v + 30)
    inside = np.hypot(v, u) <= 13.5
    error = rendered(view, source, angle) - expected
    assert np.abs(error[inside]).max() < 3.0  # of 0..255; rounding twice: 1


def test_quarter_turns_are_rot90_of_the_upright_view():
  images = smooth_noise((1, 28, 28, 1))
  view = view_lib.View(center="14,13.25")
  upright = rendered(view, images, 0.0)
  for k in (1, 2, 3):
    np.testing.assert_array_equal(
      rendered(view, images, 90.0 * k), np.rot90(upright, k)
    )
  # A turned source gives a turned finer one, but for ties in rounding.
  turned = view.finer(np.rot90(images, 1, (1, 2)))
  difference = np.rot90(view.finer(images), 1, (1, 2)).astype(int) - turned
  assert np.abs(difference).max() <= 1


def test_a_finer_source_smooths_all_angles_alike():
  images = smooth_noise((1, 60, 60, 1))

  def sharpness(angle, **options):
    view = view_lib.View(center="29.5,29.5", **options)
    shown = rendered(view, images, angle)[5:23, 5:23]
    return np.abs(np.diff(shown, axis=1)).mean()

  # White noise at a multiple of 90 degrees, which a single pass leaves sharp.
  as_it_is = [sharpness(angle, fineness=0.0) for angle in (90.0, 45.0)]
  assert as_it_is[0] > 1.5 * as_it_is[1]
  # Unshifted, every pixel of a quarter turn lies between four samples.
  finer = [sharpness(angle) for angle in (90.0, 45.0)]
  assert finer[0] == pytest.approx(finer[1], rel=0.2)


def test_without_fineness_the_source_is_shown_as_it_is():
  images = smooth_noise((2, 28, 28, 1))
  view = view_lib.View(center="14,14", fineness=0.0)
  assert view.finer(images) is images
  assert view.finer_shape((28, 28, 1)) == (28, 28, 1)
  np.testing.assert_allclose(
    view.receive(images[0]), view.finish(images[0]), atol=0
  )


def test_a_received_picture_is_band_limited_and_masked():
  picture = np.random.default_rng(0).integers(0, 256, (28, 28, 1), np.uint8)
  view = view_lib.View(center="14,14")
  got = np.asarray(view.receive(picture))[..., 0]
  y, x = np.mgrid[:28, :28] - 13.5
  inside = np.hypot(y, x) <= 14
  expected = by_fourier(picture[..., 0], 1.0, np.arange(28), np.arange(28))
  expected = np.where(inside, expected.clip(0, 255) / 255, 0)
  np.testing.assert_allclose(got, expected, atol=1e-4)


@pytest.mark.parametrize(
  "options, words",
  [
    (dict(fineness=0.5), ("view.fineness", "0.5", "1 ... 8")),
    (dict(fineness=9.0), ("view.fineness", "9.0")),
    (dict(fineness=float("nan")), ("view.fineness", "nan")),
    (dict(passes="double"), ("view.passes", "view.fineness = 0")),
    (dict(crop="expand"), ("view.crop", "view.fineness = 0")),
    (dict(blur=0.5), ("view.blur", "view.fineness = 0")),
  ],
)
def test_what_does_not_go_together_is_refused(options, words):
  with pytest.raises(errors.UserError) as caught:
    view_lib.View(**options)
  for word in words:
    assert word in str(caught.value)


def test_a_source_that_is_not_finer_is_refused():
  view = view_lib.View(center="14,14")
  with pytest.raises(errors.UserError, match=r"view\.finer\(images\)"):
    view.render(np.zeros((28, 28, 1), np.uint8), view_lib.Draw(0.0))
