"""Averaged parameters go with averaged batch statistics, wherever they go."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rotjax import angles as angles_lib
from rotjax import export, models
from rotjax.config import base, resolve
from rotjax.data import batches
from rotjax.prediction import model_file, predictor
from rotjax.run import checkpoint, experiment, train
from rotjax.run import finished as finished_lib
from rotjax.training import executors
from rotjax.training import step as step_lib
from tests import npz, training

pytestmark = pytest.mark.usefixtures("quick_runs")

DECAY, STEPS = 0.5, 5


def _averages(trees):
  """Of the trees before the first and after each step, in float64 NumPy."""
  average = jax.tree.map(np.float64, trees[0])
  for step, tree in enumerate(trees[1:]):
    # Warmed up as TensorFlow's ExponentialMovingAverage is.
    decay = min(DECAY, (1 + step) / (10 + step))
    average = jax.tree.map(
      lambda a, x, d=decay: d * a + (1 - d) * np.float64(x), average, tree
    )
  return average


@pytest.mark.parametrize(
  "name, devices, seeds, scan",
  [("jit", 1, [0], STEPS), ("jit", 4, [0], 1), ("pmap", 2, [0], 1)]
  + [("jit", 1, [0, 3], 1), ("jit", 4, [0, 3], 1), ("pmap", 2, [0, 3], 1)],
)
def test_both_are_averaged_alike_under_every_executor(
  name, devices, seeds, scan
):
  built = training.experiment(
    {**training.BATCH_NORM_AND_DROPOUT, "optim.ema_decay": DECAY}
  )
  executor = executors.build(
    name,
    built.make_step,
    training.BATCH,
    len(seeds),
    jax.devices()[:devices],
  )
  images = built.split("train").images
  fresh = executors.program.stack_seeds([built.init_state(s) for s in seeds])

  def states(scan):
    state = executor.place_state(fresh)
    found = [executor.fetch_state(state)]
    for step in range(0, STEPS, scan):
      batch = batches.batch(len(images), training.BATCH, seeds, step, scan)
      state, _ = executor.run(
        state,
        executor.place_images(images),
        np.asarray(seeds, np.uint32),
        batch,
      )
      found.append(executor.fetch_state(state))
    return found

  each = states(1)
  last = states(scan)[-1]
  parameters = _averages([s.params for s in each])
  statistics = _averages([s.model_state for s in each])
  assert jax.tree.leaves(statistics)
  training.assert_close(last.eval_params, parameters, atol=2e-6)
  training.assert_close(last.eval_model_state, statistics, atol=2e-6)
  # Which are others than the last ones.
  for now, then in (
    (last.params, last.eval_params),
    (last.model_state, last.eval_model_state),
  ):
    for a, b in zip(jax.tree.leaves(now), jax.tree.leaves(then), strict=True):
      if np.ptp(b) > 1e-3:  # not a bias that BatchNorm takes off
        assert np.abs(a - b).max() > 1e-5


def test_what_counts_is_taken_and_not_averaged():
  def init(key):
    del key
    state = {
      "calls": jnp.int32(7),
      "mean": jnp.float16(4),
      "on": jnp.bool(True),
    }
    return {"w": jnp.zeros((1, 1))}, state

  def apply(params, state, images, **_):
    after = {"calls": state["calls"] + 3, "mean": state["mean"] - 1}
    pooled = images.mean((1, 2)) @ params["w"]
    return jnp.tile(pooled, 2), {**after, "on": ~state["on"]}

  built = training.experiment(
    {**training.SMALL, "optim.ema_decay": 0.999, "head.name": "vector"}
  )
  model = models.Model(init, apply)
  step = jax.jit(
    step_lib.make_train_step(
      built.view, built.angles, model, built.head, built.optimizer, 50
    )
  )
  state = step_lib.init_state(model, built.optimizer, 50, 0)
  batch = {
    "image": built.split("train").images[:4],
    "slot": np.arange(4, dtype=np.int32),
    "mask": np.ones(4, bool),
    "seed": np.uint32(0),
  }
  for _ in range(2):
    state, _ = step(state, batch)
  averaged = state.eval_model_state
  assert averaged["calls"].dtype == jnp.int32 and averaged["calls"] == 13
  assert averaged["on"].dtype == bool and averaged["on"]
  assert averaged["mean"].dtype == jnp.float16
  # Decays of 1/10 and 2/11.
  want = 2 / 11 * (4 / 10 + 9 / 10 * 3) + 9 / 11 * 2
  assert float(averaged["mean"]) == pytest.approx(want, rel=2e-3)


def test_nothing_is_averaged_where_there_is_nothing_to():
  for overrides, names in (
    ({"model.norm": "batch"}, set()),
    ({"model.norm": "group", "optim.ema_decay": 0.9}, {"ema_params"}),
    (
      {"model.norm": "batch", "optim.ema_decay": 0.9},
      {"ema_params", "ema_model_state"},
    ),
  ):
    state = training.experiment({**training.SMALL, **overrides}).init_state(0)
    paths = jax.tree_util.tree_leaves_with_path(state)
    found = {jax.tree_util.keystr(p[:1], simple=True) for p, _ in paths}
    assert {n for n in found if n.startswith("ema")} == names
    assert state.eval_params is (state.ema_params or state.params)
    assert state.eval_model_state is (
      state.ema_model_state or state.model_state
    )


def test_without_statistics_a_checkpoint_is_as_before_there_were_any():
  state = training.experiment(
    {**training.SMALL, "optim.ema_decay": 0.9}
  ).init_state(0)
  (children, names) = state.tree_flatten_with_keys()
  before = ("step", "params", "model_state", "opt_state", "ema_params")
  assert names == before and len(children) == len(before)
  again = jax.tree.map(lambda x: x, state)
  assert again.ema_model_state is None
  training.assert_close(again, state, atol=0)


RUN = {
  **training.SMALL,
  "num_steps": 12,
  "model.norm": "batch",
  "model.widths": (8, 8, 8),
  "model.hidden": 16,
  "optim.ema_decay": 0.99,
  "optim.learning_rate": 0.1,
  "eval.num_angles": 4,
  "eval.warp": "own",
  "view.center": "canvas",
  "view.jitter": 0.0,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  folder = tmp_path_factory.mktemp("ema") / "run"
  config = resolve.apply(base.base(), RUN)
  assert train.train(config, folder) == 0
  built = experiment.Experiment.from_config(config)
  checkpoints = checkpoint.Checkpoints(folder / "checkpoints", 1, True)
  state = checkpoints.restore("best", built.init_state(0)).state
  checkpoints.close()
  return folder, built, state


def _apart(a, b):
  return np.abs(angles_lib.wrap(a - b, 360.0))


@pytest.mark.slow
def test_every_reader_of_a_run_takes_both_or_neither(finished, tmp_path):
  folder, built, state = finished
  pictures = built.dataset.load("test").images[:8]
  shown = jax.vmap(built.view.receive)(pictures)

  def says(params, statistics):
    outputs = built.model.apply(params, statistics, shown)[0]
    return np.rad2deg(np.asarray(built.head.decode(outputs), np.float64))

  wanted = says(state.ema_params, state.ema_model_state)
  # One without the other is another network.
  for other in (
    says(state.ema_params, state.model_state),
    says(state.params, state.ema_model_state),
    says(state.params, state.model_state),
  ):
    assert np.median(_apart(wanted, other)) > 0.5
  assert _apart(predictor.load(folder)(pictures).angle_deg, wanted).max() < 0.05
  out = tmp_path / "model.bin"
  assert export.main(["--workdir", str(folder), "--out", str(out)]) == 0
  assert model_file.load(out)
  assert _apart(predictor.load(out)(pictures).angle_deg, wanted).max() < 0.05
  # Validation, the test set and --mode eval.
  evaluator = built.evaluator()
  test = built.split("test")
  expected = evaluator(state.ema_params, state.ema_model_state, test)
  stored = npz.load(folder / "predictions.npz")
  decoded = stored["predicted_deg"]
  assert _apart(decoded, expected.predicted_deg).max() < 0.05
  validation = built.split("validation")
  errors_deg = _apart(
    *(
      getattr(
        evaluator(state.ema_params, state.ema_model_state, validation), name
      )
      for name in ("true_deg", "predicted_deg")
    )
  )
  (line,) = [
    x
    for x in (folder / "metrics.jsonl").read_text().splitlines()
    if "val/mae_deg" in x
  ]
  assert json.loads(line)["val/mae_deg"] == pytest.approx(
    errors_deg.mean(), abs=0.01
  )


@pytest.mark.slow
def test_a_run_that_starts_from_it_takes_both(finished):
  folder, built, state = finished
  started = finished_lib.start_from(built.init_state(5), folder)
  for got in (started.params, started.ema_params):
    training.assert_close(got, state.ema_params, atol=0)
  for got in (started.model_state, started.ema_model_state):
    training.assert_close(got, state.ema_model_state, atol=0)
  # A network that averages nothing has no place for them.
  plain = built.init_state(5).replace(ema_params=None, ema_model_state=None)
  started = finished_lib.start_from(plain, folder)
  assert started.ema_params is None and started.ema_model_state is None
  training.assert_close(started.model_state, state.ema_model_state, atol=0)
