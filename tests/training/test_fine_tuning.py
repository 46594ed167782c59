"""Frozen stages and rates of their own, against what untouched runs compute."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from rotjax import angles as angles_lib
from rotjax import errors, heads, models
from rotjax.image import view as view_lib
from rotjax.training import executors, fine_tuning, optim
from rotjax.training import step as step_lib
from tests import pretrained

SIDE, BATCH, STEPS = 12, 8, 4
STAGES = pretrained.STAGES

HEAD = heads.HEADS["vonmises"]()
VIEW = view_lib.View(size=SIDE, fineness=0.0, jitter=0.0).resolve(
  None, (SIDE, SIDE)
)
MODEL = models.build(pretrained.Backbone(), HEAD.num_outputs, (SIDE, SIDE, 3))
SGD = optim.Sgd(learning_rate=0.05, schedule="constant", warmup=0.0)


def make_step(optimizer, axis_name=None):
  return step_lib.make_train_step(
    VIEW,
    angles_lib.Angles(),
    MODEL,
    HEAD,
    optimizer,
    STEPS,
    axis_name=axis_name,
  )


def batch():
  images = np.random.default_rng(0).integers(0, 256, (BATCH, SIDE, SIDE, 3))
  return {
    "image": np.uint8(images),
    "slot": np.arange(BATCH, dtype=np.int32),
    "mask": np.ones(BATCH, bool),
    "seed": np.uint32(0),
  }


def trained(optimizer, steps=STEPS):
  state = step_lib.init_state(MODEL, optimizer, STEPS, 0)
  step = jax.jit(make_step(optimizer))
  for _ in range(steps):
    state, metrics = step(state, batch())
  assert bool(metrics["finite"])
  return jax.device_get(state)


def same(a, b):
  return all(
    np.array_equal(x, y)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
  )


@functools.cache
def fresh():
  return jax.device_get(step_lib.init_state(MODEL, SGD, STEPS, 0))


@pytest.mark.parametrize(
  "optimizer",
  (
    optim.Adam(freeze="second", weight_decay=0.1, ema_decay=0.5),
    optim.Adam(freeze="all", weight_decay=0.1, clip_norm=1.0),
  ),
)
def test_what_is_frozen_stays_bit_for_bit_and_the_rest_learns(optimizer):
  state = trained(optimizer)
  frozen = STAGES if optimizer.freeze == "all" else STAGES[:2]
  for name, before in fresh().params.items():
    trees = [state.params[name], state.eval_params[name]]
    for after in trees:
      assert same(before, after) == (name in frozen), name
    if name in fresh().model_state:
      for tree in (state.model_state, state.eval_model_state):
        assert same(fresh().model_state[name], tree[name]) == (name in frozen)


def test_frozen_parameters_have_no_moments_and_decay_to_nothing():
  state = step_lib.init_state(MODEL, optim.Adam(freeze="second"), STEPS, 0)
  paths = jax.tree_util.tree_leaves_with_path(state.opt_state)
  names = {jax.tree_util.keystr(path) for path, _ in paths}
  assert any("third" in name for name in names)
  assert not any(stage in name for name in names for stage in STAGES[:2])


def _convolutions(optimizer):
  """How many convolutions or products of matrices a step asks for."""
  state = step_lib.init_state(MODEL, optimizer, STEPS, 0)
  jaxpr = str(jax.make_jaxpr(make_step(optimizer))(state, batch()))
  return jaxpr.count("conv_general_dilated[") + jaxpr.count("dot_general[")


def test_a_frozen_stage_is_computed_forwards_alone():
  # Its forward pass, its gradient by the kernel, and that by its input, which
  # the first layer never needs.
  counts = [_convolutions(SGD)]
  for freeze in (*STAGES, "all"):
    counts.append(_convolutions(dataclasses.replace(SGD, freeze=freeze)))
  per_stage = np.diff(counts)
  assert (per_stage[:3] < 0).all() and per_stage[3] == 0, counts


def test_gradients_of_what_is_trained_are_those_without_freezing():
  # Batch statistics of a frozen stage are the stored ones: where all stages
  # use them, freezing changes nothing of what comes after.
  head_only = dataclasses.replace(SGD, freeze="all")
  frozen = trained(head_only, steps=1)

  def loss(out):
    view_keys, _ = step_lib.example_keys(
      np.uint32(0), np.int32(0), batch()["slot"]
    )
    images, deg = jax.vmap(lambda k, i: VIEW.sample(k, i, angles_lib.Angles()))(
      view_keys, batch()["image"]
    )
    params = {**fresh().params, "out": out}
    outputs, _ = MODEL.apply(params, fresh().model_state, images)
    return HEAD.loss(outputs, angles_lib.Angles().to_theta(deg)).mean()

  gradient = jax.grad(loss)(fresh().params["out"])
  for before, after, g in zip(
    *map(
      jax.tree.leaves, (fresh().params["out"], frozen.params["out"], gradient)
    )
  ):
    np.testing.assert_allclose(after, before - 0.05 * g, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
  "rule", (SGD, optim.Adam(schedule="constant", warmup=0.0, weight_decay=0.2))
)
def test_each_stage_moves_at_its_own_rate(rule):
  plain = trained(rule, steps=1)
  rates = dataclasses.replace(rule, backbone_rate=0.5, layer_decay=0.2)
  slowed = trained(rates, steps=1)
  factors = dict(first=0.02, second=0.1, third=0.5, out=1.0)
  for name, factor in factors.items():
    for before, after, slow in zip(
      *(jax.tree.leaves(tree.params[name]) for tree in (fresh(), plain, slowed))
    ):
      np.testing.assert_allclose(
        slow - before, factor * (after - before), rtol=1e-3, atol=1e-7
      )


@pytest.mark.parametrize("name, seeds", [("jit", (0, 1)), ("pmap", (0,))])
def test_every_executor_freezes_alike(name, seeds):
  # A gradient that is zero but for rounding would else be a step of any sign.
  optimizer = optim.Adam(
    freeze="second", backbone_rate=0.5, ema_decay=0.5, eps=1e-4
  )
  executor = executors.build(
    name,
    lambda axis: make_step(optimizer, axis),
    BATCH,
    len(seeds),
    jax.devices()[:1],
  )
  states = [step_lib.init_state(MODEL, optimizer, STEPS, s) for s in seeds]
  state = executor.place_state(executors.program.stack_seeds(states))
  many = {
    k: np.broadcast_to(v, (1, len(seeds), *np.shape(v)))
    for k, v in batch().items()
    if k != "seed"
  }
  many["image"] = many["image"].reshape(1, -1, *many["image"].shape[3:])
  state, _ = executor.run(state, None, np.asarray(seeds, np.uint32), many)
  singles = executors.program.unstack_seeds(
    executor.fetch_state(state), len(seeds)
  )
  alone = trained(optimizer, steps=1)
  for x, y in zip(jax.tree.leaves(singles[0]), jax.tree.leaves(alone)):
    np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)
  for single, before in zip(singles, states):
    assert same(single.params["first"], before.params["first"])
    assert not same(single.params["third"], before.params["third"])


@pytest.mark.parametrize(
  "options, stages, words",
  [
    (dict(freeze="secnd"), STAGES, ("optim.freeze", "did you mean 'second'")),
    (dict(freeze="first"), (), ("optim.freeze", "efficientnet_lite0")),
    (dict(layer_decay=0.5), (), ("optim.layer_decay", "stages")),
    (dict(backbone_rate=0.5), (), ("optim.backbone_rate", "0.5")),
  ],
)
def test_what_does_not_fit_the_model_is_one_line(options, stages, words):
  with pytest.raises(errors.UserError) as caught:
    fine_tuning.plan(optim.Adam(**options), stages)
  for word in words:
    assert word in str(caught.value)
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
  "options", (dict(backbone_rate=0.0), dict(layer_decay=1.5))
)
def test_rates_that_are_none_are_refused(options):
  with pytest.raises(errors.UserError, match="optim"):
    optim.Adam(**options)
