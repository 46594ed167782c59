"""Foreign weights in their places, and what is told where they do not fit."""

import functools

import jax
import numpy as np
import pytest

from rotjax import errors, models
from rotjax.models import convnext_tiny, efficientnet_lite0, pretrained
from tests import torch_files

SHAPE = (32, 32, 3)
LITE0 = functools.partial(
  efficientnet_lite0.EfficientNetLite0, head_blocks=(1,), pool=2, hidden=8
)
CONVNEXT = functools.partial(
  convnext_tiny.ConvNeXtTiny, head_blocks=(3,), pool=2, hidden=8
)
# timm's own names, as published: of the first blocks, and of what is dropped.
LITE0_NAMES = {
  "conv_stem.weight": (32, 3, 3, 3),
  "blocks.0.0.conv_dw.weight": (32, 1, 3, 3),
  "blocks.0.0.conv_pw.weight": (16, 32, 1, 1),
  "blocks.1.0.conv_pw.weight": (96, 16, 1, 1),
  "blocks.1.0.conv_dw.weight": (96, 1, 3, 3),
  "blocks.1.0.conv_pwl.weight": (24, 96, 1, 1),
  "blocks.1.1.conv_pw.weight": (144, 24, 1, 1),
  "conv_head.weight": (1280, 320, 1, 1),
  "classifier.bias": (1000,),
  **{
    f"{norm}.{leaf}": (size,)
    for norm, size in (
      ("bn1", 32),
      ("blocks.0.0.bn1", 32),
      ("blocks.0.0.bn2", 16),
      ("blocks.1.0.bn1", 96),
      ("blocks.1.0.bn2", 96),
      ("blocks.1.0.bn3", 24),
      ("bn2", 1280),
    )
    for leaf in ("weight", "bias", "running_mean", "running_var")
  },
  "bn1.num_batches_tracked": (),
}


def drawn(names):
  rng = np.random.default_rng(0)
  return {n: rng.random(shape, np.float32) + 0.1 for n, shape in names.items()}


@functools.cache
def convnext_names():
  names = {"stem.0.weight": (96, 3, 4, 4), "head.fc.bias": (1000,)}
  names |= {f"stem.{n}": (96,) for n in ("0.bias", "1.weight", "1.bias")}
  names |= {f"stages.1.downsample.0.{n}": (96,) for n in ("weight", "bias")}
  names |= {"stages.1.downsample.1.weight": (192, 96, 2, 2)}
  names |= {"stages.1.downsample.1.bias": (192,)}
  names |= {"stages.1.blocks.1.gamma": (192,)}
  names |= {"stages.2.downsample.0.weight": (192,)}
  for block, size in (("0.blocks.0", 96), ("0.blocks.1", 96)) + (
    ("0.blocks.2", 96),
    ("1.blocks.0", 192),
  ):
    below = {
      "conv_dw.weight": (size, 1, 7, 7),
      "mlp.fc1.weight": (4 * size, size),
      "mlp.fc1.bias": (4 * size,),
      "mlp.fc2.weight": (size, 4 * size),
    }
    for n in (
      *("conv_dw.bias", "norm.weight", "norm.bias", "mlp.fc2.bias", "gamma"),
    ):
      below[n] = (size,)
    names |= {f"stages.{block}.{n}": shape for n, shape in below.items()}
  return names


def read(backbone):
  model = models.build(backbone, 2, SHAPE)
  return model.read_weights(jax.random.key(0))


def test_lite0s_arrays_lie_where_timms_names_say(tmp_path):
  arrays = drawn(LITE0_NAMES)
  path = torch_files.write(tmp_path / "w.pth", arrays)
  params, state = read(LITE0(path))
  at = params["block1"]
  first = arrays["blocks.0.0.conv_dw.weight"][:, 0].transpose(1, 2, 0)
  np.testing.assert_array_equal(params["block0"]["depthwise"]["kernel"], first)
  np.testing.assert_array_equal(
    at["expand"]["kernel"][0, 0],
    arrays["blocks.1.0.conv_pw.weight"][:, :, 0, 0].T,
  )
  np.testing.assert_array_equal(
    params["stem"]["conv"]["kernel"],
    arrays["conv_stem.weight"].transpose(2, 3, 1, 0),
  )
  np.testing.assert_array_equal(
    at["project_norm"]["scale"], arrays["blocks.1.0.bn3.weight"]
  )
  np.testing.assert_array_equal(
    state["block1"]["depthwise_norm"]["var"],
    arrays["blocks.1.0.bn2.running_var"],
  )
  model = models.build(LITE0(path), 2, SHAPE)
  fresh, _ = model.init(jax.random.key(0))
  for name in ("spatial", "out"):  # what is new is as ever drawn
    jax.tree.map(np.testing.assert_array_equal, params[name], fresh[name])
  assert model.stages == ("stem", "block0", "block1")
  assert list(params) == sorted((*model.stages, "spatial", "out"))


def test_convnexts_arrays_lie_where_timms_names_say(tmp_path):
  arrays = drawn(convnext_names())
  params, state = read(CONVNEXT(torch_files.write(tmp_path / "w.pth", arrays)))
  at = params["block3"]
  np.testing.assert_array_equal(
    at["down"]["kernel"],
    arrays["stages.1.downsample.1.weight"].transpose(2, 3, 1, 0),
  )
  np.testing.assert_array_equal(
    at["expand"]["kernel"], arrays["stages.1.blocks.0.mlp.fc1.weight"].T
  )
  np.testing.assert_array_equal(at["gamma"], arrays["stages.1.blocks.0.gamma"])
  assert not jax.tree.leaves(state)


def changed(without=(), **others):
  arrays = drawn(LITE0_NAMES)
  for name in without:
    del arrays[name]
  return arrays | others


@pytest.mark.parametrize(
  "arrays, words",
  [
    (changed(without=["conv_stem.weight"]), ("lacks 1", "conv_stem.weight")),
    (changed(extra=np.zeros(3)), ("no place here for 1", "extra")),
    (
      changed(**{"bn1.bias": np.zeros(31)}),
      ("another network", "bn1.bias", "(31,)", "(32,)"),
    ),
    (
      changed(**{"bn1.bias": np.full(32, np.nan)}),
      ("damaged", "bn1.bias", "not finite"),
    ),
    (drawn(convnext_names()), ("another network", "lacks", "no place", "...")),
  ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, arrays, words):
  path = torch_files.write(tmp_path / "w.pth", arrays)
  with pytest.raises(errors.UserError) as caught:
    read(LITE0(path))
  for word in (path, *words):
    assert word in str(caught.value)
  assert "\n" not in str(caught.value)


def test_a_package_that_is_not_there_is_named(monkeypatch):
  monkeypatch.setattr(pretrained.importlib.util, "find_spec", lambda name: None)
  with pytest.raises(errors.UserError, match=r"rotjax\[photos\]"):
    read(LITE0())


def test_random_weights_need_no_file():
  for backbone in (LITE0(""), CONVNEXT("")):
    model = models.build(backbone, 2, SHAPE)
    assert model.foreign is None and model.read_weights is None


@pytest.fixture(scope="module")
def small():
  model = models.build(LITE0(""), 3, SHAPE)
  rng = np.random.default_rng(1)
  # Drawn here: to compile the drawing takes longer than all else.
  params, state = jax.tree.map(
    lambda x: np.float32(rng.normal(0.1, 0.2, x.shape)),
    jax.eval_shape(model.init, jax.random.key(0)),
  )
  state = jax.tree.map(lambda x: np.abs(x) + 0.5, state)
  return model, params, state


def test_features_and_head_are_the_whole(small):
  model, params, state = small
  x = np.random.default_rng(0).random((2, *SHAPE), np.float32)
  whole, _ = jax.jit(model.apply)(params, state, x)
  features, _ = jax.jit(model.features)(params, state, x)
  assert features.shape == (2, 2 * 2 * 24)
  parts, _ = jax.jit(model.head)(params, state, features)
  np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)


def test_an_export_for_other_platforms_gives_the_same(small):
  model, params, state = small
  x = np.random.default_rng(0).random((2, *SHAPE), np.float32)
  run = jax.jit(lambda x: model.apply(params, state, x)[0])
  exported = jax.export.export(run, platforms=("cpu", "cuda"))(x)
  np.testing.assert_allclose(exported.call(x), run(x), rtol=1e-5, atol=1e-6)


def test_bfloat16_arithmetic_is_close(small):
  _, params, state = small
  x = np.random.default_rng(0).random((2, *SHAPE), np.float32)
  exact, half = (
    jax.jit(models.build(LITE0(""), 3, SHAPE, dtype).apply)(params, state, x)[0]
    for dtype in (np.float32, jax.numpy.bfloat16)
  )
  error = np.abs(half - exact).max() / np.abs(exact).max()
  assert 1e-6 < error < 0.05


def test_grey_and_raw_pixels_are_the_same_picture(small):
  _, params, state = small
  x = np.random.default_rng(0).random((2, 32, 32, 1), np.float32)
  outputs = [
    jax.jit(models.build(LITE0(""), 3, images.shape[1:], white=white).apply)(
      params, state, images
    )[0]
    for images, white in (
      (np.repeat(x, 3, -1), 1.0),
      (x, 1.0),
      (255 * x, 255.0),
    )
  ]
  for got in outputs[1:]:
    np.testing.assert_allclose(got, outputs[0], rtol=1e-4, atol=1e-5)


def test_statistics_stay_frozen_unless_they_are_to_train(small):
  _, params, state = small
  x = np.random.default_rng(0).random((2, *SHAPE), np.float32)
  for kind in ("frozen", "train"):
    model = models.build(LITE0("", batch_stats=kind), 3, SHAPE)
    run = jax.jit(functools.partial(model.apply, train=True))
    _, after = run(params, state, x)
    same = jax.tree.map(np.array_equal, state, after)
    assert {*jax.tree.leaves(same)} == {kind == "frozen"}


def test_a_frozen_prefix_costs_no_backward_pass(small):
  model, params, state = small
  x = np.zeros((2, *SHAPE), np.float32)

  def flops(frozen):
    kept = {k: v for k, v in params.items() if k in frozen}
    rest = {k: v for k, v in params.items() if k not in frozen}

    def loss(rest):
      return model.apply(rest | kept, state, x, train=True)[0].sum()

    lowered = jax.jit(jax.value_and_grad(loss)).lower(rest)
    return lowered.compile().cost_analysis()["flops"]

  forward = jax.jit(model.apply).lower(params, state, x)
  alone = forward.compile().cost_analysis()["flops"]
  # The head's own gradient is small beside the blocks.
  assert flops(model.stages) < 1.05 * alone
  assert flops(()) > 2 * alone
