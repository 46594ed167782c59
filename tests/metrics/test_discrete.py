"""Accuracy and confusion over few possible angles."""

import numpy as np
import pytest

from rotjax import angles as angles_lib
from rotjax import metrics
from rotjax.metrics import discrete

FOUR = angles_lib.Angles(distribution="values", values_deg=(0, 90, 180, 270))


def predictions(truth, answer, angles):
  truth = np.atleast_2d(np.asarray(truth, np.float64))
  answer = np.atleast_2d(np.asarray(answer, np.float64))
  n = len(truth)
  return metrics.Predictions(truth, answer, np.arange(n), np.arange(n), angles)


def test_answers_are_rounded_to_the_nearest_value_around_the_circle():
  p = predictions(
    [0, 90, 180, 270, 270, 0], [-44, 46, -136, -46, -134, 135.1], FOUR
  )
  known, counts = discrete.confusion(p)
  np.testing.assert_allclose(known, [-180, -90, 0, 90])
  expected = np.zeros((4, 4))
  expected[2, 2] = expected[3, 3] = expected[0, 0] = expected[1, 1] = 1
  expected[1, 1] += 1  # -134 is nearer to -90 than to -180
  expected[2, 0] += 1
  np.testing.assert_array_equal(counts, expected)
  assert discrete.compute(p) == {"accuracy": pytest.approx(5 / 6)}


def test_accuracy_is_that_of_the_loop():
  rng = np.random.default_rng(0)
  truth = rng.choice([0.0, 90.0, 180.0, 270.0], (50, 4))
  answer = angles_lib.wrap(truth + rng.normal(0, 40, truth.shape), 360)
  right = 0
  for t, a in zip(truth.ravel(), answer.ravel(), strict=True):
    gaps = [abs((a - v + 180) % 360 - 180) for v in (0, 90, 180, 270)]
    right += (0, 90, 180, 270)[int(np.argmin(gaps))] == t
  p = predictions(truth, answer, FOUR)
  assert discrete.compute(p)["accuracy"] == right / 200
  assert discrete.confusion(p)[1].sum() == 200


def test_chance_and_symmetric_values():
  assert discrete.chance(FOUR) == {"accuracy": 0.25}
  axial = angles_lib.Angles(
    distribution="values", values_deg=(0, 90, 180, 270), period_deg=180
  )
  assert discrete.chance(axial) == {"accuracy": 0.5}
  np.testing.assert_allclose(discrete.values(axial), [-90, 0])
  assert discrete.compute(predictions([0, 180], [2, 2], axial)) == {
    "accuracy": 1
  }


def test_a_continuum_and_a_fine_grid_have_no_accuracy():
  fine = angles_lib.Angles(distribution="grid", step_deg=20)
  for angles in (angles_lib.Angles(), fine):
    p = predictions([0, 20], [0, 20], angles)
    assert discrete.compute(p) == {} == discrete.chance(angles)
    with pytest.raises(ValueError, match="choice"):
      discrete.confusion(p)
