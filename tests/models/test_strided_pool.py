"""`model.pool` of the strided network: what is in a picture, not where."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rotjax import errors, models


def _build(pool):
  options = models.MODELS["strided"](
    widths=(4, 8), kernels=(3, 3), hidden=16, pool=pool
  )
  model = models.build(options, 2, (64, 64, 1))
  return model, *model.init(jax.random.key(0))


@pytest.mark.parametrize(("pool", "seen"), [("mean", 8), ("none", 16 * 16 * 8)])
def test_what_the_hidden_layer_is_handed(pool, seen):
  _, params, _ = _build(pool)
  assert {x.shape for x in jax.tree.leaves(params["hidden"])} == {
    (seen, 16),
    (16,),
  }


@pytest.mark.parametrize(("pool", "same"), [("mean", True), ("none", False)])
def test_a_shift_changes_nothing_under_the_mean(pool, same):
  model, params, state = _build(pool)
  image = np.zeros((64, 64, 1), np.float32)
  image[20:28, 20:28] = np.random.default_rng(0).random((8, 8, 1))
  # By the strides' product, far from the borders.
  moved = np.roll(image, (8, 12), (0, 1))
  outputs, _ = model.apply(params, state, jnp.stack([image, moved]))
  assert np.allclose(*np.asarray(outputs), rtol=0, atol=1e-5) == same


def test_another_pool_is_refused():
  with pytest.raises(errors.UserError, match="model.pool"):
    models.MODELS["strided"](pool="max")
