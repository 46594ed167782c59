"""Scalar heads against their formulas, and what is wrong with each of them."""

import jax
import numpy as np
import pytest

from rotjax.heads import scalar
from tests.heads import cases, reference

PI = np.pi

# Of the unwrapped difference d, float64.
FORMULAS = {
  "chord": lambda d: np.sqrt(np.maximum(2 - 2 * np.cos(d), 0)),
  "exp_cos": lambda d: (np.exp(2) - np.exp(1 + np.cos(d))) / np.exp(2),
  "l1": np.abs,
  "l2": np.square,
  "one_minus_cos": lambda d: 1 - np.cos(d),
  "parabola": lambda d: PI**2 - (PI - np.abs(reference.wrap(d))) ** 2,
  "rcc": lambda d: (d / 2 / PI) ** 2 + 0.24 * (1 - np.cos(d)),
  "wrapped_huber": lambda d: np.where(
    reference.arc(d, 0) < np.radians(6.4),
    reference.arc(d, 0) ** 2 / 2,
    np.radians(6.4) * (reference.arc(d, 0) - np.radians(3.2)),
  ),
  "wrapped_l1": lambda d: reference.arc(d, 0),
  "wrapped_l2": lambda d: reference.arc(d, 0) ** 2,
}


def test_every_loss_has_its_formula_here():
  assert FORMULAS.keys() == scalar.LOSSES.keys()


@pytest.mark.parametrize("name", scalar.LOSSES)
def test_loss_agrees_with_its_formula(name):
  rng = np.random.default_rng(0)
  head = scalar.Scalar(loss_=name)
  for scale in (1e-3, 1.0, 9.0):
    outputs = (scale * rng.normal(size=(16, 1))).astype(np.float32)
    outputs[:, 0] += cases.THETA * (scale < 1)
    loss, _ = cases.compiled(head)(outputs)
    d = outputs[:, 0].astype(np.float64) - cases.THETA
    np.testing.assert_allclose(loss, FORMULAS[name](d), rtol=2e-5, atol=2e-6)


# Slopes at D just above 0, at 90 and just below 180 degrees.
SLOPES = {
  "chord": (1, np.sqrt(0.5), 0),
  "exp_cos": (0, np.exp(-1), 0),
  "l1": (1, 1, 1),
  "l2": (0, PI, 2 * PI),
  "one_minus_cos": (0, 1, 0),
  "parabola": (2 * PI, PI, 0),
  "wrapped_huber": (0, np.radians(6.4), np.radians(6.4)),
  "wrapped_l1": (1, 1, 1),
  "wrapped_l2": (0, PI, 2 * PI),
}


@pytest.mark.parametrize("name", SLOPES)
def test_slopes_near_and_far(name):
  d = np.tile([1e-5, PI / 2, PI - 1e-5, 0.0], 4).astype(np.float32)
  head = scalar.Scalar(loss_=name)
  _, slope = cases.compiled(head)(d[:, None], np.zeros(16, np.float32))
  np.testing.assert_allclose(slope[:3, 0], SLOPES[name], atol=2e-4)


def test_only_some_losses_know_that_the_circle_closes():
  """359 degrees predicted for 1 degree."""
  outputs = np.full((16, 1), np.radians(359), np.float32)
  theta = np.full(16, np.radians(1), np.float32)
  for name in scalar.LOSSES:
    loss, _ = cases.compiled(scalar.Scalar(loss_=name))(outputs, theta)
    near = FORMULAS[name](np.radians(2))
    if name in scalar.PERIODIC:
      np.testing.assert_allclose(loss, near, rtol=1e-3)
    else:
      assert (loss > 100 * near).all()


def test_rcc_falls_all_the_way_only_below_its_critical_weight():
  """The weight beyond which a prediction near one turn off stays there."""
  r = np.linspace(0, 1, 4001)[1:]
  d = (2 * PI * r).astype(np.float32)
  loss = jax.jit(scalar.rcc)
  assert (np.diff(np.asarray(loss(d, 0.232), np.float64)) > -1e-6).all()
  stuck = np.diff(np.asarray(loss(d, 0.26), np.float64)) < -1e-6
  assert stuck.any() and 0.65 < r[1:][stuck].mean() < 0.8
  np.testing.assert_allclose(loss(np.float32(2 * PI)), 1.0, rtol=1e-5)


def test_sigmoid_spans_the_turn_and_both_ends_are_one_angle():
  head = scalar.Scalar(output="sigmoid")
  outputs = np.resize([-80.0, 0.0, 80.0, np.log(3)], (16, 1))
  outputs = outputs.astype(np.float32)
  decoded, _ = cases.reading(head)(outputs)
  expected = np.deg2rad(np.resize([0, -180, 0, -90], 16))
  assert reference.arc(decoded, expected).max() < 1e-6
  # The plain loss asks for [0, 2 pi): -90 degrees is 270.
  plain = scalar.Scalar(output="sigmoid", loss_="l1")
  theta = np.full(16, -PI / 2, np.float32)
  loss, _ = cases.compiled(plain)(outputs, theta)
  expected = np.resize([1.5 * PI, 0.5 * PI, 0.5 * PI, 0], 16)
  np.testing.assert_allclose(loss, expected, atol=1e-5)


def test_scalar_that_drifted_whole_turns_still_decodes():
  head = scalar.Scalar()
  turns = 2 * PI * np.arange(-8, 8)
  outputs = (cases.THETA + turns).astype(np.float32)[:, None]
  decoded, _ = cases.reading(head)(outputs)
  assert reference.arc(decoded, cases.THETA).max() < 1e-5


def test_split_pair_takes_the_two_half_ranges_apart():
  head = scalar.SplitPair()
  left, right = np.maximum(cases.THETA, 0), np.maximum(-cases.THETA, 0)
  ideal = np.stack([left, right], -1)
  loss, _ = cases.compiled(head)(ideal)
  assert (loss < 1e-6).all()
  decoded, _ = cases.reading(head)(ideal)
  np.testing.assert_allclose(decoded, cases.THETA, atol=1e-6)
  loss, _ = cases.compiled(head)(ideal + np.float32([0.25, -0.5]))
  np.testing.assert_allclose(loss, 0.75, rtol=1e-5)
