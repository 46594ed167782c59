"""Blocks computed again for the gradient: the same numbers, less is kept."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rotjax import models
from rotjax.models import convnext_tiny, efficientnet_lite0, resnet

# With batch statistics, with those of the weights, without any.
BACKBONES = {
  "resnet": resnet.ResNet18(norm="batch", stages=(2,)),
  "lite0": efficientnet_lite0.EfficientNetLite0(
    weights="", head_blocks=(1,), pool=1, hidden=8, dropout=0.3
  ),
  "convnext": convnext_tiny.ConvNeXtTiny(head_blocks=(1,), pool=1, hidden=8),
}


def _parts(backbone, remat):
  """Parameters and a loss with what the network makes of its state."""
  backbone = dataclasses.replace(backbone, remat=remat)
  model = models.build(backbone, 2, (32, 32, 3))
  images = jax.random.uniform(jax.random.key(1), (4, 32, 32, 3))
  params, state = model.init(jax.random.key(0))

  def loss(params):
    outputs, after = model.apply(
      params,
      state,
      images,
      train=True,
      keys=jax.random.split(jax.random.key(2), 4),
      mask=jnp.array([True, True, False, True]),
    )
    return jnp.square(outputs - 1).sum(), after

  return params, loss


def _kept(backbone, remat):
  """Numbers that the forward pass keeps for the gradient."""
  params, loss = _parts(backbone, remat)
  gradient = jax.eval_shape(
    lambda p: jax.vjp(lambda q: loss(q)[0], p)[1], params
  )
  return sum(leaf.size for leaf in jax.tree.leaves(gradient))


# Of the others each takes seconds to trace.
NAMES = [
  "resnet",
  *(pytest.param(n, marks=pytest.mark.slow) for n in ("lite0", "convnext")),
]


@pytest.mark.parametrize("name", NAMES)
def test_less_is_kept(name):
  assert _kept(BACKBONES[name], True) < 0.7 * _kept(BACKBONES[name], False)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_and_statistics_are_the_same(name):
  found = []
  for remat in (False, True):
    params, loss = _parts(BACKBONES[name], remat)
    found.append(jax.jit(jax.value_and_grad(loss, has_aux=True))(params))
  for a, b in zip(*map(jax.tree.leaves, found), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_an_evaluation_has_nothing_to_compute_again():
  model = models.build(resnet.ResNet18(stages=(1,), remat=True), 2, (32, 32, 3))
  network = jax.eval_shape(model.init, jax.random.key(0))
  images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)

  def operations(**how):
    def apply(*arguments):
      return model.apply(*arguments, **how)

    program = jax.make_jaxpr(apply)(*network, images)
    return {str(equation.primitive) for equation in program.eqns}

  step = operations(train=True, keys=jax.random.split(jax.random.key(0), 1))
  assert len(step - operations()) == 1  # what marks the block
