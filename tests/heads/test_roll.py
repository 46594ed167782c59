"""Heads on a ring know no direction: a turn of all turns all, gradients too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rotjax.heads import bins, bits, csl, multibin, shifted

# Truths about theta = 0, where the rings are cut, and elsewhere; radians.
THETA = np.float32([-0.6, -0.02, 0.0, 0.013, 0.4, 1.0, 3.1])
BASE = 360


def peaked(num_points, scale):
  """`[7, K]` logits of one peak, .15 beside the truth, and a little noise."""
  directions = 2 * np.pi * np.arange(num_points) / num_points
  noise = np.random.default_rng(0).normal(size=(len(THETA), num_points))
  mean = THETA[:, None].astype(np.float64) + 0.15
  logits = scale * np.cos(directions - mean) + 0.1 * noise
  return logits.astype(np.float32)


def columns(num_points, per_point, scale):
  """`[7, K * c]`: the first of each point's numbers is its logit."""
  rest = np.random.default_rng(1).normal(
    size=(len(THETA), num_points, per_point - 1)
  )
  parts = [peaked(num_points, scale)[..., None], rest]
  return np.concatenate(parts, -1).astype(np.float32).reshape(len(THETA), -1)


def roll_columns(x, shift, num_points):
  rows = x.reshape(len(x), num_points, -1)
  return np.roll(rows, shift, axis=1).reshape(x.shape)


def roll_nets(x, shift, head):
  rows = x.reshape(len(x), head.num_nets, head.num_bins)
  return np.roll(rows, shift, axis=2).reshape(x.shape)


def roll_planes(x, shift):
  """Beyond the last plane they come again, turned round."""
  both = np.concatenate([x, -x], axis=-1)
  return np.roll(both, shift, axis=-1)[:, : x.shape[-1]]


def cases_of(scale):
  for loss in bins.LOSSES:
    head = bins.Bins(num_bins=BASE, loss_=loss)
    yield f"bins {loss}", head, peaked(BASE, scale), np.roll, BASE
  for window in csl.WINDOWS:
    head = csl.CSL(num_bins=BASE, window=window)
    yield f"csl {window}", head, peaked(BASE, scale), np.roll, BASE
  head = multibin.MultiBin(num_bins=8)
  yield (
    "multibin",
    head,
    columns(8, 3, scale),
    lambda x, k, axis: roll_columns(x, k, 8),
    8,
  )
  head = shifted.Shifted(num_nets=3, num_bins=8)
  logits = np.concatenate([peaked(8, scale)] * 3, axis=-1)
  yield "shifted", head, logits, lambda x, k, axis: roll_nets(x, k, head), 8
  for loss in bits.LOSSES:
    planes = bits.HalfPlanes(num_planes=BASE // 2, loss_=loss)
    outputs = peaked(BASE, scale)[:, : BASE // 2]
    yield (
      f"half_planes {loss}",
      planes,
      outputs,
      lambda x, k, axis: roll_planes(x, k),
      BASE,
    )


NAMES = [case[0] for case in cases_of(1.0)]


@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients_turn_with_the_ring(name):
  """Also of a sharp softmax, most of whose float32 sums tie."""
  for scale in (3.0, 50.0, 1000.0):
    _, head, outputs, roll, points = next(
      case for case in cases_of(scale) if case[0] == name
    )
    both = jax.jit(jax.vmap(jax.value_and_grad(head.loss)))
    value, gradient = map(np.asarray, both(outputs, jnp.asarray(THETA)))
    size = np.abs(gradient).max(-1, keepdims=True) + 1e-6
    for quarter in (1, 2, 3):
      shift = quarter * points // 4
      theta = THETA.astype(np.float64) + quarter * np.pi / 2
      theta = np.float32((theta + np.pi) % (2 * np.pi) - np.pi)
      value2, gradient2 = both(
        jnp.asarray(roll(outputs, shift, axis=-1)), jnp.asarray(theta)
      )
      np.testing.assert_allclose(value2, value, rtol=2e-3, atol=1e-4)
      expected = roll(gradient, shift, axis=-1)
      np.testing.assert_allclose(
        gradient2 / size, expected / size, atol=0.02, err_msg=f"{scale}"
      )
