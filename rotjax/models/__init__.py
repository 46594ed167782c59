"""Backbones, one a file, behind two pure functions.

Only this folder imports flax.nnx. A backbone is a frozen dataclass whose
fields are the options of `config.model`, with a `module` method; to add one,
write it and add its line to `MODELS`, or name any installed class by its
dotted path in `config.model.name`.
"""

from collections.abc import Callable
import dataclasses
import math
from typing import Any, Protocol, runtime_checkable

import flax.nnx as nnx
import jax
import jax.numpy as jnp

from rotjax import errors
from rotjax.models import (
  convnext_tiny,
  efficientnet_lite0,
  keras_mnist,
  layers,
  local_statistics,
  polar,
  pretrained,
  resnet,
  strided,
)

MODELS = {
  "convnext_tiny": convnext_tiny.ConvNeXtTiny,
  "efficientnet_lite0": efficientnet_lite0.EfficientNetLite0,
  "keras_mnist": keras_mnist.KerasMnist,
  "local_statistics": local_statistics.LocalStatistics,
  "polar": polar.Polar,
  "resnet18": resnet.ResNet18,
  "resnet50": resnet.ResNet50,
  "strided": strided.Strided,
}

# How float32 numbers are multiplied, in jax's words: "highest" in float32,
# "high" with TF32 or three passes of bfloat16, "default" as the device likes
# best, TF32 on a GPU and one pass of bfloat16 on a TPU. A CPU knows float32.
PRECISIONS = ("highest", "high", "default")

# 32 GiB with gradients and Adam's moments; what int32 counts.
_LARGEST = 2**31 - 1


class Backbone(Protocol):
  """What `config.model` becomes."""

  def module(
    self,
    num_outputs: int,
    image_shape: tuple[int, int, int],
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
  ) -> Callable[[jax.Array, layers.Context], jax.Array]:
    """A module: `[N, H, W, C]`, context -> `[N, num_outputs]`."""


@runtime_checkable
class PretrainedBackbone(Backbone, Protocol):
  """A backbone for weights that were trained elsewhere.

  Its module has two more callables, `features(x, context)`, what the pretrained
  part gives, and `head(features, context)`, what is new; calling it is both.

  Attributes:
    stages: the first names of the pretrained parameters, in order of depth.
    pixels: mean and standard deviation of three channels, of 0..255: the module
      gets images so normalised, and grey ones as three channels.
  """

  pixels: tuple[tuple[float, ...], tuple[float, ...]]

  @property
  def stages(self) -> tuple[str, ...]: ...

  def foreign(self) -> pretrained.Foreign | None:
    """The weights' file and the names in it; None for random weights."""


@runtime_checkable
class TurningBackbone(Protocol):
  """A backbone whose outputs turn with the picture.

  Its `module` takes one argument more, `turning`, how they are to: None where
  the head's do not, which it may refuse.

  Attributes:
    most_turns: how often an output may turn as the picture turns once.
  """

  @property
  def most_turns(self) -> int: ...

  def module(
    self,
    num_outputs: int,
    image_shape: tuple[int, int, int],
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
    turning: layers.Turning | None,
  ) -> Callable[[jax.Array, layers.Context], jax.Array]: ...


@dataclasses.dataclass(frozen=True)
class Model:
  """A network as two pure functions on dict pytrees.

  Attributes:
    init: `key -> (params, model_state)`.
    apply: `(params, model_state, images, *, train, keys, mask, axis_name,
      frozen) -> (outputs, model_state)`, see `layers.Context`; outputs are
      float32.
    stages: the first names of the pretrained parameters, in order of depth; ()
      for a backbone without such.
    features: as `apply`, up to where the pretrained part ends: float32
      `[N, D]`; None without such a part.
    head: `features` -> `outputs`: as `apply` with `[N, D]` for images.
    foreign: the weights' file; None where there is none.
    read_weights: `key -> (params, model_state)` on the host, from that file
      and, what is new, as initialised; None without a file.
  """

  init: Callable[[jax.Array], tuple[Any, Any]]
  apply: Callable[..., tuple[jax.Array, Any]]
  stages: tuple[str, ...] = ()
  features: Callable[..., tuple[jax.Array, Any]] | None = None
  head: Callable[..., tuple[jax.Array, Any]] | None = None
  foreign: pretrained.Foreign | None = None
  read_weights: Callable[[jax.Array], tuple[Any, Any]] | None = None


def build(
  backbone: Backbone | TurningBackbone,
  num_outputs: int,
  image_shape: tuple[int, int, int],
  dtype: jnp.dtype = jnp.float32,
  matmul_precision: str = "highest",
  turning: layers.Turning | None = None,
  white: float = 1.0,
) -> Model:
  """Binds a backbone to its input and output sizes.

  Args:
    backbone: the options.
    num_outputs: width of the last linear layer, the head's.
    image_shape: `(H, W, C)` of the view.
    dtype: of the arithmetic; parameters stay float32, and outputs become it.
    matmul_precision: a key of `PRECISIONS`, of the products of float32.
    turning: how the outputs turn with the picture, for a `TurningBackbone`;
      None where they do not.
    white: the brightest pixel of its images, of `View.white`; counts for
      backbones with an input normalisation of their own.

  Returns:
    Its functions.

  Raises:
    UserError: an image that the backbone does not take, or too many parameters.
  """
  known = backbone if isinstance(backbone, PretrainedBackbone) else None
  if known:
    if image_shape[2] not in (1, 3):
      raise errors.UserError(
        f"images of {image_shape[2]} channels: this model takes grey (1) and"
        " red, green, blue (3)"
      )
    image_shape = (*image_shape[:2], 3)

  turns = isinstance(backbone, TurningBackbone)
  more = {"turning": turning} if turns else {}

  def create(key):
    rngs = nnx.Rngs(key)
    return backbone.module(num_outputs, image_shape, dtype, rngs, **more)

  abstract = nnx.eval_shape(lambda: create(jax.random.key(0)))
  graph, shapes, *_ = nnx.split(abstract, nnx.Param, ...)
  size = sum(math.prod(x.shape) for x in jax.tree.leaves(shapes))
  if size > _LARGEST:
    raise errors.UserError(
      f"model.* would have {size:,} parameters, more than {_LARGEST:,}, for"
      f" {num_outputs} outputs of an image {image_shape[0]} pixels high: lower"
      " its sizes, view.size or the head's outputs"
    )

  def init(key):
    _, params, rest = nnx.split(create(key), nnx.Param, ...)
    return nnx.to_pure_dict(params), nnx.to_pure_dict(rest)

  def normalized(images):
    if not known:
      return images
    mean, deviation = (
      jnp.asarray(values, images.dtype).reshape(1, 1, 1, 3)
      for values in known.pixels
    )
    return (images * (255 / white) - mean) / deviation

  def function(call):
    def apply(
      params,
      model_state,
      inputs,
      *,
      train=False,
      keys=None,
      mask=None,
      axis_name=None,
      frozen=(),
    ):
      # copy=True: inside value_and_grad the merged statistics may be mutated.
      module = nnx.merge(graph, params, model_state, copy=True)
      context = layers.Context(train, keys, mask, axis_name, frozen)
      with jax.default_matmul_precision(matmul_precision):
        outputs = call(module, inputs, context)
      _, _, rest = nnx.split(module, nnx.Param, ...)
      # Once for all heads: losses and densities need all the digits there are.
      return outputs.astype(jnp.float32), nnx.to_pure_dict(rest)

    return apply

  # Compiled: eager initialisation dispatches every random draw by itself.
  init = jax.jit(init)
  apply = function(lambda module, x, context: module(normalized(x), context))
  if not known:
    return Model(init, apply)
  stages, foreign = known.stages, known.foreign()

  @jax.jit
  def init_new(key):
    # What the file brings is not drawn: that alone takes seconds to compile.
    return [
      {name: below for name, below in tree.items() if name not in stages}
      for tree in init(key)
    ]

  def read(key):
    whole = jax.eval_shape(init, key)
    new = jax.device_get(init_new(key))
    params, model_state = (old | part for old, part in zip(whole, new))
    return pretrained.read(foreign, params, model_state, stages)

  return Model(
    init,
    apply,
    stages,
    function(
      lambda module, x, context: module.features(normalized(x), context)
    ),
    function(lambda module, x, context: module.head(x, context)),
    foreign,
    read if foreign else None,
  )


def num_parameters(params: Any) -> int:
  """How many numbers are trained."""
  return sum(leaf.size for leaf in jax.tree.leaves(params))
