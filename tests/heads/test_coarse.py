"""Bits, windows, coarse bins: clean outputs, by formula, decode to angles."""

import jax
import numpy as np
import pytest

from rotjax.heads import bits, csl, multibin, shifted
from tests.heads import cases, reference

THETA = cases.THETA


def decode(head, outputs):
  return cases.reading(head)(np.asarray(outputs, np.float32))[0]


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
