"""The backbone that turns with the image: it does, and says where it cannot."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rotjax import errors, heads, models
from rotjax.config import base, named, resolve
from rotjax.models import layers, polar
from rotjax.run import experiment

SMALL = polar.Polar(num_angles=32, num_radii=6, widths=(8, 8), kernel=3)


def _scene(y, x):
  """A smooth picture of real coordinates about the middle, no symmetry."""
  return np.exp(-((y - 3) ** 2 + (x + 4) ** 2) / 18) + 0.6 * np.exp(
    -((y + 5) ** 2 + (x - 1) ** 2) / 12
  )


def _picture(side, turn=0.0):
  """It turned counter-clockwise by `turn` radians, `[1, side, side, 1]`."""
  y, x = np.mgrid[:side, :side] - (side - 1) / 2
  c, s = np.cos(turn), np.sin(turn)
  return _scene(s * x + c * y, c * x - s * y).astype(np.float32)[
    None, ..., None
  ]


@pytest.mark.parametrize("side,angles,radii", [(28, 64, 16), (40, 32, 4)])
def test_the_grid_samples_the_disc(side, angles, radii):
  index, weight = polar.grid(side, angles, radii)
  assert index.shape == weight.shape == (len(index), angles * radii)
  got = (_picture(side).ravel()[index] * weight).sum(0).reshape(angles, radii)
  # The mean over the cell, by brute force on a fine lattice.
  width = side / 2 / radii
  sub = (np.arange(8) + 0.5) / 8
  phi = 2 * np.pi * (np.arange(angles)[:, None] + sub - 0.5) / angles
  r = (np.arange(radii)[:, None] + sub) * width
  y = -np.sin(phi)[:, None, :, None] * r[None, :, None, :]
  x = np.cos(phi)[:, None, :, None] * r[None, :, None, :]
  want = _scene(y, x).mean((2, 3))
  inner = r.max(1) < (side - 1) / 2
  assert np.abs(got - want)[:, inner].max() < 0.03
  total = weight.sum(0).reshape(angles, radii)
  np.testing.assert_allclose(total[:, inner], 1, atol=1e-6)


def test_no_pixel_of_the_disc_is_skipped_by_a_coarse_grid():
  index, weight = polar.grid(64, 32, 6)
  seen = np.zeros(64 * 64)
  np.add.at(seen, index.ravel(), weight.ravel())
  y, x = np.mgrid[:64, :64] - 31.5
  assert (seen.reshape(64, 64)[np.hypot(y, x) < 31] > 0).all()


def _outputs(turning, num_outputs, pictures):
  shape = pictures.shape[1:]
  model = models.build(SMALL, num_outputs, shape, turning=turning)
  params, state = model.init(jax.random.key(3))
  return np.asarray(jax.jit(model.apply)(params, state, pictures)[0])


def _turned(outputs, turning, angle):
  """What the outputs become as the picture is turned by `angle` radians."""
  if turning.ring:
    spectrum = np.fft.rfft(outputs)
    shift = np.arange(spectrum.shape[-1]) * turning.fold * angle
    return np.fft.irfft(spectrum * np.exp(-1j * shift), turning.ring)
  parts, start = [], 0
  for k in turning.pairs:
    if not k:
      parts.append(outputs[:, start : start + 1])
      start += 1
      continue
    z = outputs[:, start] + 1j * outputs[:, start + 1]
    z = z * np.exp(1j * k * turning.fold * angle)
    parts.append(np.stack([z.real, z.imag], -1))
    start += 2
  return np.concatenate(parts, -1)


TURNINGS = [
  (layers.Turning(pairs=(1, 2, 3)), 6),
  (layers.Turning(pairs=(1, 0)), 3),
  (layers.Turning(pairs=(1, 2), fold=2), 4),
  (layers.Turning(ring=9), 9),
  (layers.Turning(ring=72), 72),
  (layers.Turning(ring=5, fold=4), 5),
]


@pytest.mark.parametrize("turning,num_outputs", TURNINGS)
def test_outputs_turn_with_the_picture(turning, num_outputs):
  picture = _picture(28)
  quarters = np.concatenate([np.rot90(picture, q, (1, 2)) for q in range(4)])
  outputs = _outputs(turning, num_outputs, quarters)
  size = np.abs(outputs - outputs.mean(-1, keepdims=True)).max()
  for quarter in range(4):
    want = _turned(outputs[:1], turning, quarter * np.pi / 2)
    np.testing.assert_allclose(outputs[quarter], want[0], atol=1e-5 * size)
  # By steps of the grid and between them: to its interpolation.
  for steps in (1, 3, 2.5):
    angle = 2 * np.pi * steps / SMALL.num_angles
    both = np.concatenate([picture, _picture(28, angle)])
    before, after = _outputs(turning, num_outputs, both)
    want = _turned(before[None], turning, angle)[0]
    assert np.abs(after - want).max() < 0.1 * size


def test_a_head_that_does_not_turn_is_refused():
  config = resolve.apply(base.base(), {"model.name": "polar"})
  scalar = resolve.apply(config, {"head.name": "scalar"})
  with pytest.raises(errors.UserError, match="polar needs a head whose"):
    experiment.Experiment.bound_to(scalar, (28, 28, 1), None)
  with pytest.raises(errors.UserError, match="turn 20 times .* at least 44"):
    models.build(
      SMALL, 40, (28, 28, 1), turning=layers.Turning(tuple(range(1, 21)))
    )


@pytest.mark.parametrize(
  "options,words",
  [
    ({"num_angles": 30}, "multiple of 4"),
    ({"kernel": 4}, "odd number"),
    ({"kernel": 99}, "model.kernel"),
    ({"num_radii": 0}, "model.num_radii"),
  ],
)
def test_wrong_options(options, words):
  with pytest.raises(errors.UserError, match=words):
    polar.Polar(**options)


@pytest.mark.parametrize("name", heads.HEADS)
def test_what_a_head_says_of_its_outputs_turns_its_answer(name):
  head = named.build(
    "head", resolve.apply(base.base(), {"head.name": name}).head
  )
  turning = heads.turning(head, 360.0)
  if turning is None:
    assert name not in ("vector", "vonmises", "bins", "harmonics", "fourier")
    return
  rng = np.random.default_rng(5)
  outputs = rng.normal(size=(200, head.num_outputs))
  if turning.ring:  # smooth, as a network's: a peak, and no answer at a tie
    at = 2 * np.pi * np.arange(turning.ring) / turning.ring
    outputs = 6 * np.cos(at - rng.uniform(0, 6.3, (200, 1)))
    angle = 2 * np.pi * 5 / turning.ring
  else:
    angle = 0.7
  turned = _turned(outputs, turning, angle)
  before, after = (
    np.asarray(head.decode(jnp.asarray(x, jnp.float32)))
    for x in (outputs, turned)
  )
  gap = np.angle(np.exp(1j * (after - before - angle)))
  if getattr(head, "activation", "linear") != "tanh":
    assert np.quantile(np.abs(gap), 0.95) < 1e-3
