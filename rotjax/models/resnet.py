"""ResNet-18 and ResNet-50 (He et al. 2016), with group or batch norm."""

import dataclasses

import flax.nnx as nnx
import jax
import jax.numpy as jnp

from rotjax import errors
from rotjax.models import layers


class _Block(nnx.Module):
  """Two 3x3 convolutions, or 1x1-3x3-1x1 where `bottleneck`."""

  def __init__(self, features_in, features, stride, options, common):
    norm = layers.NORMS[options.norm]
    out = features * (4 if options.bottleneck else 1)
    if options.bottleneck:
      plan = [(features, 1, 1), (features, 3, stride), (out, 1, 1)]
    else:
      plan = [(features, 3, stride), (features, 3, 1)]
    self.depth, width = len(plan), features_in
    for i, (size, kernel, step) in enumerate(plan):
      conv = layers.Conv(width, size, kernel, stride=step, bias=False, **common)
      setattr(self, f"conv{i}", conv)
      setattr(self, f"norm{i}", norm(size))
      width = size
    # Each block starts as the identity (Goyal et al. 2017, section 5.1).
    last = getattr(self, f"norm{self.depth - 1}")
    last.scale[...] = last.scale[...] * 0
    self.projects = stride != 1 or features_in != out
    if self.projects:
      self.shortcut = layers.Conv(
        features_in, out, 1, stride=stride, bias=False, **common
      )
      self.shortcut_norm = norm(out)

  def __call__(self, x, context):
    y = x
    for i in range(self.depth):
      y = getattr(self, f"norm{i}")(getattr(self, f"conv{i}")(y), context)
      if i + 1 < self.depth:
        y = jax.nn.relu(y)
    if self.projects:
      x = self.shortcut_norm(self.shortcut(x), context)
    return jax.nn.relu(x + y)


class _ResNet(nnx.Module):
  def __init__(self, options, num_outputs, image_shape, dtype, rngs):
    common = dict(rngs=rngs, dtype=dtype)
    # Below 64 px the stem's two halvings would leave nothing to look at.
    self.small = min(image_shape[:2]) < 64
    kernel, stride = (3, 1) if self.small else (7, 2)
    self.stem = layers.Conv(
      image_shape[2], 64, kernel, stride=stride, bias=False, **common
    )
    self.stem_norm = layers.NORMS[options.norm](64)
    width, names = 64, []
    for stage, repeats in enumerate(options.stages):
      for i in range(repeats):
        features = 64 * 2**stage
        stride = 2 if stage > 0 and i == 0 else 1
        block = _Block(width, features, stride, options, common)
        names.append(f"stage{stage}_block{i}")
        setattr(self, names[-1], block)
        width = features * (4 if options.bottleneck else 1)
    self.names, self.remat = tuple(names), options.remat
    self.out = layers.last(width, num_outputs, rngs=rngs, scale=0.1)

  def __call__(self, x, context):
    x = jax.nn.relu(self.stem_norm(self.stem(x), context))
    if not self.small:
      x = layers.max_pool(x, 3, 2, "SAME")
    for name in self.names:
      x = layers.run_block(getattr(self, name), x, context, self.remat)
    return self.out(x.mean((1, 2)))


@dataclasses.dataclass(frozen=True)
class ResNet18:
  """Basic blocks, 2-2-2-2.

  Attributes:
    norm: "group" (no state, the same under every batch size) or "batch".
    stages: blocks in each stage.
    remat: keep each block's input alone for the gradient and compute the rest
      of it again: less memory, one more forward pass, the same numbers.
  """

  norm: str = "group"
  stages: tuple[int, ...] = (2, 2, 2, 2)
  remat: bool = False

  bottleneck = False

  def __post_init__(self):
    errors.choose("model.norm", self.norm, layers.NORMS)
    # Each stage doubles the channels.
    errors.check_range("the stages of model.stages", len(self.stages), 1, 6)
    layers.check_sizes("stages", self.stages, 100)

  def module(
    self,
    num_outputs: int,
    image_shape: tuple[int, int, int],
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
  ) -> nnx.Module:
    return _ResNet(self, num_outputs, image_shape, dtype, rngs)


@dataclasses.dataclass(frozen=True)
class ResNet50(ResNet18):
  """Bottleneck blocks, 3-4-6-3."""

  stages: tuple[int, ...] = (3, 4, 6, 3)

  bottleneck = True
