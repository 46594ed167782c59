"""The unimodal densities against float64, up to concentrations of 1e4."""

from hypothesis import given, settings
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from rotjax.heads import mixture, unimodal
from tests.heads import reference

every_density = pytest.mark.parametrize("name", mixture.COMPONENTS)

# r for which a density is as narrow as a von Mises of kappa = 1e4.
SHARPEST = {
  "power_spherical": 1e4,
  "projected_normal": 1e2,
  "vonmises": 1e4,
  "wrapped_cauchy": 1e4,
  "wrapped_laplace": 1e4,
  "wrapped_normal": 1e2,
}


def lengths(name):
  """r from 0 to the sharpest, through every switch of a formula."""
  top = SHARPEST[name]
  r = np.concatenate([[0.0], np.geomspace(1e-4, top, 60)])
  return np.append(r, [0.0099, 0.0101, 0.043, 0.0435, 0.99, 1.01, 9.9, 10.1])


def vectors(r, angle):
  """float32 `[..., 2]` and its exact length and direction in float64."""
  u = np.stack([r * np.cos(angle), r * np.sin(angle)], -1).astype(np.float32)
  exact = u.astype(np.float64)
  return u, np.hypot(*exact.T).T, np.arctan2(exact[..., 1], exact[..., 0])


@pytest.fixture(scope="module")
def evaluate():
  """name -> compiled nll and gradient of `[n, 2]`, `[n]`."""

  def total(nll, u, theta):
    value = nll(u, theta)
    return value.sum(), value

  made = {}

  def run(name, u, theta):
    if name not in made:
      nll = mixture.COMPONENTS[name]
      made[name] = jax.jit(
        jax.grad(lambda u, t: total(nll, u, t), has_aux=True)
      )
    gradient, value = made[name](u, np.asarray(theta, np.float32))
    return np.asarray(value, np.float64), np.asarray(gradient, np.float64)

  return run


@every_density
def test_integrates_to_one(name):
  """On points that crowd at the mode, as narrow as 1e-4 radians."""
  r = lengths(name)
  u, exact_r, mode = vectors(r, np.full_like(r, 0.3))
  width = np.minimum(1.0, 1 / np.maximum(exact_r, 1e-9))
  if SHARPEST[name] == 1e4 and "wrapped" not in name:
    width = np.sqrt(width)
  ends = np.arcsinh(np.pi * (1 - 1e-6) * 20 / width)
  x = np.linspace(-1, 1, 6001)
  d = np.sinh(ends[:, None] * x) * width[:, None] / 20
  theta = (mode[:, None] + d).astype(np.float32)
  nll = jax.jit(mixture.COMPONENTS[name])(u[:, None, :], theta)
  for one, points in zip(nll, theta.astype(np.float64), strict=True):
    points, first = np.unique(points, return_index=True)
    log_p = -np.asarray(one, np.float64)[first]
    assert abs(reference.integral(log_p, points) - 1) < 1e-4


@every_density
def test_agrees_with_float64(name, evaluate):
  rng = np.random.default_rng(0)
  r = np.repeat(lengths(name), 40)
  # Half of the angles near the mode, where the precision is needed.
  d = rng.uniform(-np.pi, np.pi, r.size)
  d[::2] *= np.minimum(1, 3 / (1 + r[::2]) ** (1 if r.max() < 1e3 else 0.5))
  u, exact_r, mode = vectors(r, rng.uniform(-np.pi, np.pi, r.size))
  theta = reference.wrap(mode + d).astype(np.float32)
  value, _ = evaluate(name, u, theta)

  def oracle(extra=0.0):
    turned = reference.wrap(theta.astype(np.float64) + extra - mode)
    return reference.DENSITIES[name](exact_r, turned)

  # What an angle's last digit is worth: float32 has no more to give.
  slope = np.abs(oracle(1e-7) - oracle(-1e-7)) / 2e-7
  tolerance = 1.5e-6 * np.maximum(1, np.abs(value)) + 3e-7 * slope
  assert (np.abs(-value - oracle()) <= tolerance).all()


@every_density
def test_gradient_agrees_with_differences_in_float64(name, evaluate):
  """Along u and across it: smooth through every switch, right at the ends."""
  r = lengths(name)[1:]
  for d in (0.0, 0.02, 0.7, 2.0, 3.1):
    u, exact_r, mode = vectors(r, np.full_like(r, -1.0))
    theta = np.float32(-1.0 + d)
    _, gradient = evaluate(name, u, np.full(r.shape, theta))
    exact_d = reference.wrap(np.float64(theta) - mode)

    def log_p(factor, turn, exact_r=exact_r, exact_d=exact_d):
      d = reference.wrap(exact_d + turn)
      return reference.DENSITIES[name](exact_r * factor, d)

    h = 1e-5
    along = -(log_p(1 + h, 0) - log_p(1 - h, 0)) / (2 * h * exact_r)
    step = np.minimum(1e-4, 1e-2 / (1 + exact_r))
    across = (log_p(1, step) - log_p(1, -step)) / (2 * step * exact_r)
    unit = np.stack([np.cos(mode), np.sin(mode)], -1)
    normal = np.stack([-unit[:, 1], unit[:, 0]], -1)
    value = -log_p(1, 0)
    # Differences of numbers of this size know their slope to this.
    noise = 1e-12 * (1 + np.abs(value)) / (h * exact_r)
    found = (gradient * unit).sum(-1)
    assert (np.abs(found - along) <= 2e-3 * np.abs(along) + 2e-5 + noise).all()
    if name == "wrapped_laplace" and d == 0:
      continue  # the tip of |D|
    found = (gradient * normal).sum(-1)
    # The angle's last digit, at a curvature of up to r^2.
    tolerance = 2e-3 * np.abs(across) + 3e-7 * exact_r + 5e-6 + noise
    assert (np.abs(found - across) <= tolerance).all()


# d nll / d u at u = 0 is this times (cos theta, sin theta).
SLOPE_AT_ZERO = {
  "power_spherical": 0.0,
  "projected_normal": -np.sqrt(np.pi / 2),
  "vonmises": -1.0,
  "wrapped_cauchy": -1.0,
  "wrapped_laplace": 0.0,
  "wrapped_normal": -2.0,
}


@every_density
def test_uniform_and_smooth_at_the_zero_vector(name, evaluate):
  theta = np.linspace(-3, 3, 7).astype(np.float32)
  t = np.stack([np.cos(theta), np.sin(theta)], -1)
  for u in (np.zeros((7, 2)), np.full((7, 2), 1e-6), np.full((7, 2), -1e-5)):
    value, gradient = evaluate(name, u.astype(np.float32), theta)
    np.testing.assert_allclose(value, np.log(2 * np.pi), atol=3e-5)
    expected = SLOPE_AT_ZERO[name] * t
    np.testing.assert_allclose(gradient, expected, atol=1e-4)


@every_density
def test_finite_at_the_antipode_however_sure(name, evaluate):
  theta = np.array([0.0, 0.5, 2.0, 3.1, -np.pi, -1.0], np.float32)
  t = np.stack([np.cos(theta), np.sin(theta)], -1)
  for r in (1e-30, 1e-6, 1.0, 88.0, 1e4, 1e8, 1e15):
    value, gradient = evaluate(name, (-r * t).astype(np.float32), theta)
    assert np.isfinite(value).all() and np.isfinite(gradient).all()
    # Worse than uniform, and more sure of it means worse still.
    assert (value >= np.log(2 * np.pi) - 1e-5).all()
    along = (gradient * -t).sum(-1)
    assert (along >= -1e-5).all()


@settings(max_examples=25, deadline=None)
@given(st.floats(-3.1, 3.1), st.floats(-3.1, 3.1), st.floats(0.0, 50.0))
def test_turning_both_changes_nothing(angle, turn, r):
  rng = np.random.default_rng(0)
  d = rng.uniform(-np.pi, np.pi, 16)
  for name in mixture.COMPONENTS:
    values = []
    for extra in (0.0, turn):
      u, _, _ = vectors(np.full(16, r), angle + extra)
      theta = reference.wrap(angle + extra + d).astype(np.float32)
      values.append(_JITTED[name](u, theta))
    np.testing.assert_allclose(*values, rtol=2e-5, atol=2e-5 * (1 + r))


_JITTED = {name: jax.jit(nll) for name, nll in mixture.COMPONENTS.items()}


def test_log_bessel_and_its_slope():
  """I1/I0 - 1 itself is noise in float32 from 1e4 on; the slope is not."""
  kappa = np.append(np.geomspace(1e-6, 1e6, 400), [0.0, 19.99, 20.01, 88.0])
  kappa = kappa.astype(np.float32)
  value, slope = jax.jit(jax.vmap(jax.value_and_grad(unimodal.log_i0e)))(kappa)
  exact = kappa.astype(np.float64)
  np.testing.assert_allclose(value, np.log(special.i0e(exact)), atol=1e-6)
  ratio = special.i1e(exact) / special.i0e(exact)
  np.testing.assert_allclose(slope, ratio - 1, rtol=2e-5)


def test_gamma_ratio():
  kappa = np.append(np.geomspace(1e-6, 1e6, 100), 0.0).astype(np.float32)
  exact = kappa.astype(np.float64)
  half = special.poch(exact + 0.5, 0.5)  # Gamma(k + 1) / Gamma(k + 1/2)
  found = jax.jit(unimodal._log_gamma_ratio)(kappa)
  np.testing.assert_allclose(found, np.log(half), rtol=1e-6, atol=1e-6)


def test_softplus_and_natural_von_mises_are_one_density():
  rng = np.random.default_rng(0)
  theta = rng.uniform(-3, 3, 50).astype(np.float32)
  mode = rng.uniform(-3, 3, 50)
  kappa = rng.uniform(0.1, 50, 50)
  unit = np.stack([np.cos(mode), np.sin(mode)], -1)
  natural = unimodal.VonMises()
  apart = unimodal.VonMises(parametrization="softplus")
  raw = np.log(np.expm1(kappa))[:, None]
  for length in (0.01, 1.0, 30.0):  # of no consequence
    outputs = np.concatenate([length * unit, raw], -1).astype(np.float32)
    np.testing.assert_allclose(
      jax.jit(apart.loss)(outputs, theta),
      jax.jit(natural.loss)((kappa[:, None] * unit).astype("f4"), theta),
      rtol=2e-5,
      atol=2e-5,
    )
  # No direction at all is still a density, about the angle that it decodes to.
  nothing = jnp.array([[0.0, 0.0, 3.0]])
  assert apart.decode(nothing)[0] == 0.0
  grid = jnp.asarray(np.linspace(-np.pi, np.pi, 2000, endpoint=False), "f4")
  log_p = jax.jit(apart.log_density)(jnp.repeat(nothing, 2000, 0), grid)
  np.testing.assert_allclose(np.exp(log_p).mean() * 2 * np.pi, 1, atol=1e-5)
