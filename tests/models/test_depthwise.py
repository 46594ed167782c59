"""Shifted sums are `lax`'s depthwise convolution, their gradient too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from rotjax.models import depthwise


def random(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def outputs_and_gradients(conv, stride):
  def one(x, kernel, g):
    out, vjp = jax.vjp(lambda x, k: conv(x, k, stride), x, kernel)
    return out, vjp(g)

  return one


def check(got, expected, tolerance=1e-5):
  for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected)):
    assert a.shape == b.shape and a.dtype == b.dtype
    a, b = np.float32(a), np.float32(b)
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())


@pytest.mark.parametrize("stride", (1, 2))
@pytest.mark.parametrize("size", (2, 3, 5))
def test_outputs_and_gradients_equal_laxs(size, stride):
  # Odd and even sides at once: their borders under a stride differ.
  x, kernel = random(2, 7, 10, 3), random(size, size, 3, seed=1)
  g = random(2, -(-7 // stride), -(-10 // stride), 3, seed=2)
  check(
    *(
      jax.jit(outputs_and_gradients(conv, stride))(x, kernel, g)
      for conv in (
        depthwise.depthwise_conv2d,
        depthwise.lax_depthwise_conv2d,
      )
    )
  )


def test_each_channel_is_scipys_correlation():
  x, kernel = random(1, 6, 7, 2), random(3, 3, 2, seed=1)
  got = jax.jit(depthwise.depthwise_conv2d)(x, kernel)
  for c in range(2):
    expected = scipy.signal.correlate2d(
      np.float64(x[0, :, :, c]), np.float64(kernel[:, :, c]), "same"
    )
    np.testing.assert_allclose(got[0, :, :, c], expected, atol=1e-5)


def test_under_vmap_over_kernels_as_seeds_train_together():
  x, kernel = random(2, 2, 5, 6, 3), random(2, 3, 3, 3, seed=1)
  g = random(2, 2, 3, 3, 3, seed=2)
  one = outputs_and_gradients(depthwise.depthwise_conv2d, 2)
  got = jax.jit(jax.vmap(one))(x, kernel, g)
  oracle = jax.jit(outputs_and_gradients(depthwise.lax_depthwise_conv2d, 2))
  each = [oracle(*args) for args in zip(x, kernel, g)]
  check(got, jax.tree.map(lambda *leaves: np.stack(leaves), *each))


def test_in_bfloat16_the_kernels_gradient_is_summed_in_float32():
  # Of 8 bits, a sum over 64 images would stop growing long before its end.
  x = np.ones((64, 8, 8, 2), jnp.bfloat16)
  kernel = np.ones((3, 3, 2), jnp.bfloat16)
  run = jax.jit(outputs_and_gradients(depthwise.depthwise_conv2d, 1))
  out, (x_bar, kernel_bar) = run(x, kernel, np.ones_like(x))
  assert {a.dtype for a in (out, x_bar, kernel_bar)} == {x.dtype}
  assert np.all(kernel_bar[1, 1] == 64 * 64)
