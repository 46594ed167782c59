"""Images that are turned already: what is known and what is drawn add up."""

import dataclasses

import jax
import numpy as np

from tests import training

FOUR = {
  **training.SMALL,
  "view.center": "canvas",
  "view.jitter": 0.0,
  "angles.distribution": "values",
}


def _quarter_turned(split):
  """The same images, turned by a quarter, which is exact."""
  images = np.ascontiguousarray(np.rot90(split.images, 1, axes=(1, 2)))
  turned = np.full(len(split), 90.0)
  return dataclasses.replace(split, images=images, angle_deg=turned)


def test_an_evaluation_adds_them():
  values = {"angles.values_deg": (0.0, 90.0, 180.0, 270.0)}
  experiment = training.experiment({**FOUR, **values})
  state = jax.device_get(experiment.init_state(0))
  evaluator = experiment.evaluator()
  upright = experiment.split("test").rows(np.arange(9))
  turned = _quarter_turned(upright)

  def by_truth(split):
    p = evaluator(state.params, state.model_state, split)
    order = np.argsort(p.true_deg % 360, axis=1)
    sort = lambda x: np.take_along_axis(x, order, axis=1)  # noqa: E731
    return p, sort(p.true_deg % 360), sort(p.predicted_deg)

  p, truth, decoded = by_truth(upright)
  q, same_truth, same_decoded = by_truth(turned)
  np.testing.assert_array_equal(truth, same_truth)
  np.testing.assert_allclose(decoded, same_decoded, atol=1e-3)
  assert (p.true_deg != q.true_deg).all()
  assert np.ptp(decoded) > 1  # the answers do depend on the turn
  rows = turned.rows(np.array([3, 1]))
  np.testing.assert_array_equal(rows.angle_deg, [90, 90])


def test_chance_is_that_of_the_truth_where_nothing_is_drawn():
  experiment = training.experiment({**FOUR, "angles.values_deg": (0.0,)})
  state = jax.device_get(experiment.init_state(0))
  split = experiment.split("test").rows(np.arange(8))
  known = np.array([-30.0, -20, -10, 0, 0, 10, 20, 30])
  split = dataclasses.replace(split, angle_deg=known)
  p = experiment.evaluator()(state.params, state.model_state, split)
  np.testing.assert_array_equal(p.true_deg[:, 0], known)
  from rotjax import metrics

  # Of the seven values; the best constant answer is 0.
  chance = metrics.chance(p.angles)
  np.testing.assert_allclose(chance["mae_deg"], 120 / 7, atol=1e-6)


def test_a_step_adds_them():
  def losses(values, change):
    experiment = training.experiment({**FOUR, "angles.values_deg": values})
    split = experiment.split("train")
    images = _quarter_turned(split).images

    def turned(batch):
      index = batch.pop("index")
      known = np.full(index.shape, 90, np.float32)
      own = images[index.reshape(len(index), -1)]
      return {**batch, "image": own, "known_deg": known}

    how = {"change": turned if change else None}
    _, metrics = training.run(experiment, "jit", jax.devices()[:2], **how)
    return np.array([m["loss"] for m in metrics])

  np.testing.assert_allclose(
    losses((0.0,), True), losses((90.0,), False), rtol=1e-5
  )
