"""Equivariance error from pairs of views of one image."""

import numpy as np
import pytest

from rotjax import angles as angles_lib
from rotjax import metrics
from rotjax.metrics import equivariance


def predictions(truth, answer, angles):
  answer = angles_lib.wrap(answer, angles.period_deg)
  n = len(truth)
  return metrics.Predictions(truth, answer, np.arange(n), np.arange(n), angles)


@pytest.mark.parametrize("period", (360.0, 180.0))
def test_a_constant_offset_per_image_is_equivariant(period):
  """The labelled upright may be wrong; the network still turns with it."""
  angles = angles_lib.Angles(period_deg=period)
  truth = angles.evaluation_deg(np.arange(20), 36)
  offset = np.random.default_rng(0).uniform(-180, 180, (20, 1))
  m = equivariance.compute(predictions(truth, truth + offset, angles))
  assert m == {
    "equivariance_deg": pytest.approx(0, abs=1e-9),
    "equivariance_90_deg": pytest.approx(0, abs=1e-9),
  }


def test_a_constant_answer_errs_by_the_turn():
  angles = angles_lib.Angles()
  truth = angles.evaluation_deg(np.arange(20), 36)
  m = equivariance.compute(predictions(truth, np.zeros((20, 36)), angles))
  assert m["equivariance_deg"] == pytest.approx(10)
  assert m["equivariance_90_deg"] == pytest.approx(90)


def test_the_definition_pair_by_pair():
  angles = angles_lib.Angles()
  rng = np.random.default_rng(1)
  truth = angles.evaluation_deg(np.arange(6), 8)
  answer = rng.uniform(-180, 180, truth.shape)
  p = predictions(truth, answer, angles)
  for name, shift in (("equivariance_deg", 1), ("equivariance_90_deg", 2)):
    errors = []
    for i in range(6):
      for k in range(8):
        j = (k + shift) % 8
        turn = truth[i, j] - truth[i, k]
        gap = answer[i, j] - answer[i, k] - turn
        errors.append(abs((gap + 180) % 360 - 180))
    assert equivariance.compute(p)[name] == pytest.approx(np.mean(errors))


@pytest.mark.parametrize(
  "angles, num_angles, shift",
  [
    (angles_lib.Angles(), 36, 9),
    (angles_lib.Angles(), 30, None),
    (angles_lib.Angles(period_deg=180), 36, 18),
    (angles_lib.Angles(range_deg=(-30, 30)), 36, None),
    (angles_lib.Angles(distribution="grid", step_deg=30), 12, 3),
    (
      angles_lib.Angles(distribution="values", values_deg=(0, 90, 180, 270)),
      4,
      1,
    ),
  ],
)
def test_where_exact_quarter_turns_are(angles, num_angles, shift):
  truth = angles.evaluation_deg(np.arange(10), num_angles)
  assert equivariance.quarter_shift(truth) == shift
  assert equivariance.quarter_shift(np.float32(truth)) == shift
  m = equivariance.compute(predictions(truth, truth, angles))
  assert ("equivariance_90_deg" in m) == (shift is not None)


def test_one_view_has_no_pairs():
  angles = angles_lib.Angles()
  assert (
    equivariance.compute(
      predictions(np.zeros((3, 1)), np.zeros((3, 1)), angles)
    )
    == {}
  )
