"""A pretrained backbone of three small stages, for tests of fine-tuning."""

import dataclasses

import flax.nnx as nnx
import jax

from rotjax.models import layers

STAGES = ("first", "second", "third")


class _Stage(nnx.Module):
  def __init__(self, features_in, rngs):
    self.conv = layers.Conv(features_in, 6, 3, stride=2, rngs=rngs)
    self.norm = layers.BatchNorm(6)

  def __call__(self, x, context):
    return jax.nn.relu(self.norm(self.conv(x), context))


class _Network(nnx.Module):
  def __init__(self, num_outputs, rngs):
    for i, stage in enumerate(STAGES):
      setattr(self, stage, _Stage(3 if i == 0 else 6, rngs))
    self.out = layers.Dense(6, num_outputs, rngs=rngs)

  def features(self, x, context):
    for stage in STAGES:
      x = getattr(self, stage)(x, context.of(stage))
    return x.mean((1, 2))

  def head(self, features, context):
    del context
    return self.out(features)

  def __call__(self, x, context):
    return self.head(self.features(x, context), context)


@dataclasses.dataclass(frozen=True)
class Backbone:
  """A pretrained backbone of three small stages with batch statistics."""

  pixels = ((127.0,) * 3, (128.0,) * 3)
  stages = STAGES

  def module(self, num_outputs, image_shape, dtype, rngs):
    return _Network(num_outputs, rngs)

  def foreign(self):
    return None
