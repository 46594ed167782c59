"""Vector losses against formulas, and rows of the tables that are one row."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rotjax import heads
from rotjax.heads import psc, scalar, vector
from tests.heads import cases, reference


def cosine_of(v, t):
  """cos D in float64."""
  return (v * t).sum(-1) / np.hypot(*v.T)


FORMULAS = {
  "arc": lambda v, t: np.arccos(np.clip(cosine_of(v, t), -1, 1)),
  "cdl": lambda v, t: (1 - cosine_of(v, t)) ** 2 * np.abs(v - t).sum(-1),
  "chord": lambda v, t: np.sqrt(2 - 2 * cosine_of(v, t)),
  "cosine": lambda v, t: 1 - cosine_of(v, t),
  "exp_cos": lambda v, t: 1 - np.exp(cosine_of(v, t) - 1),
  "l1": lambda v, t: np.abs(v - t).sum(-1),
  "mse": lambda v, t: ((v - t) ** 2).sum(-1),
}
ACTIVATIONS = {
  "linear": lambda u: u,
  "normalized": lambda u: u / np.hypot(*u.T)[:, None],
  "tanh": np.tanh,
}
TARGET = np.stack([np.cos(cases.THETA), np.sin(cases.THETA)], -1)


def draw(scale=1.0, seed=0):
  u = np.random.default_rng(seed).normal(size=(16, 2)) * scale
  return u.astype(np.float32)


def test_every_option_has_its_formula_here():
  assert FORMULAS.keys() == vector.LOSSES.keys()
  assert ACTIVATIONS.keys() == vector.ACTIVATIONS.keys()


@pytest.mark.parametrize("name", vector.LOSSES)
@pytest.mark.parametrize("activation", vector.ACTIVATIONS)
def test_loss_agrees_with_its_formula(activation, name):
  u = draw(2.0)
  t = TARGET.astype(np.float64)

  @jax.jit
  def run(u):
    return vector.LOSSES[name](vector.ACTIVATIONS[activation](u), TARGET)

  expected = FORMULAS[name](ACTIVATIONS[activation](u.astype(np.float64)), t)
  np.testing.assert_allclose(run(u), expected, rtol=2e-5, atol=2e-6)


def test_small_errors_keep_their_digits():
  """1 - cos D of a hundredth of a degree would be zero in float32."""
  d = np.radians(0.01)
  u = np.stack([np.cos(cases.THETA + d), np.sin(cases.THETA + d)], -1)
  u = (7 * u).astype(np.float32)
  for name, expected in (("cosine", d**2 / 2), ("chord", d), ("arc", d)):
    loss, _ = cases.compiled(vector.Vector(loss_=name))(u)
    # Angles near 180 degrees are known to 1e-7 radians.
    np.testing.assert_allclose(loss, expected, rtol=5e-3)


def test_norm_penalty_asks_for_length_one():
  u = draw()
  plain, _ = cases.compiled(vector.Vector(loss_="mse"))(u)
  head = vector.Vector(loss_="mse", norm_penalty=0.1)
  penalised, _ = cases.compiled(head)(u)
  expected = 0.1 * (np.hypot(*u.T) - 1) ** 2
  np.testing.assert_allclose(penalised - plain, expected, atol=1e-6)


def test_kappa_of_the_von_mises_criterion():
  u = draw()
  loss, _ = cases.compiled(vector.Vector(loss_="exp_cos", kappa=4.0))(u)
  expected = 1 - np.exp(4 * (cosine_of(u.astype(np.float64), TARGET) - 1))
  np.testing.assert_allclose(loss, expected, rtol=2e-5, atol=2e-6)


# One row under two names.


def test_normalized_mse_is_twice_the_cosine():
  u = draw()
  mse = cases.compiled(vector.Vector("normalized", "mse"))(u)
  cosine = cases.compiled(vector.Vector("normalized", "cosine"))(u)
  for twice, once in zip(mse, cosine, strict=True):
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-5, atol=1e-6)


def test_cosine_does_not_see_the_normalisation():
  u = draw()
  linear = cases.compiled(vector.Vector("linear", "cosine"))(u)
  normalized = cases.compiled(vector.Vector("normalized", "cosine"))(u)
  for a, b in zip(linear, normalized, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_arc_is_the_wrapped_l1_of_the_decoded_angle():
  def through_atan2(u, theta):
    d = jnp.arctan2(u[..., 1], u[..., 0]) - theta
    return scalar.wrapped_l1(d).sum()

  u = draw()
  value, gradient = jax.jit(jax.value_and_grad(through_atan2))(u, cases.THETA)
  loss, found = cases.compiled(vector.Vector(loss_="arc"))(u)
  np.testing.assert_allclose(loss.sum(), value, rtol=1e-5)
  np.testing.assert_allclose(found, gradient, rtol=1e-4, atol=1e-5)


def test_projecting_a_matrix_on_rotations_is_a_linear_layer_and_a_direction():
  """Levinson et al. 2020: SVD orthogonalisation, in two dimensions."""
  matrices = np.random.default_rng(0).normal(size=(16, 2, 2))
  linear = np.stack(
    [
      matrices[:, 0, 0] + matrices[:, 1, 1],
      matrices[:, 1, 0] - matrices[:, 0, 1],
    ],
    axis=-1,
  )
  decoded, _ = cases.reading(vector.Vector())(linear.astype(np.float32))
  expected = [reference.svd_rotation_angle(m) for m in matrices]
  assert reference.arc(decoded, expected).max() < 1e-5


def test_three_step_phase_shifting_is_a_linear_recoding():
  """Squared error: 3/2 that of (cos, sin) and the squared mean of the code."""
  u = draw()
  code = reference.psc_code(0.0, 3, False), reference.psc_code(np.pi / 2, 3, 0)
  offset = draw(seed=1)[:, :1]
  outputs = (u[:, :1] * code[0] + u[:, 1:] * code[1] + offset).astype("f4")
  loss, _ = cases.compiled(psc.PSC())(outputs)
  expected, _ = cases.compiled(vector.Vector(loss_="mse"))(u)
  np.testing.assert_allclose(
    loss, 1.5 * expected + 3 * offset[:, 0] ** 2, rtol=1e-5, atol=1e-6
  )
  angles = [
    cases.reading(psc.PSC())(outputs),
    cases.reading(vector.Vector())(u),
  ]
  assert reference.arc(angles[0][0], angles[1][0]).max() < 1e-5


@pytest.mark.parametrize("name", vector.LOSSES)
def test_which_losses_are_rotation_invariant(name):
  u, turn = draw(), 0.7
  c, s = np.cos(turn), np.sin(turn)
  turned = np.stack([c * u[:, 0] - s * u[:, 1], s * u[:, 0] + c * u[:, 1]], -1)
  head = vector.Vector(loss_=name)
  loss, _ = cases.compiled(head)(u)
  loss2, _ = cases.compiled(head)(
    turned.astype("f4"), (cases.THETA + turn).astype("f4")
  )
  same = np.abs(loss2 - loss) <= 2e-5 * (1 + loss)
  assert same.all() == (name not in ("l1", "cdl"))


def test_saturation_of_a_tanh():
  outputs = np.array([[0.0, 2.0], [-3.0, 100.0], [2.7, -2.5]], np.float32)
  found = heads.diagnostics(vector.Vector(activation="tanh"), outputs)
  # tanh(2.6467) = .99.
  np.testing.assert_allclose(found["saturated_share"], [0, 1, 0.5])
  np.testing.assert_allclose(found["mean_abs_output"], [1, 51.5, 2.6])
  slope = 1 / np.cosh(np.float64(outputs)) ** 2
  np.testing.assert_allclose(found["tanh_slope"], slope.mean(-1), atol=1e-7)
  assert heads.diagnostics(vector.Vector(), outputs) == {}
