"""Patches times a matrix is `lax.conv`, and its hand-written gradient too."""

import functools

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from rotjax.models import convolution

SHAPES = ((7, 9), (8, 6))


def lax_conv(x, kernel, stride, padding):
  return lax.conv_general_dilated(
    x,
    kernel,
    (stride, stride),
    padding,
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )


def random(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@functools.partial(jax.jit, static_argnames=("conv", "stride", "padding"))
def outputs_and_gradients(conv, x, kernel, w, stride, padding):
  """Over several sizes of image at once: one program a kernel and stride."""

  def one(x, kernel, w):
    out, vjp = jax.vjp(lambda x, k: conv(x, k, stride, padding), x, kernel)
    return out, vjp(w)

  return [one(*args) for args in zip(x, kernel, w)]


@pytest.mark.parametrize("padding", ("SAME", "VALID"))
@pytest.mark.parametrize("stride", (1, 2))
@pytest.mark.parametrize("size", (1, 2, 3, 4, 5))
def test_conv2d_and_its_gradients_equal_lax_conv(size, stride, padding):
  x = [random(2, *shape, 3) for shape in SHAPES]
  kernel = [random(size, size, 3, 4, seed=1)] * len(SHAPES)
  outs = [
    jax.eval_shape(lambda x, k: lax_conv(x, k, stride, padding), *args).shape
    for args in zip(x, kernel)
  ]
  w = [random(*shape, seed=2) for shape in outs]
  got, expected = (
    outputs_and_gradients(conv, x, kernel, w, stride, padding)
    for conv in (convolution.conv2d, lax_conv)
  )
  assert len(jax.tree.leaves(got)) == 3 * len(SHAPES)
  for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected)):
    assert a.shape == b.shape and a.dtype == b.dtype
    scale = np.abs(b).max()
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * scale)


def test_a_loop_agrees_so_the_kernel_is_not_flipped():
  x, kernel = random(1, 5, 6, 2), random(3, 3, 2, 4, seed=1)
  got = convolution.conv2d(x, kernel, 2, "VALID")
  assert got.shape == (1, 2, 2, 4)
  for i in range(2):
    for j in range(2):
      block = x[0, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
      expected = np.einsum("ijc,ijco->o", block, kernel)
      np.testing.assert_allclose(got[0, i, j], expected, atol=1e-5)


def test_under_vmap_over_images_and_kernels():
  # As many seeds train in one program: a kernel of its own for each.
  x, kernel = random(3, 2, 6, 7, 2), random(3, 3, 3, 2, 4, seed=1)
  w = random(3, 2, 3, 4, 4, seed=2)

  def gradients(conv):
    def loss(x, kernel, w):
      return (w * conv(x, kernel, 2, "SAME")).sum()

    return jax.jit(jax.vmap(jax.value_and_grad(loss, argnums=(0, 1))))

  got = gradients(convolution.conv2d)(x, kernel, w)
  one = jax.jit(
    jax.value_and_grad(
      lambda x, k, w: (w * lax_conv(x, k, 2, "SAME")).sum(), argnums=(0, 1)
    )
  )
  expected = [one(*args) for args in zip(x, kernel, w)]
  expected = jax.tree.map(lambda *leaves: np.stack(leaves), *expected)
  for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected)):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4)


def test_under_scan_with_gradients_through_the_steps():
  x, kernels = random(2, 6, 5, 3), 0.3 * random(4, 3, 3, 3, 3, seed=1)

  def run(conv):
    @jax.jit
    def loss(x, kernels):
      def step(x, kernel):
        return jnp.tanh(conv(x, kernel, 1, "SAME")), None

      return jnp.square(lax.scan(step, x, kernels)[0]).sum()

    return jax.value_and_grad(loss, argnums=(0, 1))(x, kernels)

  got, expected = run(convolution.conv2d), run(lax_conv)
  for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected)):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_bfloat16_stays_bfloat16_and_is_close():
  x, kernel = random(2, 8, 8, 3), random(3, 3, 3, 4, seed=1)
  exact = convolution.conv2d(x, kernel)
  half = convolution.conv2d(
    jnp.asarray(x, jnp.bfloat16), jnp.asarray(kernel, jnp.bfloat16)
  )
  assert half.dtype == jnp.bfloat16
  np.testing.assert_allclose(
    np.asarray(half, np.float32), exact, rtol=0, atol=0.1
  )
