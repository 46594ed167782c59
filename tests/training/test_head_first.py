"""The new layers first: on features computed once, as on views of their own."""

import dataclasses
import json
import logging
import signal

import jax
import numpy as np
import pytest

from rotjax import angles as angles_lib
from rotjax import data, errors, heads, models, stopping
from rotjax.config import base
from rotjax.image import view as view_lib
from rotjax.run import loop, train
from rotjax.training import head_first, optim
from rotjax.training import step as step_lib
from tests import npz, pretrained

SIDE, COUNT = 16, 12
HEAD = heads.HEADS["vonmises"]()
MODEL = models.build(pretrained.Backbone(), HEAD.num_outputs, (SIDE, SIDE, 3))
PARTS = head_first.Parts(
  view_lib.View(size=SIDE, fineness=0.0, jitter=0.0, flip=True).resolve(
    None, (SIDE, SIDE)
  ),
  angles_lib.Angles(),
  MODEL,
  HEAD,
  optim.Sgd(schedule="constant", warmup=0.0, momentum=0.0),
  batch_size=2 * COUNT,
)


def split():
  images = np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3))
  ramp = np.arange(SIDE)[:, None, None] * 12  # dark above, bright below
  return data.Split(
    np.uint8(images * 0.25 + ramp),
    labels=np.zeros(COUNT, int),
    indices=np.arange(COUNT),
    origin="noise on a ramp",
    center=None,
  )


def fresh(ema_decay=0.0):
  optimizer = dataclasses.replace(PARTS.optimizer, ema_decay=ema_decay)
  return step_lib.init_state(MODEL, optimizer, 10, 0)


def trained(state=None, told=lambda: None, parts=PARTS, **options):
  options = head_first.HeadFirst(**{"views": 2, "epochs": 1, **options})
  return head_first.train(options, state or fresh(), 0, split(), parts, told)


def seen(state):
  """All the views that are cached, in their order, and their theta."""
  at = np.arange(2 * COUNT, dtype=np.int32)
  keys, _ = step_lib.example_keys(0, np.uint32(2**32 - 1), at)
  order = np.random.default_rng((0, 0)).permutation(COUNT)
  return jax.vmap(lambda k, i: PARTS.view.sample(k, i, PARTS.angles))(
    keys, split().images[order[at % COUNT]]
  )


def test_a_step_on_the_features_is_a_step_on_the_views():
  before = fresh()
  after = trained(before, learning_rate=0.1)
  shown, angle_deg = seen(before)

  def loss(out):
    outputs, _ = MODEL.apply(
      {**before.params, "out": out}, before.model_state, shown
    )
    return HEAD.loss(outputs, PARTS.angles.to_theta(angle_deg)).mean()

  gradient = jax.grad(loss)(before.params["out"])
  for old, new, g in zip(
    *map(jax.tree.leaves, (before.params["out"], after.params["out"], gradient))
  ):
    np.testing.assert_allclose(new, old - 0.1 * g, rtol=1e-3, atol=1e-5)


def test_the_new_layers_learn_and_nothing_else_changes(caplog):
  before = fresh(ema_decay=0.9)
  with caplog.at_level(logging.INFO, "rotjax"):
    after = trained(before, epochs=60, learning_rate=2.0)
  assert int(after.step) == 0
  for name in pretrained.STAGES:
    for x, y in zip(
      *map(jax.tree.leaves, (before.params[name], after.params[name]))
    ):
      np.testing.assert_array_equal(x, y)
  for x, y in zip(
    *map(jax.tree.leaves, (before.model_state, after.model_state))
  ):
    np.testing.assert_array_equal(x, y)
  # An average starts from what they have reached.
  for x, y in zip(*map(jax.tree.leaves, (after.params, after.ema_params))):
    np.testing.assert_array_equal(x, y)
  losses = [r.args[1] for r in caplog.records if "epoch" in r.getMessage()]
  assert len(losses) == 60 and losses[-1] < losses[0] - 0.3


@pytest.mark.slow
def test_what_does_not_fit_into_memory_is_fewer_views(caplog):
  # Six features of two bytes each: a MB holds 87,381 views.
  with caplog.at_level(logging.INFO, "rotjax"):
    trained(
      views=1000, max_mb=1, parts=dataclasses.replace(PARTS, batch_size=4096)
    )
  assert "12000 views of 12 images" in caplog.text


def test_told_to_stop_it_stops():
  calls = []

  def told():
    calls.append(0)
    if len(calls) == 2:
      raise errors.Stopped("SIGTERM")

  with pytest.raises(errors.Stopped):
    trained(told=told)
  assert len(calls) == 2


def test_it_needs_a_pretrained_backbone_and_a_rate_that_holds():
  plain = models.build(
    models.MODELS["strided"](), HEAD.num_outputs, (SIDE, SIDE, 3)
  )
  with pytest.raises(errors.UserError, match="head_first.views = 2"):
    trained(parts=dataclasses.replace(PARTS, model=plain))
  with pytest.raises(errors.UserError, match="head_first.learning_rate"):
    trained(epochs=20, learning_rate=1e30)


@pytest.mark.parametrize(
  "options, word",
  [
    (dict(views=-1), "head_first.views"),
    (dict(epochs=0), "head_first.epochs"),
    (dict(max_mb=0), "head_first.max_mb"),
    (dict(learning_rate=0.0), "head_first.learning_rate"),
  ],
)
def test_options_that_are_none_are_refused(options, word):
  with pytest.raises(errors.UserError, match=word):
    head_first.HeadFirst(**options)


@pytest.mark.slow
def test_a_run_trains_its_head_first_and_once(tmp_path, caplog, monkeypatch):
  config = base.make(
    "smoke",
    {"model.name": "tests.pretrained.Backbone", "head_first.views": 1},
  )
  config.num_steps, config.eval.every_steps = 4, 4
  config.checkpoint.every_steps = 4
  config.optim.freeze, config.optim.ema_decay = "second", 0.5
  config.head_first.epochs = 2

  def run(name):
    caplog.clear()
    with caplog.at_level(logging.INFO, "rotjax"):
      status = train.train(config, tmp_path / name)
    return status, caplog.text.count("head first: epoch 2")

  assert run("whole") == (0, 1)
  lines = (tmp_path / "whole/metrics.jsonl").read_text().splitlines()
  validated = [json.loads(x)["step"] for x in lines if "val/mae_deg" in x]
  assert validated == [0, 4]

  until_due = loop._steps_until_due

  def told(config, step, at_once):
    if step == 1:
      signal.raise_signal(signal.SIGUSR1)
    return until_due(config, step, at_once)

  def killed(config, step, at_once):
    if step == 1:
      raise MemoryError
    return until_due(config, step, at_once)

  with monkeypatch.context() as patched:
    patched.setattr(loop, "_steps_until_due", told)
    assert run("parts") == (stopping.EXIT_STATUS, 1)
    patched.setattr(loop, "_steps_until_due", killed)
    with pytest.raises(MemoryError):
      run("rest")
  for name in ("parts", "rest"):
    assert run(name) == (0, 0)
  predicted = [
    npz.load(tmp_path / name / "predictions.npz")["predicted_deg"]
    for name in ("whole", "parts", "rest")
  ]
  np.testing.assert_array_equal(predicted[0], predicted[1])
  np.testing.assert_array_equal(predicted[0], predicted[2])


def test_a_signal_in_it_leaves_nothing_and_starts_again(tmp_path, monkeypatch):
  config = base.make(
    "smoke",
    {"model.name": "tests.pretrained.Backbone", "head_first.views": 1},
  )
  see = head_first._fit

  def told(*args):
    signal.raise_signal(signal.SIGTERM)
    return see(*args)

  monkeypatch.setattr(head_first, "_fit", told)
  folder = tmp_path / "run"
  assert train.train(config, folder) == stopping.EXIT_STATUS
  assert not (folder / "config.json").exists()
