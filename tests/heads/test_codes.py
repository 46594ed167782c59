"""Coded angles: clean codes, written here by formula, decode to the angle."""

import dataclasses

import jax
import numpy as np
import pytest

from rotjax.heads import (
  acm,
  bits,
  csl,
  grid,
  harmonics,
  multibin,
  psc,
  shifted,
)
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


# Bits.


@pytest.mark.parametrize("name", bits.CODES)
def test_bit_codes_number_every_bin_once(name):
  code = bits.CODES[name](6)
  assert code.shape == (64, 6) and len(np.unique(code, axis=0)) == 64
  if name == "gray":  # neighbours differ in one bit, round the ring too
    assert ((code != np.roll(code, 1, axis=0)).sum(-1) == 1).all()
  else:
    assert (code @ (2 ** np.arange(5, -1, -1)) == np.arange(64)).all()


@pytest.mark.parametrize("name", bits.CODES)
def test_every_bin_decodes_from_its_bits(name):
  head = bits.Bits(num_bits=4, code=name)
  theta = reference.centers(16).astype(np.float32)
  signs = 2.0 * bits.CODES[name](4) - 1
  assert reference.arc(decode(head, 5 * signs), theta).max() < 1e-6
  loss, _ = cases.compiled(head)((5 * signs).astype(np.float32), theta)
  np.testing.assert_allclose(loss, 4 * np.log1p(np.exp(-5)), rtol=1e-5)


def test_binary_bit_flip_is_a_half_turn_and_gray_is_none():
  """At 0 degrees, between bins 15 and 0, all binary digits change."""
  binary, gray = bits.binary_code(4), bits.gray_code(4)
  assert (binary[0] != binary[15]).sum() == 4
  assert (gray[0] != gray[15]).sum() == 1


def test_half_planes_ask_on_which_side_of_a_diameter():
  num_planes = 9
  code = bits.half_plane_code(num_planes)
  arcs = reference.centers(2 * num_planes)
  # Diameter k lies between the arcs: direction k is 90 degrees and half an
  # arc ahead of arc k.
  ahead = np.pi / 2 + np.pi / num_planes * (np.arange(num_planes) + 0.5)
  assert (code == (np.cos(arcs[:, None] - ahead) > 0)).all()
  # Nine answers, of which neighbours change one.
  assert ((code != np.roll(code, 1, axis=0)).sum(-1) == 1).all()


@pytest.mark.parametrize("name", bits.DECODINGS)
def test_half_planes_decode_and_forgive_one_wrong_answer(name):
  head = bits.HalfPlanes(num_planes=8, decode_=name)
  theta = reference.centers(16).astype(np.float32)
  signs = 2.0 * bits.half_plane_code(8) - 1
  assert reference.arc(decode(head, 8 * signs), theta).max() < 1e-3
  wrong = 8 * signs
  wrong[:, 3] *= -1
  assert np.rad2deg(reference.arc(decode(head, wrong), theta)).max() < 68


def test_half_plane_losses_agree_with_formulas():
  outputs = np.random.default_rng(0).normal(size=(16, 36)).astype(np.float32)
  arc = np.rint(np.mod(THETA, 2 * np.pi) * 72 / (2 * np.pi)).astype(int) % 72
  code = bits.half_plane_code(36)[arc]
  loss, _ = cases.compiled(bits.HalfPlanes())(outputs)
  np.testing.assert_allclose(loss, reference.bce(outputs, code), rtol=1e-5)
  loss, _ = cases.compiled(bits.HalfPlanes(loss_="hinge"))(outputs)
  expected = np.maximum(0, 1 - (2 * code - 1) * outputs).sum(-1)
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


# Windows.


def csl_labels(window, radius):
  """Yang & Yan's window, bin by bin, for K = 72 and `radius` in bins."""
  labels = np.zeros((16, 72))
  for row, theta in zip(labels, THETA, strict=True):
    middle = round(np.rad2deg(theta) / 5)
    for offset in range(-35, 37):
      if abs(offset) < radius:
        row[(middle + offset) % 72] = {
          "pulse": float(offset == 0),
          "rectangular": 1.0,
          "triangle": 1 - abs(offset) / radius,
          "gaussian": np.exp(-(offset**2) / (2 * (radius / 3) ** 2)),
        }[window]
  return labels


@pytest.mark.parametrize("window", csl.WINDOWS)
def test_circular_smooth_labels(window):
  radius_deg = 22.5 if window == "triangle" else 30.0  # also not whole bins
  labels = csl_labels(window, radius_deg / 5)
  head = csl.CSL(num_bins=72, window=window, radius_deg=radius_deg)
  found = jax.jit(csl.labels, static_argnums=(1, 2, 3))(
    THETA, 72, window, np.radians(radius_deg).item()
  )
  np.testing.assert_allclose(found, labels, atol=2e-6)
  outputs = np.random.default_rng(0).normal(size=(16, 72)).astype(np.float32)
  loss, _ = cases.compiled(head)(outputs)
  np.testing.assert_allclose(loss, reference.bce(outputs, labels), rtol=1e-5)
  # The loss is least, and zero, at the labels' own log-odds.
  inside = np.clip(labels, 1e-7, 1 - 1e-7)
  ideal = np.log(inside / (1 - inside)).astype(np.float32)
  loss, gradient = cases.compiled(head)(ideal)
  assert loss.max() < 2e-4 and np.abs(gradient).max() < 1e-6
  error = reference.arc(
    decode(head, ideal),
    reference.centers(72)[np.rint(np.rad2deg(THETA) / 5).astype(int) % 72],
  )
  assert np.rad2deg(error.max()) < (25.1 if window == "rectangular" else 1e-3)


# Bins and residuals.


def multibin_outputs(theta, num_bins, length=0.3):
  centers = reference.centers(num_bins)
  logits = -8 * reference.arc(np.asarray(theta)[:, None], centers)
  residual = np.asarray(theta, np.float64)[:, None] - centers
  parts = [logits, length * np.cos(residual), length * np.sin(residual)]
  return np.stack(parts, -1).reshape(len(theta), -1).astype(np.float32)


@pytest.mark.parametrize("num_bins", [2, 8])
def test_multibin_decodes_across_the_edges_of_its_bins(num_bins):
  head = multibin.MultiBin(num_bins=num_bins)
  edge = np.pi / num_bins
  theta = np.concatenate([edge + np.array([-1e-3, 1e-3]), THETA[:14]])
  decoded = decode(head, multibin_outputs(theta, num_bins))
  assert reference.arc(decoded, theta).max() < 1e-5


def test_multibin_loss_agrees_with_its_formula():
  head = multibin.MultiBin(num_bins=4, overlap_deg=15, residual_weight=0.7)
  outputs = np.random.default_rng(0).normal(size=(16, 12)).astype(np.float32)
  loss, _ = cases.compiled(head)(outputs)
  parts = outputs.reshape(16, 4, 3).astype(np.float64)
  d = reference.wrap(THETA[:, None] - reference.centers(4))
  nearest = np.eye(4)[np.abs(d).argmin(-1)]
  expected = reference.cross_entropy(parts[..., 0], nearest)
  gap = np.arctan2(parts[..., 2], parts[..., 1]) - d
  holds = np.abs(d) <= np.deg2rad(45 + 15)
  assert {1, 2} == set(holds.sum(-1))
  expected += 0.7 * ((1 - np.cos(gap)) * holds).sum(-1) / holds.sum(-1)
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


# Shifted coarse classifiers.


def votes(theta, num_nets, num_bins, sure=40.0):
  """Each classifier sure of the bin that holds theta."""
  shift = 2 * np.pi / (num_nets * num_bins) * np.arange(num_nets)
  centers = shift[:, None] + reference.centers(num_bins)
  distance = reference.arc(np.asarray(theta)[:, None, None], centers)
  hot = np.eye(num_bins)[distance.argmin(-1)]
  return (sure * hot).reshape(len(theta), -1).astype(np.float32)


@pytest.mark.parametrize("decoding", shifted.DECODINGS)
@pytest.mark.parametrize("nets, num_bins", [(3, 4), (2, 5), (4, 8), (1, 6)])
def test_shifted_classifiers_agree_on_one_arc(nets, num_bins, decoding):
  head = shifted.Shifted(num_nets=nets, num_bins=num_bins, decode_=decoding)
  # The M N arcs are centred on the bins' centres for odd M, between for even.
  arcs = nets * num_bins
  centers = reference.centers(arcs) + (0 if nets % 2 else np.pi / arcs)
  theta = np.resize(centers, 16) + 0.3 * np.pi / arcs
  outputs = votes(theta, nets, num_bins)
  loss, _ = cases.compiled(head)(outputs, theta.astype(np.float32))
  assert loss.max() < 1e-5
  error = reference.arc(decode(head, outputs), np.resize(centers, 16))
  assert error.max() < 1e-2


def test_shifted_density_is_the_mean_of_its_histograms():
  head = shifted.Shifted()
  outputs = np.random.default_rng(0).normal(size=(16, 12)).astype(np.float32)
  _, log_p = cases.reading(head)(outputs)
  logits = outputs.reshape(16, 3, 4).astype(np.float64)
  p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
  shift = np.deg2rad([0, 30, 60])
  index = np.rint((THETA[:, None] - shift) / (np.pi / 2)).astype(int) % 4
  chosen = np.take_along_axis(p, index[..., None], -1)[..., 0]
  expected = np.log(chosen.mean(-1) * 4 / (2 * np.pi))
  np.testing.assert_allclose(log_p, expected, rtol=1e-5)
  loss, _ = cases.compiled(head)(outputs)
  np.testing.assert_allclose(loss, -np.log(chosen).sum(-1), rtol=1e-5)


def test_mean_shift_finds_the_highest_mode_of_the_smoothed_votes():
  outputs = np.random.default_rng(1).normal(size=(16, 12)).astype(np.float32)
  decoded = decode(shifted.Shifted(kernel_deg=25), 2 * outputs)
  logits = 2 * outputs.reshape(16, 3, 4).astype(np.float64)
  p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
  centers = np.deg2rad([0, 30, 60])[:, None] + reference.centers(4)
  fine = np.linspace(-np.pi, np.pi, 36_000, endpoint=False)
  kernel = np.cos(fine[:, None, None] - centers) / np.radians(25) ** 2
  density = (np.exp(kernel)[:, None] * p).sum((-2, -1))
  best = fine[density.argmax(0)]
  assert np.rad2deg(reference.arc(decoded, best)).max() < 0.05


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


def test_coarse_heads_put_their_bins_on_the_grid():
  np.testing.assert_allclose(grid.centers(8), reference.centers(8), atol=1e-6)
