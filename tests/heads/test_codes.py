"""Coded angles: clean codes, written here by formula, decode to the angle."""

import dataclasses

import jax
import numpy as np
import pytest

from rotjax.heads import acm, fourier, harmonics, psc
from tests.heads import cases, reference

THETA = cases.THETA


def trigonometric(num_harmonics, theta=THETA):
  """`[16, 2 F]`: cos and sin by turns."""
  k = np.arange(1, num_harmonics + 1)
  angles = np.asarray(theta, np.float64)[:, None] * k
  code = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
  return code.reshape(len(theta), -1).astype(np.float32)


def decode(head, outputs):
  return cases.reading(head)(np.asarray(outputs, np.float32))[0]


# Harmonics.


@pytest.mark.parametrize("num_harmonics", [1, 2, 4, 9])
def test_clean_harmonics_cost_nothing_and_decode(num_harmonics):
  head = harmonics.Harmonics(num_harmonics=num_harmonics)
  ideal = trigonometric(num_harmonics)
  loss, _ = cases.compiled(head)(ideal)
  assert loss.max() < 1e-9
  # Whatever the length.
  for scale in (1e-3, 1.0, 1e4):
    assert reference.arc(decode(head, scale * ideal), THETA).max() < 2e-6


def test_harmonics_agree_with_formulas():
  outputs = np.random.default_rng(0).normal(size=(16, 8)).astype(np.float32)
  gap = outputs.astype(np.float64) - trigonometric(4)
  for loss, expected in (("mse", gap**2), ("l1", np.abs(gap))):
    found, _ = cases.compiled(harmonics.Harmonics(loss_=loss))(outputs)
    np.testing.assert_allclose(found, expected.sum(-1), rtol=1e-5)


def test_harmonics_decode_the_global_peak():
  """Random coefficients, many peaks: against a fine grid in float64."""
  outputs = np.random.default_rng(3).normal(size=(16, 8)).astype(np.float32)
  fine = np.linspace(-np.pi, np.pi, 72_000, endpoint=False)
  k = np.arange(1, 5)[:, None]
  basis = np.stack([np.cos(k * fine), np.sin(k * fine)], 1).reshape(8, -1)
  best = fine[(outputs.astype(np.float64) @ basis).argmax(-1)]
  decoded = decode(harmonics.Harmonics(), outputs)
  assert reference.arc(decoded, best).max() < 1e-4


@pytest.mark.parametrize("num_harmonics", [2, 4, 8])
def test_no_higher_peak_is_missed(num_harmonics):
  """Of random coefficients one in 200 had a lower peak's point above."""
  rng = np.random.default_rng(5)
  outputs = rng.normal(size=(4000, 2 * num_harmonics)).astype(np.float32)
  k = np.arange(1, num_harmonics + 1)
  fine = np.linspace(-np.pi, np.pi, 200 * num_harmonics, endpoint=False)
  basis = np.stack([np.cos(np.outer(k, fine)), np.sin(np.outer(k, fine))], 1)
  basis = basis.reshape(2 * num_harmonics, -1).astype(np.float32)
  highest = (outputs @ basis).max(-1)
  head = harmonics.Harmonics(num_harmonics=num_harmonics)
  theta = np.asarray(jax.jit(head.decode)(outputs), np.float64)
  code = trigonometric(num_harmonics, theta).astype(np.float64)
  assert ((outputs * code).sum(-1) > highest - 1e-4).all()


def test_second_harmonic_alone_leaves_two_answers():
  outputs = trigonometric(2)
  outputs[:, :2] = 0
  decoded = decode(harmonics.Harmonics(num_harmonics=2), outputs)
  assert reference.arc(2 * decoded, 2 * THETA).max() < 1e-5


# Phase shifting and complex exponentials.


@pytest.mark.parametrize("num_steps", [3, 4, 7])
@pytest.mark.parametrize("dual", [False, True])
def test_clean_phase_codes_cost_nothing_and_decode(num_steps, dual):
  ideal = reference.psc_code(THETA, num_steps, dual).astype(np.float32)
  head = psc.PSC(num_steps=num_steps, dual=dual)
  loss, _ = cases.compiled(head)(ideal)
  assert loss.max() < 1e-10
  assert reference.arc(decode(head, ideal), THETA).max() < 2e-6
  # A brightness common to all steps is none of their business.
  assert reference.arc(decode(head, 0.1 * ideal + 3), THETA).max() < 1e-5


@pytest.mark.parametrize("name", psc.LOSSES)
def test_phase_losses_agree_with_formulas(name):
  outputs = np.random.default_rng(0).normal(size=(16, 6)).astype(np.float32)
  gap = np.abs(outputs - reference.psc_code(THETA, 3, True))
  small = np.where(gap < 1 / 9, 4.5 * gap**2, gap - 1 / 18)
  formulas = {"l1": gap, "mse": gap**2, "smooth_l1": small}
  found, _ = cases.compiled(psc.PSC(dual=True, loss_=name))(outputs)
  np.testing.assert_allclose(found, formulas[name].sum(-1), rtol=2e-5)


def test_dual_phase_is_finer_and_the_first_only_chooses():
  """A wrong first frequency is forgiven up to 90 degrees, then all is lost."""
  head = psc.PSC(dual=True)
  for slip, lost in ((80, 0.0), (100, np.pi)):
    code = reference.psc_code(THETA, 3, True)
    code[:, :3] = reference.psc_code(THETA + np.deg2rad(slip), 3, False)
    error = reference.arc(decode(head, code), THETA)
    np.testing.assert_allclose(error, lost, atol=1e-5)


def test_low_modulation_decodes_to_zero_only_when_asked():
  code = 0.4 * reference.psc_code(THETA, 3, True)  # (3/2 x .4)^2 = .36
  assert reference.arc(decode(psc.PSC(dual=True), code), THETA).max() < 1e-5
  strict = psc.PSC(dual=True, min_modulation=0.47)
  assert (decode(strict, code) == 0).all()
  assert reference.arc(decode(strict, 2 * code), THETA).max() < 1e-5


@pytest.mark.parametrize("dual", [False, True])
def test_clean_complex_codes_cost_nothing_and_decode(dual):
  head = acm.ACM(dual=dual)
  ideal = trigonometric(2 if dual else 1)
  loss, _ = cases.compiled(head)(ideal)
  assert loss.max() < 1e-10
  assert reference.arc(decode(head, ideal), THETA).max() < 2e-6


def test_complex_code_is_supervised_as_code_and_as_angle():
  """Smooth L1 of the numbers plus the wrapped L1 of what they decode to."""
  outputs = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
  gap = np.abs(outputs - trigonometric(2).astype(np.float64))
  code = np.where(gap < 1 / 9, 4.5 * gap**2, gap - 1 / 18).sum(-1)
  half = np.arctan2(outputs[:, 3], outputs[:, 2]) / 2
  towards = np.cos(half) * outputs[:, 0] + np.sin(half) * outputs[:, 1]
  angle = half + np.pi * (towards < 0)
  for weight in (0.0, 2.0):
    head = acm.ACM(loss_="wrapped_l1", code_weight=weight)
    loss, _ = cases.compiled(head)(outputs)
    expected = reference.arc(angle, THETA) + weight * code
    np.testing.assert_allclose(loss, expected, rtol=2e-5, atol=1e-6)
    assert reference.arc(decode(head, outputs), angle).max() < 1e-5


# What turns with the angle.


def turned(outputs, head, turn):
  """The head's outputs for content turned by `turn`, where there are such."""
  if isinstance(head, psc.PSC):
    n = head.num_steps
    parts = [outputs[:, :n], outputs[:, n:]] if head.dual else [outputs]
    shift = 2 * np.pi * np.arange(n) / n
    moved = []
    for k, part in enumerate(parts, 1):
      phasor = (part * np.exp(-1j * shift)).sum(-1, keepdims=True) * 2 / n
      rest = part - (phasor * np.exp(1j * shift)).real  # no code at all
      moved.append(rest + (phasor * np.exp(1j * (k * turn + shift))).real)
    return np.concatenate(moved, -1)
  phasors = outputs[:, ::2] + 1j * outputs[:, 1::2]
  phasors = phasors * np.exp(1j * turn * np.arange(1, phasors.shape[1] + 1))
  pairs = np.stack([phasors.real, phasors.imag], -1)
  return pairs.reshape(outputs.shape)


@pytest.mark.parametrize(
  "head",
  [
    acm.ACM(),
    fourier.Fourier(),
    harmonics.Harmonics(),
    psc.PSC(),
    psc.PSC(num_steps=5, dual=True),
  ],
  ids=str,
)
def test_codes_turn_with_the_angle(head):
  rng = np.random.default_rng(0)
  outputs = rng.normal(size=(16, head.num_outputs)).astype(np.float32)
  before = decode(head, outputs)
  # Smooth L1 on each number by itself has preferred axes, squares have none.
  if isinstance(head, acm.ACM):
    head = dataclasses.replace(head, code_weight=0.0)
  loss, _ = cases.compiled(head)(outputs)
  for turn in (0.5, 2.0, -3.0):
    moved = turned(outputs, head, turn).astype(np.float32)
    assert reference.arc(decode(head, moved), before + turn).max() < 1e-4
    theta = reference.wrap(THETA + turn).astype(np.float32)
    loss2, _ = cases.compiled(head)(moved, theta)
    np.testing.assert_allclose(loss2, loss, rtol=1e-4, atol=1e-5)
