"""Second derivatives of the warps against float64 differences of SciPy's."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rotjax.image import geometry, warp, warp_cubic
from tests import reference

pytestmark = pytest.mark.optimized

SHAPE, SIZE = (12, 11, 2), (9, 13)
NAMES = ("image", "angle", "center", "shift", "scale")
STEP = 1e-4


def case(seed=0):
  """Arguments in float32, and weights of a sum over the canvas.

  The weights leave out each pixel that looks near a line of the pixel grid:
  the differences below must not step over the corner there.
  """
  rng = np.random.default_rng(seed)
  primals = (
    rng.random(SHAPE, np.float32),
    np.float32(rng.uniform(-180, 180)),
    np.float32(rng.uniform(3, 8, 2)),
    np.float32(np.round(rng.uniform(-2, 2, 2) * 64) / 64),
    np.float32(rng.uniform(0.7, 1.2)),
  )
  _, angle, center, shift, scale = (np.float64(p) for p in primals)
  yx = reference.source_coordinates(angle, SHAPE, SIZE, center, shift, scale)
  clear = [np.abs(t - np.round(t)) > 40 * STEP for t in yx]
  weights = rng.normal(size=(*SIZE, 2)) * np.all(clear, 0)[..., None]
  return primals, weights


def tangents(name, seed):
  """A direction in one argument, or in all of them."""
  rng = np.random.default_rng(seed)
  primals, _ = case()
  return tuple(
    np.asarray(rng.normal(size=np.shape(p)), np.float32)
    if name in (kind, "all")
    else np.zeros_like(p)
    for kind, p in zip(NAMES, primals)
  )


def oracle(primals, weights, mode, first, second):
  """d2 / ds dt of the weighted sum at primals + s first + t second."""

  def at(s, t):
    image, angle, center, shift, scale = (
      np.float64(p) + s * np.float64(a) + t * np.float64(b)
      for p, a, b in zip(primals, first, second)
    )
    turned = reference.rotate(
      image,
      float(angle),
      center=center,
      shift=shift,
      scale=float(scale),
      size=SIZE,
      mode=mode,
      fill=0.4,
    )
    return np.vdot(weights, turned)

  corners = at(STEP, STEP) - at(STEP, -STEP) - at(-STEP, STEP)
  return (corners + at(-STEP, -STEP)) / (4 * STEP**2)


def weighted_sum(by, mode, weights):
  """The same of one formulation, a function of the five arguments."""

  def total(image, angle, center, shift, scale):
    placement = geometry.place(image.shape, angle, center, shift, scale, 2.0)
    out = by(image, placement, SIZE, 2.0, mode, 0.4)
    return (jnp.float32(weights) * out).sum()

  return total


@functools.cache
def second_orders(by, mode):
  """Every way of jax to differentiate twice, compiled once."""

  @jax.jit
  def program(primals, weights, first, second):
    total = weighted_sum(by, mode, weights)

    def forward(primals):
      return jax.jvp(total, primals, first)[1]

    def reverse(primals):
      grads = jax.grad(total, argnums=tuple(range(5)))(*primals)
      return sum(jnp.vdot(g, d) for g, d in zip(grads, first))

    return {
      f"{name} over {inner.__name__}": outer(inner)
      for inner in (forward, reverse)
      for name, outer in (
        ("forward", lambda f: jax.jvp(f, (primals,), (second,))[1]),
        (
          "reverse",
          lambda f: sum(
            jnp.vdot(g, d) for g, d in zip(jax.grad(f)(primals), second)
          ),
        ),
      )
    }

  return program


@pytest.mark.slow
@pytest.mark.parametrize("by", (warp.by_gather, warp.by_matmul))
@pytest.mark.parametrize("mode", warp.MODES)
def test_every_second_derivative_equals_float64_differences(by, mode):
  program = second_orders(by, mode)
  primals, weights = case()
  size = 0.0
  for one in (*NAMES, "all"):
    for other in (*NAMES, "all"):
      directions = tangents(one, 1), tangents(other, 2)
      expected = oracle(primals, weights, mode, *directions)
      for name, got in program(primals, weights, *directions).items():
        assert float(got) == pytest.approx(expected, rel=1e-3, abs=3e-3), (
          f"{one}, {other}, {name}"
        )
      size = max(size, abs(expected))
  assert size > 1


@pytest.mark.slow
def test_the_issues_hessian_in_the_shift_is_not_zero():
  # Of a sum of squares the Hessian is not that of one linear in the image.
  (image, angle, center, shift, _), _ = case(3)

  def total(shift):
    return jnp.square(
      warp.rotate(100 * image, angle, center=center, shift=shift)
    ).sum()

  def at(v, u):
    out = reference.rotate(
      np.float64(100 * image),
      float(angle),
      center=np.float64(center),
      shift=np.float64(shift) + (v, u),
    )
    return np.square(out).sum()

  step = 1e-6  # so small that no pixel of this case crosses the grid

  def second(i, j):
    a, b = step * np.eye(2)[i], step * np.eye(2)[j]
    corners = at(*(a + b)) - at(*(a - b)) - at(*(b - a)) + at(*(-a - b))
    return corners / (4 * step**2)

  expected = np.array([[second(i, j) for j in (0, 1)] for i in (0, 1)])
  assert np.abs(expected).min() > 1000
  np.testing.assert_allclose(jax.hessian(total)(shift), expected, rtol=2e-3)
  both = (
    jax.jacrev(jax.jacfwd(total))(shift),
    jax.jacfwd(jax.grad(total))(shift),
  )
  for got in both:
    np.testing.assert_allclose(got, expected, rtol=2e-3)


def test_a_gradient_in_the_image_is_differentiable_in_the_angle():
  # Of the transpose: d/da of (d/dimage of <w, rotate(image, a)>) = R'(a)^T w.
  (image, angle, center, _, _), weights = case(4)
  weights = np.float32(weights)

  def gradient(angle):
    def total(image):
      return (
        weights * warp.rotate(image, angle, center=center, size=SIZE)
      ).sum()

    return jax.grad(total)(image)

  got = jax.jit(jax.jacfwd(gradient))(angle)
  again = jax.jit(jax.jacrev(gradient))(angle)
  step, expected = 1e-5, np.zeros(SHAPE)
  for place in np.ndindex(SHAPE):  # each pixel's influence, by the oracle
    unit = np.zeros(SHAPE)
    unit[place] = 1
    ahead, behind = (
      reference.rotate(
        unit, float(angle) + d, center=np.float64(center), size=SIZE
      )
      for d in (step, -step)
    )
    expected[place] = np.vdot(weights, ahead - behind) / (2 * step)
  assert np.abs(expected).max() > 0.05
  np.testing.assert_allclose(got, expected, atol=1e-5)
  np.testing.assert_allclose(again, expected, atol=1e-5)


@pytest.mark.slow
def test_vmapped_hessians_are_those_of_each():
  (image, _, center, _, _), weights = case()
  weights = np.float32(weights)

  def total(angle):
    return (weights * warp.rotate(image, angle, center=center, size=SIZE)).sum()

  angles = jnp.array([10.0, -77.5, 200.25])
  got = jax.jit(jax.vmap(jax.hessian(total)))(angles)
  one_by_one = [jax.hessian(total)(a) for a in angles]
  assert np.abs(got).min() > 1e-5
  np.testing.assert_allclose(got, one_by_one, rtol=1e-4, atol=1e-7)


def _keys(t):
  """Keys' kernel (1981, eq. 15), from its definition, a = -1/2."""
  t = np.abs(t)
  near = 1.5 * t**3 - 2.5 * t**2 + 1
  far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
  return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


def _cubic(image, angle, center):
  """Cubic convolution as two matrix products for each pixel, float64."""
  y, x = reference.source_coordinates(angle, image.shape, SIZE, center)
  rows, columns = (np.arange(side) for side in image.shape[:2])
  along_y, along_x = (
    _keys(t[..., None] - at) for t, at in ((y, rows), (x, columns))
  )
  return np.einsum("vur,vuk,rkc->vuc", along_y, along_x, image)


@pytest.mark.parametrize("order", (1, 2))
def test_the_cubic_warp_has_its_derivatives(order):
  (image, angle, center, _, _), weights = case(5)

  def total(angle, center):
    out = warp_cubic.rotate(
      image, angle, center=center, size=SIZE, supersample=1
    )
    return (jnp.float32(weights) * out).sum()

  def at(t):
    turned = _cubic(
      np.float64(image), float(angle) + t, np.float64(center) + (0.3 * t, -t)
    )
    return np.vdot(weights, turned)

  def along(t):
    return total(angle + t, center + t * jnp.array([0.3, -1.0]))

  h = STEP
  if order == 1:
    expected, got = (at(h) - at(-h)) / (2 * h), jax.grad(along)(0.0)
  else:
    expected = (at(h) - 2 * at(0) + at(-h)) / h**2
    got = jax.grad(jax.grad(along))(0.0)
  assert abs(expected) > 0.1
  assert float(got) == pytest.approx(expected, rel=1e-3)
