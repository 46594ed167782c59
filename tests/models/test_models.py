"""Every backbone behind its two pure functions."""

import functools
import itertools

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from rotjax import errors, models
from rotjax.models import keras_mnist, layers, polar, resnet, strided

SHAPES = ((28, 28, 1), (64, 64, 3))
# Small enough to run, and with every kind of layer that its options bring.
SMALL = {
  "keras_mnist": keras_mnist.KerasMnist(),
  "strided_dropout": strided.Strided(dropout=0.3),
  "strided_batch": strided.Strided((8, 16), (5, 2), 32, "batch", 0.1),
  "basic_blocks_batch": resnet.ResNet18(norm="batch", stages=(1, 1)),
  "polar_dropout": polar.Polar(num_angles=16, widths=(8,), dropout=0.2),
  "bottlenecks": resnet.ResNet50(stages=(1, 1)),
}


@functools.cache
def built(name, shape, dtype=jnp.float32, num_outputs=5):
  backbone = SMALL.get(name) or models.MODELS[name]()
  ring = layers.Turning(ring=num_outputs)  # for those that turn
  return models.build(backbone, num_outputs, shape, dtype, turning=ring)


@functools.cache
def started(name, shape):
  """A model with parameters that are not at their symmetric first values."""
  params, state = built(name, shape).init(jax.random.key(0))
  rng = np.random.default_rng(0)
  return jax.tree.map(
    lambda p: np.float32(p + 0.05 * rng.normal(size=p.shape)),
    jax.device_get(params),
  ), state


@functools.cache
def compiled(name, shape, dtype=jnp.float32, train=False):
  return jax.jit(
    functools.partial(built(name, shape, dtype).apply, train=train)
  )


def images(n, shape, seed=0):
  return np.random.default_rng(seed).random((n, *shape)).astype(np.float32)


@functools.partial(jax.jit, static_argnums=0)
def keys(n):
  return jax.random.split(jax.random.key(1), n)


# --- Shapes and sizes -------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", tuple(models.MODELS))
def test_every_model_maps_images_to_outputs(name, shape):
  if hasattr(models.MODELS[name], "stages"):  # they take no 28 px
    shape = (32, 32, shape[2])
  model = built(name, shape)
  params, state = jax.eval_shape(model.init, jax.random.key(0))
  assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(params))
  for train in (False, True):
    outputs, new_state = jax.eval_shape(
      functools.partial(model.apply, train=train),
      params,
      state,
      jnp.zeros((3, *shape)),
      keys=keys(3),
    )
    assert outputs.shape == (3, 5) and outputs.dtype == jnp.float32
    assert jax.tree.map(jnp.shape, new_state) == jax.tree.map(jnp.shape, state)


def num_parameters(backbone, num_outputs, shape):
  model = models.build(backbone, num_outputs, shape)
  params, _ = jax.eval_shape(model.init, jax.random.key(0))
  return models.num_parameters(params)


def test_keras_mnist_has_the_parameters_of_keras_own_summary():
  assert num_parameters(keras_mnist.KerasMnist(), 10, (28, 28, 1)) == 1_199_882


@pytest.mark.parametrize("norm", ("batch", "group"))
@pytest.mark.parametrize(
  "cls, count",
  [(resnet.ResNet18, 11_689_512), (resnet.ResNet50, 25_557_032)],
)
def test_resnets_have_the_parameters_of_the_literature(cls, norm, count):
  # For ImageNet's 1,000 classes; both norms have a scale and a bias each.
  assert num_parameters(cls(norm=norm), 1000, (224, 224, 3)) == count


@pytest.mark.parametrize(
  "cls, giga_macs", [(resnet.ResNet18, 1.81), (resnet.ResNet50, 4.09)]
)
def test_resnets_have_the_arithmetic_of_the_literature(cls, giga_macs):
  # torchvision's figures at 224 px: strides lie where they do there, in the
  # bottleneck's 3x3 convolution.
  shape = (224, 224, 3)
  model = models.build(cls(), 1000, shape)
  lowered = jax.jit(model.apply).lower(
    *jax.eval_shape(model.init, jax.random.key(0)),
    jax.ShapeDtypeStruct((1, *shape), jnp.float32),
  )
  flops = lowered.cost_analysis()["flops"]
  assert flops / 2e9 == pytest.approx(giga_macs, rel=0.02)


@pytest.mark.parametrize("cls", (resnet.ResNet18, resnet.ResNet50))
def test_resnets_for_small_images_differ_by_their_stem_only(cls):
  # A 3x3 stem without the two halvings: 7x7x3x64 weights become 3x3x1x64.
  large = num_parameters(cls(), 2, (64, 64, 3))
  small = num_parameters(cls(), 2, (28, 28, 1))
  assert large - small == 64 * (7 * 7 * 3 - 3 * 3 * 1)


@pytest.mark.parametrize("norm", ("none", "group", "batch"))
def test_strideds_size_follows_its_options(norm):
  options = strided.Strided((8, 6), kernels=(5, 2), hidden=10, norm=norm)
  expected = (5 * 5 * 3 * 8 + 8) + (2 * 2 * 8 * 6 + 6)
  expected += 4 * 3 * 6 * 10 + 10  # 13x9 halves to 7x5 and to 4x3
  expected += 10 * 4 + 4
  expected += 0 if norm == "none" else 2 * (8 + 6)
  assert num_parameters(options, 4, (13, 9, 3)) == expected


# --- Behaviour --------------------------------------------------------------


@pytest.mark.parametrize("name", tuple(SMALL))
def test_evaluation_is_deterministic_and_leaves_the_state(name):
  shape = (28, 28, 1)
  params, state = started(name, shape)
  x = images(4, shape)
  evaluate = compiled(name, shape)
  outputs, new_state = evaluate(params, state, x)
  assert np.isfinite(outputs).all() and np.std(outputs) > 1e-3
  again, _ = evaluate(params, state, x)
  np.testing.assert_array_equal(outputs, again)
  # Keys and masks mean nothing to it; and no example sees another.
  with_keys, _ = evaluate(
    params, state, x[::-1], keys=keys(4), mask=np.array([1, 0, 0, 1], bool)
  )
  np.testing.assert_allclose(with_keys, outputs[::-1], rtol=1e-4, atol=1e-4)
  jax.tree.map(np.testing.assert_array_equal, state, new_state)


@pytest.mark.parametrize("name", tuple(SMALL))
def test_bfloat16_arithmetic_is_close_and_parameters_stay_float32(name):
  shape = (28, 28, 1)
  params, state = started(name, shape)
  x = images(4, shape)
  exact, _ = compiled(name, shape)(params, state, x)
  half, _ = compiled(name, shape, jnp.bfloat16)(params, state, x)
  assert half.dtype == jnp.float32  # of outputs alone
  init = built(name, shape, jnp.bfloat16).init
  made, _ = jax.eval_shape(init, jax.random.key(0))
  assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(made))
  error = np.abs(np.asarray(half, np.float32) - exact).max()
  # bfloat16 has 8 bits; float32 arithmetic in disguise would be far closer.
  assert 1e-6 < error / np.abs(exact).max() < 0.05


@pytest.mark.parametrize(
  "name",
  ("keras_mnist", "strided_dropout", "strided_batch", "basic_blocks_batch"),
)
def test_training_draws_dropout_and_moves_batch_statistics(name):
  shape = (28, 28, 1)
  params, state = started(name, shape)
  x = images(4, shape)
  train = compiled(name, shape, train=True)
  outputs, new_state = train(params, state, x, keys=keys(4))
  same, _ = train(params, state, x, keys=keys(4))
  np.testing.assert_array_equal(outputs, same)
  has_dropout = name != "basic_blocks_batch"
  other, _ = train(params, state, x, keys=keys(4)[::-1])
  assert np.array_equal(outputs, other) != has_dropout
  leaves, new_leaves = jax.tree.leaves(state), jax.tree.leaves(new_state)
  assert bool(leaves) == name.endswith("batch")
  assert jax.tree.structure(state) == jax.tree.structure(new_state)
  for old, new in zip(leaves, new_leaves):
    assert old.shape == new.shape and not np.array_equal(old, new)


def test_apply_changes_nothing_that_it_is_given():
  # A merged module must not write into the caller's statistics.
  shape = (28, 28, 1)
  name = "strided_batch"
  params, state = started(name, shape)
  before = jax.tree.map(np.array, (params, state))

  @jax.jit
  def loss_and_state(params, state):
    def loss(params):
      outputs, new_state = built(name, shape).apply(
        params, state, images(4, shape), train=True, keys=keys(4)
      )
      return jnp.square(outputs).sum(), new_state

    (_, new_state), grads = jax.value_and_grad(loss, has_aux=True)(params)
    return grads, new_state, state

  grads, new_state, kept = loss_and_state(params, state)
  assert jax.tree.structure(grads) == jax.tree.structure(params)
  assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
  jax.tree.map(np.testing.assert_array_equal, before, (params, kept))
  moved = jax.tree.map(np.array_equal, state, new_state)
  assert not any(jax.tree.leaves(moved))


@pytest.mark.parametrize("name", tuple(SMALL))
def test_every_parameter_has_a_gradient(name):
  # One that no output depends on would be decayed and saved for nothing.
  shape = (12, 12, 1)
  params, state = started(name, shape)

  def loss(params):
    outputs, _ = built(name, shape).apply(
      params, state, images(4, shape), train=True, keys=keys(4)
    )
    return jnp.square(outputs - 1).sum()

  grads = jax.jit(jax.grad(loss))(params)
  for path, grad in jax.tree.leaves_with_path(grads):
    assert np.isfinite(grad).all() and np.abs(grad).max() > 0, path


def test_init_is_a_pure_function_of_its_key():
  model = built("strided_batch", (28, 28, 1))
  first, again, other = (
    model.init(jax.random.key(seed))[0] for seed in (0, 0, 1)
  )
  jax.tree.map(np.testing.assert_array_equal, first, again)
  for path, kernel in jax.tree.leaves_with_path(first):
    if path[-1].key == "kernel":
      assert not np.array_equal(kernel, other[path[0].key]["kernel"])
  assert all(isinstance(leaf, dict) for leaf in first.values())


def test_residual_blocks_start_as_the_identity():
  params, _ = built("basic_blocks_batch", (28, 28, 1)).init(jax.random.key(0))
  for name, block in params.items():
    if name.startswith("stage"):
      assert not np.any(block["norm1"]["scale"]) and np.all(
        block["norm0"]["scale"] == 1
      )


def test_models_are_usable_under_vmap_over_seeds():
  shape, name = (28, 28, 1), "strided_batch"
  params, state = jax.device_get(started(name, shape))
  # The second seed's are the first one's, a little larger.
  two = jax.tree.map(lambda p: np.stack([p, 1.1 * p]), (params, state))
  x = images(8, shape).reshape(2, 4, *shape)
  train = compiled(name, shape, train=True)
  outputs, new_state = jax.jit(
    jax.vmap(lambda p, s, x: train(p, s, x, keys=keys(4)))
  )(*two, x)
  for seed in range(2):
    one = jax.tree.map(lambda leaf, seed=seed: leaf[seed], two)
    alone, alone_state = train(*one, x[seed], keys=keys(4))
    np.testing.assert_allclose(outputs[seed], alone, rtol=1e-4, atol=1e-4)
    jax.tree.map(
      lambda a, b, seed=seed: np.testing.assert_allclose(
        a[seed], b, rtol=1e-4, atol=1e-5
      ),
      new_state,
      alone_state,
    )


# --- Wrong input ------------------------------------------------------------


@pytest.mark.parametrize(
  "cls, options, words",
  [
    (strided.Strided, dict(norm="layer"), ("model.norm", "none", "group")),
    (strided.Strided, dict(widths=(8,)), ("model.widths", "model.kernels")),
    (strided.Strided, dict(dropout=1.5), ("model.dropout", "1.5")),
    (strided.Strided, dict(dropout=-0.1), ("model.dropout", "-0.1")),
    (keras_mnist.KerasMnist, dict(dropout=1.0), ("model.dropout", "1.0")),
    (
      keras_mnist.KerasMnist,
      dict(conv_dropout=-1.0),
      ("model.conv_dropout", "-1.0"),
    ),
    (resnet.ResNet18, dict(norm="none"), ("model.norm", "batch", "group")),
    (resnet.ResNet50, dict(norm="grop"), ("did you mean 'group'",)),
    (resnet.ResNet18, dict(norm="bach"), ("did you mean 'batch'",)),
  ],
)
def test_invalid_options_are_refused_with_what_is_valid(cls, options, words):
  with pytest.raises(errors.UserError) as caught:
    cls(**options)
  for word in words:
    assert word in str(caught.value)


def test_an_image_too_small_for_keras_mnist_is_refused():
  with pytest.raises(errors.UserError):
    models.build(keras_mnist.KerasMnist(), 2, (5, 5, 1))


def _products(function, *args):
  """(types of the operands, precision) of each product of a program."""
  found = []

  def visit(jaxpr):
    for eqn in jaxpr.eqns:
      if eqn.primitive.name in ("dot_general", "conv_general_dilated"):
        types = {str(v.aval.dtype) for v in eqn.invars}
        precision = eqn.params["precision"] or (lax.Precision.DEFAULT,) * 2
        found.append((types, set(precision)))
      jax.tree.map(
        lambda x: visit(getattr(x, "jaxpr", x)) if hasattr(x, "eqns") else None,
        list(eqn.params.values()),
        is_leaf=lambda x: hasattr(x, "eqns"),
      )

  visit(jax.make_jaxpr(function)(*args).jaxpr)
  return found


@pytest.mark.parametrize("name", models.MODELS)
def test_precision_is_stated_and_the_last_layer_always_float32(name):
  cls, shape = models.MODELS[name], (32, 32, 3)
  backbone = cls(weights="") if hasattr(cls, "weights") else cls()
  images = jnp.zeros((2, *shape))
  network = None
  # Every precision once: each pair traces a network.
  dtypes = itertools.cycle((jnp.float32, jnp.bfloat16))
  for dtype, stated in zip(dtypes, models.PRECISIONS):
    ring = layers.Turning(ring=4)
    model = models.build(backbone, 4, shape, dtype, stated, ring)
    # The weights are float32 under all of them.
    network = network or jax.eval_shape(model.init, jax.random.key(0))
    products = _products(model.apply, *network, images)
    # The ring's outputs are one more product.
    first = -2 if name == "polar" else -1
    others, last = products[:first], products[first:]
    assert all(p == ({"float32"}, {lax.Precision.HIGHEST}) for p in last)
    wanted = {lax.Precision[stated.upper()]}
    assert others and all(p == wanted for _, p in others)
    assert all(types == {str(jnp.dtype(dtype))} for types, _ in others)
