"""ConvNeXt-Tiny (Liu et al. 2022, "A ConvNet for the 2020s"), for a GPU.

Weights: a .safetensors with timm's names (convnext_tiny.*), from a hub.
"""

from collections.abc import Iterator
import dataclasses

import flax.nnx as nnx
import jax
import jax.numpy as jnp

from rotjax.models import layers, pretrained, spatial

_STAGES = ((3, 96), (3, 192), (9, 384), (3, 768))
_PLACES = tuple(
  (stage, i) for stage, (n, _) in enumerate(_STAGES) for i in range(n)
)
NUM_BLOCKS = len(_PLACES)

# Our layer -> its name in timm's files, below that of its stage or block.
_IN_TIMM = {
  "down_norm": "downsample.0",
  "down": "downsample.1",
  "depthwise": "blocks.{}.conv_dw",
  "norm": "blocks.{}.norm",
  "expand": "blocks.{}.mlp.fc1",
  "project": "blocks.{}.mlp.fc2",
}


class _Stem(nnx.Module):
  def __init__(self, common):
    self.conv = layers.Conv(3, 96, 4, stride=4, padding="VALID", **common)
    self.norm = layers.LayerNorm(96)

  def __call__(self, x, context):
    del context
    return self.norm(self.conv(x))


class _Block(nnx.Module):
  """Depthwise 7x7, norm, two linear layers, scaled and added; `down` first."""

  def __init__(self, features_in, features, down, common):
    self.downs = down
    if down:
      self.down_norm = layers.LayerNorm(features_in)
      self.down = layers.Conv(
        features_in, features, 2, stride=2, padding="VALID", **common
      )
    self.depthwise = layers.Depthwise(features, 7, bias=True, **common)
    self.norm = layers.LayerNorm(features)
    self.expand = layers.Dense(features, 4 * features, **common)
    self.project = layers.Dense(4 * features, features, **common)
    self.gamma = nnx.Param(jnp.full(features, 1e-6, jnp.float32))

  def __call__(self, x, context):
    del context
    if self.downs:
      x = self.down(self.down_norm(x))
    y = self.expand(self.norm(self.depthwise(x)))
    y = self.project(jax.nn.gelu(y, approximate=False))
    return x + y * self.gamma[...].astype(y.dtype).reshape(1, 1, 1, -1)


def _plan() -> Iterator[tuple[int, int, bool]]:
  """Channels in and out, and whether it halves first, of each block."""
  width = 96
  for stage, (repeats, features) in enumerate(_STAGES):
    for i in range(repeats):
      yield width, features, stage > 0 and i == 0
      width = features


class _ConvNeXt(spatial.Pooled):
  def __init__(self, options, num_outputs, dtype, rngs):
    common = dict(rngs=rngs, dtype=dtype)
    self.stem, plan = _Stem(common), list(_plan())
    for i, (features_in, features, down) in enumerate(plan):
      if i <= options.head_blocks[-1]:
        setattr(self, f"block{i}", _Block(features_in, features, down, common))
    widths = [features for _, features, _ in plan]
    self.end(options, widths, num_outputs, **common)


@dataclasses.dataclass(frozen=True)
class ConvNeXtTiny:
  """ConvNeXt-Tiny's blocks, their maps on a small grid, one hidden layer.

  Attributes:
    weights: the path of a .safetensors with timm's names, or "" for random
      ones.
    head_blocks: the blocks, of 0 to 17, whose maps are read; what comes after
      the last of them is left out.
    pool: the maps are averaged over a grid of so many cells along each side.
    hidden: width of the hidden layer that reads the grids.
    dropout: rate in front of the last layer.
    remat: keep each block's input alone for the gradient and compute the rest
      of it again: less memory, one more forward pass, the same numbers.
  """

  weights: str = ""
  head_blocks: tuple[int, ...] = (5, 14, 17)
  pool: int = 4
  hidden: int = 256
  dropout: float = 0.0
  remat: bool = False

  # Mean and standard deviation of ImageNet, of 0..255.
  pixels = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))

  def __post_init__(self):
    pretrained.check_name(self.weights, ())
    spatial.check_options(self.head_blocks, NUM_BLOCKS, self.pool, self.hidden)
    layers.check_rate("dropout", self.dropout)

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
    spatial.check_image("convnext_tiny", image_shape, 32)
    return _ConvNeXt(self, num_outputs, dtype, rngs)

  def foreign(self) -> pretrained.Foreign | None:
    """Its weights' file and the names in it; None for random weights."""
    if not self.weights:
      return None
    left_out = _PLACES[self.head_blocks[-1] + 1 :]
    dropped = [f"stages.{stage}.blocks.{i}." for stage, i in left_out]
    dropped += [f"stages.{s}.downsample." for s, i in left_out if i == 0]
    return pretrained.Foreign(self.weights, _name_in_timm, ("head.", *dropped))


def _name_in_timm(path: tuple[str, ...]) -> str:
  leaf = pretrained.LEAVES[path[-1]]
  if path[0] == "stem":
    return f"stem.{'0' if path[1] == 'conv' else '1'}.{leaf}"
  stage, i = _PLACES[int(path[0].removeprefix("block"))]
  if path[1] == "gamma":
    return f"stages.{stage}.blocks.{i}.gamma"
  return f"stages.{stage}.{_IN_TIMM[path[1]].format(i)}.{leaf}"
