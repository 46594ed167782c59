"""An ensemble's density is the mean of its members', by float64 NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rotjax import angles as angles_lib
from rotjax import heads, models
from rotjax.evaluation import calibration, density, ensemble
from rotjax.metrics import probabilistic

ANGLES = angles_lib.Angles()
SIZE = 24
WITH_DENSITY = [
  name
  for name, head in heads.HEADS.items()
  if head().log_density(jnp.zeros(head().num_outputs), jnp.zeros(()))
  is not None
]


def _outputs(head, members=3, count=5, seed=0):
  rng = np.random.default_rng(seed)
  return jnp.asarray(
    rng.normal(size=(count, members * head.num_outputs)), jnp.float32
  )


@pytest.mark.parametrize("name", WITH_DENSITY)
def test_the_density_is_the_members_mean(name):
  head = heads.HEADS[name]()
  whole = ensemble.Mixture(head, 3)
  outputs = _outputs(head)
  theta = jnp.linspace(-3, 3, 5)
  parts = np.split(np.asarray(outputs), 3, axis=-1)
  each = [np.float64(head.log_density(jnp.asarray(p), theta)) for p in parts]
  expected = np.log(np.mean(np.exp(each), axis=0))
  np.testing.assert_allclose(
    whole.log_density(outputs, theta), expected, rtol=1e-4, atol=1e-4
  )
  tempered = whole.temper(outputs, jnp.float32(0.7))
  by_hand = [
    density.temper(head, jnp.asarray(p), jnp.float32(0.7)) for p in parts
  ]
  np.testing.assert_allclose(tempered, np.concatenate(by_hand, -1), rtol=1e-6)
  # Normalised, whatever the members say.
  size = density.grid_size(whole)
  table = probabilistic.tabulate(whole, outputs, probabilistic.grid(size))
  total = np.exp(np.float64(table)).sum(-1) * 2 * np.pi / size
  np.testing.assert_allclose(total, 1, atol=2e-3)


def test_the_answer_is_the_median_of_all():
  head = heads.HEADS["vonmises"]()
  whole = ensemble.Mixture(head, 3)

  def at(*degrees):
    theta = np.deg2rad(degrees)
    unit = np.stack([np.cos(theta), np.sin(theta)], -1)
    return jnp.asarray(300 * unit.reshape(1, -1), jnp.float32)

  def answer(*degrees):
    return float(np.rad2deg(whole.decode(at(*degrees))[0]))

  # One that is upside down pulls nothing along.
  assert answer(40.0, 41.0, -139.0) == pytest.approx(40.5, abs=1.5)
  assert answer(179.0, -179.0, 180.0) % 360 == pytest.approx(180, abs=0.3)
  assert answer(10.0, 10.0, 10.0) == pytest.approx(10, abs=0.3)


def test_a_head_without_a_density_is_averaged_as_vectors():
  head = heads.HEADS["vector"]()
  assert "vector" not in WITH_DENSITY
  whole = ensemble.Mixture(head, 2)
  theta = np.deg2rad([170.0, -160.0])
  outputs = np.stack([np.cos(theta), np.sin(theta)], -1).reshape(1, 4)
  decoded = whole.decode(jnp.asarray(outputs, jnp.float32))
  assert float(np.rad2deg(decoded[0])) % 360 == pytest.approx(185, abs=1e-3)
  assert whole.log_density(jnp.asarray(outputs), jnp.zeros(1)) is None


def test_one_member_is_itself():
  head = heads.HEADS["fourier"]()
  outputs = _outputs(head, members=1)
  whole = ensemble.Mixture(head, 1)
  theta = jnp.linspace(-2, 2, 5)
  np.testing.assert_allclose(
    whole.log_density(outputs, theta), head.log_density(outputs, theta)
  )
  np.testing.assert_allclose(
    whole.loss(outputs, theta), head.loss(outputs, theta), rtol=1e-6
  )


def test_a_mixture_is_recalibrated_like_any_head():
  head, rng = heads.HEADS["vonmises"](), np.random.default_rng(1)
  whole = ensemble.Mixture(head, 2)
  theta = rng.uniform(-np.pi, np.pi, 400)
  kappa, claimed = 8.0, 32.0
  outputs = []
  for _ in range(2):
    mean = theta + rng.vonmises(0, kappa, 400)
    outputs.append(claimed * np.stack([np.cos(mean), np.sin(mean)], -1))
  outputs = jnp.asarray(np.concatenate(outputs, -1), jnp.float32)
  fitted = calibration.fit(
    whole,
    ANGLES,
    predicted_theta=whole.decode(outputs),
    outputs=outputs[:, None],
    theta=jnp.asarray(theta, jnp.float32),
  )
  # Too sure by a factor of four, of which the mixture itself mends a part.
  assert fitted.kind == "temper" and 0.2 < fitted.value < 0.7


@pytest.fixture(scope="module")
def networks():
  backbone = models.MODELS["strided"](widths=(4,), kernels=(3,), hidden=8)
  model = models.build(backbone, 2, (SIZE, SIZE, 1), jnp.float32)
  states = [model.init(jax.random.key(n)) for n in range(3)]
  return model, states


def test_the_networks_are_the_members_side_by_side(networks):
  model, states = networks
  whole = ensemble.model_of(model, 3)
  params, model_state = (
    ensemble.stacked([state[i] for state in states]) for i in (0, 1)
  )
  rng = np.random.default_rng(0)
  images = jnp.asarray(rng.random((5, SIZE, SIZE, 1)), jnp.float32)
  outputs, _ = whole.apply(params, model_state, images)
  expected = [model.apply(*state, images)[0] for state in states]
  np.testing.assert_allclose(
    outputs, np.concatenate(expected, -1), rtol=1e-5, atol=1e-6
  )
  shapes = jax.eval_shape(whole.init, jax.random.key(0))
  assert models.num_parameters(shapes[0]) == 3 * models.num_parameters(
    states[0][0]
  )
