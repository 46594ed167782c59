"""What every head owes, under every option; new entries are found here."""

import dataclasses
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rotjax import errors, heads
from rotjax.heads import bits, shifted
from tests.heads import cases, reference

every_head = pytest.mark.parametrize("name", heads.HEADS)
every_variant = pytest.mark.parametrize("name", cases.VARIANTS)


def draw(head, scale, seed=0):
  """`[16, n]` float32."""
  shape = (len(cases.THETA), head.num_outputs)
  x = np.random.default_rng(seed).normal(size=shape) * scale
  return x.astype(np.float32)


@every_head
def test_every_field_has_a_default_and_every_choice_a_dict(name):
  head_class = heads.HEADS[name]
  for field in dataclasses.fields(head_class):
    assert field.default is not dataclasses.MISSING
    # A name without its dict would escape the tests below.
    if isinstance(field.default, str):
      assert field.default in cases.options(head_class)[field.name]
  # A head is a static argument: equal options are the same program.
  assert head_class() == head_class()
  assert hash(head_class()) == hash(head_class())


@every_head
def test_wrong_names_are_refused_with_the_right_ones(name):
  head_class = heads.HEADS[name]
  for field, values in cases.options(head_class).items():
    if isinstance(values[0], bool):
      continue
    with pytest.raises(errors.UserError, match="did you mean") as caught:
      head_class(**{field: values[-1][:-1] + "~"})
    assert repr(values[-1]) in str(caught.value)


@every_head
def test_senseless_numbers_are_refused(name):
  """Zero or less of anything counted, a width below zero."""
  head_class = heads.HEADS[name]
  for field in dataclasses.fields(head_class):
    is_count = field.name.startswith("num_") or field.name == "grid_size"
    if is_count or field.name.endswith("_deg"):
      with pytest.raises(errors.UserError, match=f"head.{field.name}"):
        head_class(**{field.name: -1})


@every_head
def test_shapes_types_jit_and_vmap(name):
  """float32 in and out, the same for one, a batch and a grid of them."""
  head = heads.HEADS[name]()
  outputs = draw(head, 1.0)

  @jax.jit
  def run(x, theta):
    grid = head.loss(x.reshape(2, 8, -1), theta.reshape(2, 8))
    mapped = jax.vmap(head.loss)(x, theta)
    angles = head.decode(x.reshape(2, 8, -1)), jax.vmap(head.decode)(x)
    return head.loss(x[3], theta[3]), grid, mapped, angles

  one, grid, mapped, angles = run(outputs, cases.THETA)
  expected, _ = cases.compiled(head)(outputs)
  decoded, log_p = cases.reading(head)(outputs)
  assert expected.dtype == one.dtype == grid.dtype == mapped.dtype == np.float32
  assert one.shape == () and grid.shape == (2, 8) and mapped.shape == (16,)
  np.testing.assert_allclose(one, expected[3], rtol=2e-6, atol=1e-6)
  np.testing.assert_allclose(grid.ravel(), expected, rtol=2e-6, atol=1e-6)
  np.testing.assert_allclose(mapped, expected, rtol=2e-6, atol=1e-6)
  assert angles[0].dtype == np.float32 and angles[0].shape == (2, 8)
  for angle in angles:
    # A mode between two points of a grid is a quotient of small differences.
    assert reference.arc(angle.ravel(), decoded).max() < 3e-5
  assert log_p is None or (log_p.shape == (16,) and log_p.dtype == np.float32)


@every_variant
def test_finite_with_finite_gradients(name):
  """At zero, at rounding, at saturation, at the antipode."""
  head = cases.VARIANTS[name]
  opposite = -np.stack([np.cos(cases.THETA), np.sin(cases.THETA)], -1)
  repeats = -(-head.num_outputs // 2)
  opposite = np.tile(opposite, repeats)[:, : head.num_outputs]
  for scale in (0, 1e-20, 1e-7, 1e-3, 1, 30, 88, 1e4, 1e6, 1e12):
    batches = draw(head, scale), opposite * scale, 0 * opposite + scale
    for batch in batches:
      batch = batch.astype(np.float32)
      loss, gradient = cases.compiled(head)(batch)
      assert np.isfinite(loss).all(), scale
      assert np.isfinite(gradient).all(), scale
      decoded, log_p = cases.reading(head)(batch)
      assert ((decoded >= -np.pi) & (decoded < np.pi)).all(), scale
      assert log_p is None or np.isfinite(log_p).all(), scale


@every_variant
def test_a_full_turn_of_the_target_changes_nothing(name):
  head = cases.VARIANTS[name]
  for scale in (0.0, 0.3, 3.0):
    outputs = draw(head, scale)
    loss, gradient = cases.compiled(head)(outputs)
    for turn in (-2 * np.pi, 2 * np.pi):
      turned = (cases.THETA + turn).astype(np.float32)
      loss2, gradient2 = cases.compiled(head)(outputs, turned)
      # Radians near 2 pi are rounded to 5e-7.
      np.testing.assert_allclose(loss2, loss, rtol=3e-5, atol=5e-5)
      np.testing.assert_allclose(gradient2, gradient, rtol=1e-3, atol=3e-5)


# Degrees that may be missing after a short fit, and why.
TOLERANCE = {
  "csl window=rectangular": 6.0,  # the middle of a window is not marked
  "scalar output=sigmoid": 16.0,  # near 0 it has to saturate
  "vector loss=cdl": 15.0,  # its slope vanishes long before D = 0
  "mixture component=power_spherical": 3.0,  # still sharpening, no optimum
  "power_spherical": 3.0,
  "vonmises": 3.0,
  "mixture": 3.0,
  "mixture decode=mean": 3.0,
  "mixture decode=mode": 3.0,
}


def resolution(head):
  """Half of a head's bins, degrees."""
  if isinstance(head, shifted.Shifted):
    return 180 / (head.num_nets * head.num_bins)
  if isinstance(head, bits.Bits):
    return 180 / 2**head.num_bits
  if isinstance(head, bits.HalfPlanes):
    return 90 / head.num_planes
  return 180 / getattr(head, "num_bins", 360) if hasattr(head, "decode_") else 0


@every_variant
def test_least_loss_is_the_truth(name):
  """Outputs fitted to an angle decode to it and find others less likely."""
  head = cases.VARIANTS[name]
  # From elsewhere the sigmoid's short way may lead to its end, and stop there.
  scale = 0.0 if "sigmoid" in name else 0.5
  outputs = cases.fit(head, draw(head, scale, seed=1))
  decoded, _ = cases.reading(head)(outputs)
  error = np.rad2deg(reference.arc(decoded, cases.THETA))
  assert error.max() <= TOLERANCE.get(name, 0.35 + resolution(head))
  near, _ = cases.compiled(head)(outputs)
  for turn in np.deg2rad(np.arange(40, 360, 40)):
    far, _ = cases.compiled(head)(outputs, reference.wrap(cases.THETA + turn))
    assert (near <= far).all()


@every_head
def test_density_integrates_to_one_or_is_none(name):
  head = heads.HEADS[name]()
  outputs = np.concatenate([draw(head, 0.0)[:1], draw(head, 2.0)[:7]])
  # A whole number of points in each half bin, for 360, 256 and 12 of them.
  n = 2 * 11520
  theta = reference.wrap(2 * np.pi * (np.arange(n) + 0.5) / n).astype("f4")
  log_p = jax.jit(
    jax.vmap(
      lambda x: head.log_density(jnp.broadcast_to(x, (n, x.size)), theta)
    )
  )(outputs)
  if log_p is None:
    assert "None" in inspect.getdoc(type(head).log_density)
    return
  total = np.exp(np.asarray(log_p, np.float64)).mean(-1) * 2 * np.pi
  np.testing.assert_allclose(total, 1.0, atol=1e-4)


@every_head
def test_loss_of_a_density_is_its_negative_logarithm(name):
  head = heads.HEADS[name]()
  outputs = draw(head, 1.5)
  loss, _ = cases.compiled(head)(outputs)
  _, log_p = cases.reading(head)(outputs)
  if log_p is None:
    return
  if isinstance(head, shifted.Shifted):  # of the mixture, the sum of its parts
    width = np.log(2 * np.pi / head.num_bins)
    assert (-log_p <= loss / head.num_nets + width + 1e-5).all()
    return
  # A histogram's cross-entropy leaves out the width of its bins.
  gap = loss + log_p
  np.testing.assert_allclose(gap, gap[0], atol=1e-5)
  num_bins = {"bins": 360, "bits": 256}.get(name, 2 * np.pi)
  np.testing.assert_allclose(gap, np.log(num_bins / 2 / np.pi), atol=1e-5)
