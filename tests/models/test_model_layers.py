"""Layers: the same on any number of devices, and equal to their definitions."""

import functools

import flax.nnx as nnx
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from rotjax.models import layers
from tests import reference


def random(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@functools.partial(jax.jit, static_argnums=0)
def keys(n):
  return jax.random.split(jax.random.key(0), n)


# --- Linear layers ----------------------------------------------------------


def test_dense_and_conv_have_a_bias_that_starts_at_zero():
  rngs = nnx.Rngs(0)
  dense = layers.Dense(5, 7, rngs=rngs)
  conv = layers.Conv(3, 6, 3, rngs=rngs)
  bare = layers.Conv(3, 6, 3, bias=False, rngs=rngs)
  assert not dense.bias[...].any() and not conv.bias[...].any()
  assert bare.bias is None
  x, image = random(4, 5), random(2, 6, 6, 3)
  dense.bias[...] = jnp.arange(7.0)
  np.testing.assert_allclose(
    dense(x), x @ dense.kernel[...] + np.arange(7)[None], atol=1e-5
  )
  before = conv(image)
  conv.bias[...] = jnp.arange(6.0)
  np.testing.assert_allclose(
    conv(image), before + np.arange(6).reshape(1, 1, 1, 6), atol=1e-5
  )


@pytest.mark.parametrize(
  "init, fan, std",
  [
    ("he", 400, np.sqrt(2 / 400)),
    ("glorot", 400, np.sqrt(2 / (400 + 300))),
  ],
)
def test_initial_kernels_have_their_scale(init, fan, std):
  dense = layers.Dense(fan, 300, init=init, rngs=nnx.Rngs(0))
  kernel = np.asarray(dense.kernel[...])
  assert kernel.std() == pytest.approx(std, rel=0.02)
  assert abs(kernel.mean()) < 3 * std / np.sqrt(kernel.size)
  small = layers.Dense(fan, 300, init=init, scale=0.1, rngs=nnx.Rngs(0))
  np.testing.assert_allclose(small.kernel[...], 0.1 * kernel, rtol=1e-5)
  # A convolution's fan is its window times its channels.
  conv = layers.Conv(16, 200, 5, init="he", rngs=nnx.Rngs(0))
  assert np.std(conv.kernel[...]) == pytest.approx(np.sqrt(2 / 400), rel=0.02)


# --- Dropout ----------------------------------------------------------------


def test_dropout_keeps_its_share_and_the_mean():
  drop = layers.Dropout(0.3, salt=0)
  x = np.ones((200, 500), np.float32)
  out = np.asarray(drop(x, layers.Context(train=True, keys=keys(200))))
  np.testing.assert_allclose(np.unique(out), [0, 1 / 0.7], rtol=1e-6)
  dropped = int((out == 0).sum())
  assert scipy.stats.binomtest(dropped, out.size, 0.3).pvalue > 0.001
  assert out.mean() == pytest.approx(1, abs=0.01)
  # Neither a whole example nor a whole unit is favoured.
  for axis in (0, 1):
    share = (out == 0).mean(axis)
    assert share.std() == pytest.approx(
      np.sqrt(0.21 / out.shape[axis]), rel=0.2
    )


def test_dropout_is_drawn_from_each_examples_own_key():
  drop = layers.Dropout(0.5, salt=3)
  x, index = random(12, 4, 4, 8), np.arange(12)

  @jax.jit
  def call(x, index):
    k = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(0), i))(index)
    return drop(x, layers.Context(train=True, keys=k))

  whole = np.asarray(call(x, index))
  for parts in (2, 12):
    pieces = map(call, np.split(x, parts), np.split(index, parts))
    np.testing.assert_array_equal(np.concatenate(list(pieces)), whole)
  masks = (whole == 0).reshape(12, -1)
  assert len({m.tobytes() for m in masks}) == 12
  order = np.random.default_rng(0).permutation(12)
  np.testing.assert_array_equal(call(x[order], index[order]), whole[order])


def test_two_layers_with_the_same_keys_do_not_share_a_mask():
  x = np.ones((20, 400), np.float32)
  context = layers.Context(train=True, keys=keys(20))
  first, second = (
    np.asarray(layers.Dropout(0.5, salt)(x, context)) == 0 for salt in (0, 1)
  )
  assert (first == second).mean() == pytest.approx(0.5, abs=0.03)


def test_dropout_does_nothing_in_evaluation_or_at_rate_zero():
  x = random(3, 5)
  assert layers.Dropout(0.5, 0)(x, layers.Context()) is x
  assert layers.Dropout(0.0, 0)(x, layers.Context(train=True)) is x


def test_dropout_keeps_the_dtype_and_passes_gradients_where_it_keeps():
  drop = layers.Dropout(0.25, salt=0)
  context = layers.Context(train=True, keys=keys(6))
  x = jnp.asarray(random(6, 50), jnp.bfloat16)
  assert drop(x, context).dtype == jnp.bfloat16
  x = random(6, 50)
  out = drop(x, context)
  grad = jax.grad(lambda x: drop(x, context).sum())(jnp.asarray(x))
  np.testing.assert_allclose(grad, np.where(out == 0, 0, 1 / 0.75), rtol=1e-6)


# --- Batch normalisation ----------------------------------------------------


def batch_norm(features):
  """A layer with parameters and statistics away from their first values."""
  norm = layers.BatchNorm(features)
  rng = np.random.default_rng(1)
  norm.scale[...] = jnp.asarray(rng.uniform(0.5, 2, features), jnp.float32)
  norm.bias[...] = jnp.asarray(rng.normal(size=features), jnp.float32)
  norm.mean[...] = jnp.asarray(rng.normal(size=features), jnp.float32)
  norm.var[...] = jnp.asarray(rng.uniform(1, 3, features), jnp.float32)
  return norm


def run_norm(norm, x, context):
  """Output and statistics, leaving `norm` as it was."""
  graph, params, rest = nnx.split(norm, nnx.Param, ...)
  module = nnx.merge(graph, params, rest, copy=True)
  out = module(x, context)
  return out, module.mean[...], module.var[...]


@pytest.mark.parametrize("shape", ((8, 6), (5, 4, 3, 6)))
def test_batch_norm_equals_flax_and_numpy(shape):
  x = 3 + 2 * random(*shape)
  norm = batch_norm(6)
  peer = nnx.BatchNorm(6, momentum=0.9, epsilon=1e-5, rngs=nnx.Rngs(0))
  for name in ("scale", "bias", "mean", "var"):
    getattr(peer, name)[...] = getattr(norm, name)[...]
  out, mean, var = run_norm(norm, x, layers.Context(train=True))
  np.testing.assert_allclose(
    out, peer(x, use_running_average=False), rtol=0, atol=2e-5
  )
  np.testing.assert_allclose(mean, peer.mean[...], rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(var, peer.var[...], rtol=1e-4)
  expected, _, _ = reference.batch_norm(
    x,
    np.ones(len(x)),
    np.float64(norm.scale[...]),
    np.float64(norm.bias[...]),
  )
  np.testing.assert_allclose(out, expected, rtol=0, atol=2e-5)


def test_batch_norm_ignores_padding_rows():
  x = random(9, 3, 5, 4)
  mask = np.array([1, 1, 0, 1, 0, 1, 1, 1, 0], bool)
  x[~mask] = 1e3
  norm = batch_norm(4)
  scale, bias = np.float64(norm.scale[...]), np.float64(norm.bias[...])
  context = layers.Context(train=True, mask=jnp.asarray(mask))
  out, mean, var = run_norm(norm, x, context)
  expected, batch_mean, batch_var = reference.batch_norm(x, mask, scale, bias)
  np.testing.assert_allclose(out[mask], expected[mask], rtol=0, atol=2e-5)
  np.testing.assert_allclose(
    mean, 0.9 * norm.mean[...] + 0.1 * batch_mean, rtol=1e-5, atol=1e-6
  )
  np.testing.assert_allclose(
    var, 0.9 * norm.var[...] + 0.1 * batch_var, rtol=1e-5
  )


def test_batch_norm_in_evaluation_uses_and_keeps_the_statistics():
  x = random(5, 2, 2, 4)
  norm = batch_norm(4)
  out, mean, var = run_norm(norm, x, layers.Context())
  scale, bias, m, v = (
    np.float64(getattr(norm, name)[...])
    for name in ("scale", "bias", "mean", "var")
  )
  expected = (x - m) / np.sqrt(v + 1e-5) * scale + bias
  np.testing.assert_allclose(out, expected, rtol=0, atol=1e-5)
  np.testing.assert_array_equal(mean, norm.mean[...])
  np.testing.assert_array_equal(var, norm.var[...])
  # Row by row, so that a batch of one is an image like any other.
  alone, _, _ = run_norm(norm, x[:1], layers.Context())
  np.testing.assert_allclose(alone, out[:1], rtol=0, atol=1e-6)


def test_batch_norm_over_four_devices_with_ragged_masks_is_that_of_one():
  # Ragged to the point of a device without a single real row.
  mask = np.array([[1, 1, 1], [1, 0, 0], [0, 0, 0], [0, 1, 1]], bool)
  x = random(4, 3, 2, 5, 6) + 1
  x[~mask] = 50.0
  w = random(*x.shape, seed=3) * mask.reshape(4, 3, 1, 1, 1)
  graph, params, rest = nnx.split(batch_norm(6), nnx.Param, ...)

  def loss_and_statistics(x, params, mask, w, axis_name):
    module = nnx.merge(graph, params, rest, copy=True)
    context = layers.Context(train=True, mask=mask, axis_name=axis_name)
    out = module(x, context)
    return (w * out).sum(), (out, module.mean[...], module.var[...])

  gradients = functools.partial(
    jax.grad(loss_and_statistics, argnums=(0, 1), has_aux=True)
  )

  def on_a_device(x, mask, w):
    (by_x, by_params), aux = gradients(x, params, mask, w, "data")
    return by_x, lax.psum(by_params, "data"), aux

  devices = jax.devices("cpu")[:4]
  by_x, by_params, (out, mean, var) = jax.pmap(
    on_a_device, axis_name="data", devices=devices
  )(x, mask, w)
  flat = [a.reshape(12, *a.shape[2:]) for a in (x, mask, w)]
  (one_x, one_params), (one_out, one_mean, one_var) = jax.jit(
    lambda x, mask, w: gradients(x, params, mask, w, None)
  )(*flat)

  real = flat[1]
  np.testing.assert_allclose(
    np.reshape(out, one_out.shape)[real], one_out[real], rtol=0, atol=1e-5
  )
  np.testing.assert_allclose(
    np.reshape(by_x, one_x.shape), one_x, rtol=0, atol=1e-5
  )
  for a, b in zip(
    jax.tree.leaves((by_params, mean, var)),
    jax.tree.leaves((one_params, one_mean, one_var)),
  ):
    # Every device holds the global figure.
    np.testing.assert_allclose(
      a, np.broadcast_to(b, a.shape), rtol=1e-5, atol=1e-5
    )
  # The oracle, so that both are not wrong alike.
  norm = batch_norm(6)
  _, batch_mean, batch_var = reference.batch_norm(
    flat[0], real, norm.scale[...], norm.bias[...]
  )
  np.testing.assert_allclose(
    one_mean, 0.9 * norm.mean[...] + 0.1 * batch_mean, rtol=1e-5, atol=1e-6
  )
  np.testing.assert_allclose(
    one_var, 0.9 * norm.var[...] + 0.1 * batch_var, rtol=1e-5
  )


# --- Group normalisation ----------------------------------------------------


@pytest.mark.parametrize(
  "features, groups, used", [(16, 8, 8), (24, 8, 8), (6, 4, 2), (5, 8, 1)]
)
@pytest.mark.parametrize("places", ((4, 3), ()))
def test_group_norm_equals_numpy(features, groups, used, places):
  x = 2 + 3 * random(3, *places, features)
  norm = layers.GroupNorm(features, groups)
  # Groups that do not divide the channels become the largest that do.
  assert norm.groups == used
  rng = np.random.default_rng(2)
  scale, bias = rng.uniform(0.5, 2, features), rng.normal(size=features)
  norm.scale[...], norm.bias[...] = jnp.float32(scale), jnp.float32(bias)
  # The same in training as in evaluation, and for each example alone.
  trained, got, alone = jax.jit(
    lambda x: (
      norm(x, layers.Context(train=True)),
      norm(x, layers.Context()),
      norm(x[1:2], layers.Context()),
    )
  )(x)
  expected = reference.group_norm(x, used, scale, bias)
  np.testing.assert_allclose(got, expected, rtol=0, atol=5e-5)
  np.testing.assert_allclose(trained, got, rtol=0, atol=1e-5)
  np.testing.assert_allclose(alone, got[1:2], rtol=0, atol=1e-5)


@pytest.mark.parametrize("cls", (layers.BatchNorm, layers.GroupNorm))
def test_norms_compute_in_float32_and_return_their_inputs_dtype(cls):
  # Around 100 a bfloat16 has no fraction left: moments taken in it would fail.
  x = jnp.asarray(100 + random(6, 4, 4, 8), jnp.bfloat16)
  norm = cls(8)
  got = norm(x, layers.Context(train=True))
  assert got.dtype == jnp.bfloat16
  expected = cls(8)(x.astype(jnp.float32), layers.Context(train=True))
  np.testing.assert_allclose(
    np.asarray(got, np.float32), expected, rtol=0, atol=0.02
  )


# --- Pooling ----------------------------------------------------------------


@pytest.mark.parametrize("padding", ("SAME", "VALID"))
@pytest.mark.parametrize("window, stride", ((2, 2), (3, 2), (3, 3), (2, 1)))
@pytest.mark.parametrize("shape", ((6, 12), (7, 9)))
def test_max_pool_equals_a_loop_and_reduce_windows_gradient(
  shape, window, stride, padding
):
  # A permutation has no ties, where the gradient would be a choice.
  n = 2 * shape[0] * shape[1] * 3
  x = np.random.default_rng(0).permutation(n).astype(np.float32)
  x = x.reshape(2, *shape, 3) - n / 2

  def reduce_window(x, *_):
    return lax.reduce_window(
      x,
      -jnp.inf,
      lax.max,
      (1, window, window, 1),
      (1, stride, stride, 1),
      padding,
    )

  expected = reference.max_pool(x, window, stride, padding)
  w = random(*expected.shape, seed=1)

  @jax.jit
  def gradients(x, w):
    pools = (layers.max_pool, reduce_window)
    return [
      jax.value_and_grad(
        lambda x, pool=pool: (
          (w * (out := pool(x, window, stride, padding))).sum(),
          out,
        ),
        has_aux=True,
      )(x)
      for pool in pools
    ]

  ((_, got), grad), (_, grad_reference) = gradients(x, w)
  np.testing.assert_array_equal(got, expected)
  np.testing.assert_allclose(grad, grad_reference, rtol=1e-6, atol=1e-6)
  assert np.abs(grad).max() > 0
