"""Pretrained backbones against timm's own, and against ImageNet itself.

    pip install -e ".[bench,photos]" && pytest -m slow tests/models

For the last test ROTJAX_IMAGENET_SAMPLES names a folder of one image a class,
n01440764_tench.jpg and so on.
"""

import os
import pathlib

import jax
import numpy as np
import PIL.Image
import pytest

from rotjax import models
from rotjax.models import (
  convnext_tiny,
  efficientnet_lite0,
  pretrained,
  weight_files,
)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def torch():
  return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def timm():
  return pytest.importorskip("timm")


def package_weights():
  package = pretrained.IMAGENET_LITE0
  return weight_files.read(pretrained._find(package), package.sha256)[0]


def save(network, path):
  import safetensors.torch

  safetensors.torch.save_file(network.state_dict(), path)
  return str(path)


def block_means(maps, cells):
  """`[N, C, H, W]` of torch -> `[N, cells * cells * C]`, a loop of means."""
  n, c, height, width = maps.shape
  step = height // cells, width // cells
  grid = maps.reshape(n, c, cells, step[0], cells, step[1]).mean((3, 5))
  return grid.transpose(0, 2, 3, 1).reshape(n, -1)


def features(backbone, images):
  """Ours, of `[N, H, W, 3]` in 0..1."""
  model = models.build(backbone, 2, images.shape[1:])
  params, state = model.read_weights(jax.random.key(0))
  return np.asarray(jax.jit(model.features)(params, state, images)[0])


def theirs(torch, network, tapped, images):
  """The outputs of some of a torch network's modules."""
  maps = []
  for module in tapped:
    module.register_forward_hook(lambda m, i, o: maps.append(o.numpy()))
  with torch.no_grad():
    network.eval()(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
  return maps


def relative(ours, expected):
  assert ours.shape == expected.shape
  return np.abs(ours - expected).max() / np.abs(expected).max()


def images(side):
  return np.random.default_rng(0).random((2, side, side, 3), np.float32)


@pytest.mark.parametrize("source", ("imagenet", "safetensors"))
def test_lite0_is_timms_network_with_the_packages_weights(
  torch, timm, source, tmp_path
):
  network = timm.create_model("tf_efficientnet_lite0")
  arrays = package_weights()
  # Both list them in the order of the network.
  names = list(network.state_dict())
  assert len(names) == len(arrays)
  network.load_state_dict(
    {n: torch.from_numpy(a) for n, a in zip(names, arrays.values())}
  )
  weights = source
  if source == "safetensors":
    weights = save(network, tmp_path / "lite0.safetensors")
  x = images(128)
  tapped = [network.blocks[2][-1], network.blocks[4][-1], network.blocks[6][-1]]
  maps = theirs(torch, network, tapped, (255 * x - 127) / 128)
  expected = np.concatenate([block_means(m, 4) for m in maps], axis=-1)
  ours = features(efficientnet_lite0.EfficientNetLite0(weights), x)
  assert relative(ours, expected) < 3e-5


def test_convnext_is_timms_network_with_its_random_weights(
  torch, timm, tmp_path
):
  network = timm.create_model("convnext_tiny")
  generator = torch.Generator().manual_seed(0)
  with torch.no_grad():
    for name, p in network.named_parameters():
      # Its layer scale of 1e-6 and its zero biases would hide every block.
      noise = torch.randn(p.shape, generator=generator)
      p.add_((0.3 if name.endswith("gamma") else 0.05) * noise)
  weights = save(network, tmp_path / "convnext.safetensors")
  x = images(64)
  backbone = convnext_tiny.ConvNeXtTiny(weights, pool=2)
  mean, deviation = np.float32(backbone.pixels)
  maps = theirs(
    torch, network, network.stages[1:], (255 * x - mean) / deviation
  )
  expected = np.concatenate([block_means(m, 2) for m in maps], axis=-1)
  assert relative(features(backbone, x), expected) < 1e-4


@pytest.mark.parametrize("side, least", ((224, 0.82), (128, 0.6)))
def test_lite0_knows_imagenet(timm, side, least):
  folder = os.environ.get("ROTJAX_IMAGENET_SAMPLES")
  if not folder:
    pytest.skip("ROTJAX_IMAGENET_SAMPLES names no folder")
  from timm import data

  synsets = data.ImageNetInfo().label_names()
  # The grid of the last map's own size is the map itself.
  backbone = efficientnet_lite0.EfficientNetLite0(
    head_blocks=(15,), pool=side // 32
  )
  model = models.build(backbone, 2, (side, side, 3))
  network = model.read_weights(jax.random.key(0))
  run = jax.jit(lambda x: model.features(*network, x)[0])
  arrays, right = package_weights(), []
  bn = {k: arrays[f"_bn1.{k}"] for k in ("weight", "bias")}
  mean, var = arrays["_bn1.running_mean"], arrays["_bn1.running_var"]
  for path in sorted(pathlib.Path(folder).glob("n*.jpg")):
    image = PIL.Image.open(path).convert("RGB")
    scale = side / 0.875 / min(image.size)
    image = image.resize([round(s * scale) for s in image.size], 3)
    left, top = ((s - side) // 2 for s in image.size)
    image = image.crop((left, top, left + side, top + side))
    x = np.asarray(image, np.float32)[None] / 255
    maps = np.asarray(run(x)).reshape(-1, 320)
    y = maps @ arrays["_conv_head.weight"][:, :, 0, 0].T
    y = (y - mean) / np.sqrt(var + 1e-3) * bn["weight"] + bn["bias"]
    y = np.clip(y, 0, 6).mean(0)
    logits = arrays["_fc.weight"] @ y + arrays["_fc.bias"]
    right.append(synsets[logits.argmax()] == path.name.split("_")[0])
  print(f"top-1 of {len(right)} at {side} px: {np.mean(right):.3f}")
  assert np.mean(right) > least
