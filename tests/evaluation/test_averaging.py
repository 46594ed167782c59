"""Eight turns of a picture, against float64 averages and a known network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from rotjax import angles as angles_lib
from rotjax import errors, heads
from rotjax.evaluation import averaging, density, evaluator
from rotjax.image import warp
from rotjax.metrics import probabilistic

FULL = angles_lib.Angles()
HALF = angles_lib.Angles(period_deg=180.0, range_deg=(-90.0, 90.0))
VONMISES = heads.HEADS["vonmises"]()
SIDE = 33
INSIDE = np.asarray(warp.disc((SIDE, SIDE)))


def smooth_picture(side=SIDE):
  noise = np.random.default_rng(0).normal(size=(side, side))
  picture = scipy.ndimage.gaussian_filter(noise, 3.0)
  picture = (picture - picture.min()) / np.ptp(picture)
  return np.float32(np.where(INSIDE, picture, 0.0))[None, ..., None]


@pytest.mark.parametrize("k", range(8))
def test_each_pass_is_turned_by_its_share(k):
  picture = smooth_picture()
  got = np.asarray(averaging.turned(jnp.asarray(picture), k, 8))[0, ..., 0]
  if k % 2 == 0:
    np.testing.assert_array_equal(got, np.rot90(picture[0, ..., 0], k // 2))
    return
  expected = scipy.ndimage.rotate(
    np.float64(picture[0, ..., 0]), 45.0 * k, reshape=False, order=3
  )
  middle = scipy.ndimage.binary_erosion(INSIDE, iterations=3)
  np.testing.assert_allclose(got[middle], expected[middle], atol=0.02)
  assert not got[~INSIDE].any()


def by_hand(angles, outputs, theta):
  """log of the mean density over the passes, one at a time, float64."""
  total, passes = 0.0, outputs.shape[1]
  for k in range(passes):
    turn = 2 * np.pi * (k / passes) * 360 / angles.period_deg
    at = angles_lib.wrap(np.float32(theta + turn))
    log_density = VONMISES.log_density(outputs[:, k], jnp.asarray(at))
    total = total + np.exp(np.float64(log_density))
  return np.log(total / passes)


@pytest.mark.parametrize("angles", (FULL, HALF))
@pytest.mark.parametrize("num_points", (720, 748))
def test_densities_of_eight_turns_are_averaged_aligned(angles, num_points):
  # 748 / 8 is no whole number of points.
  outputs = np.random.default_rng(1).normal(size=(3, 8, VONMISES.num_outputs))
  outputs = jnp.asarray(2 * outputs, jnp.float32)
  table = density.tabulate(VONMISES, angles, outputs, num_points)
  ring = np.asarray(probabilistic.grid(num_points))
  for i in (0, 1, 100, num_points - 1):
    theta = np.full(3, ring[i])
    expected = by_hand(angles, outputs, theta)
    np.testing.assert_allclose(table[:, i], expected, atol=2e-4)
    got = density.at(VONMISES, angles, outputs, jnp.float32(theta))
    np.testing.assert_allclose(got, expected, atol=2e-4)


def outputs_at(theta, kappa=400.0):
  """Outputs of the von Mises head with its mode at theta `[...]`."""
  unit = np.stack([np.cos(theta), np.sin(theta)], -1)
  outputs = jnp.asarray(kappa * unit, jnp.float32)
  decoded = np.asarray(VONMISES.decode(outputs))
  assert np.abs(angles_lib.wrap(decoded - theta)).max() < 1e-4
  return outputs


def test_a_pass_that_is_upside_down_pulls_nothing_along():
  turns = 2 * np.pi * np.arange(8) / 8
  theta = np.full(8, 0.7)
  theta[2] += np.pi - 0.3
  outputs = outputs_at(angles_lib.wrap(theta + turns))[None]
  aligned = jnp.asarray(theta, jnp.float32)[:, None]
  got = averaging.decode(VONMISES, FULL, aligned, outputs)
  median_deg = np.degrees(angles_lib.wrap(float(got[0]) - 0.7))
  mean = angles_lib.circular_mean(aligned, axis=0)
  mean_deg = np.degrees(angles_lib.wrap(float(mean[0]) - 0.7))
  assert abs(median_deg) < 1.0 < abs(mean_deg)


def dipole(inputs):
  """A network that reads the direction of a picture's ramp."""
  middle = (SIDE - 1) / 2
  axis = jnp.arange(SIDE, dtype=jnp.float32) - middle
  up = -(inputs[..., 0] * axis[None, :, None]).sum((1, 2))
  right = (inputs[..., 0] * axis[None, None, :]).sum((1, 2))
  theta = jnp.arctan2(-right, up)  # counter-clockwise from upright
  return 50.0 * jnp.stack([jnp.cos(theta), jnp.sin(theta)], -1)


@pytest.mark.parametrize("tta", averaging.PASSES)
def test_turns_change_nothing_for_a_network_that_turns_along(tta):
  # Brighter above, turned by 30 degrees.
  y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
  angle = np.radians(30.0)
  ramp = 0.5 + 0.02 * (-y * np.cos(angle) - x * np.sin(angle))
  picture = np.float32(np.where(INSIDE, ramp, 0.0))[None, ..., None]
  found = jax.jit(
    lambda inputs: evaluator.predict(dipole, VONMISES, FULL, inputs, tta)
  )(picture)
  assert found["outputs"].shape[1] == averaging.PASSES[tta]
  predicted = np.degrees(float(found["predicted_theta"][0]))
  assert predicted == pytest.approx(30.0, abs=0.5)


def test_eight_turns_are_refused_where_they_were_not_trained():
  tilt = angles_lib.Angles(range_deg=(-45.0, 45.0))
  quarters = angles_lib.Angles(
    distribution="values", values_deg=(0.0, 90.0, 180.0, 270.0)
  )
  for angles in (tilt, quarters):
    with pytest.raises(errors.UserError, match='"rot8" .* 45 degrees'):
      averaging.check("rot8", angles, "disc")
  averaging.check("rot90", quarters, "none")
  averaging.check("rot8", FULL, "disc")
  averaging.check("rot8", HALF, "disc")
  with pytest.raises(errors.UserError, match="view.mask = 'none'"):
    averaging.check("rot8", FULL, "none")
