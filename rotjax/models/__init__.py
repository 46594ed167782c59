"""Backbones, one a file, behind two pure functions.

Only this folder imports flax.nnx. A backbone is a frozen dataclass whose
fields are the options of `config.model`, with a `module` method; to add one,
write it and add its line to `MODELS`, or name any installed class by its
dotted path in `config.model.name`.
"""

from collections.abc import Callable
import dataclasses
import inspect
import math
from typing import Any, Protocol

import flax.nnx as nnx
import jax
import jax.numpy as jnp

from rotjax import errors
from rotjax.models import keras_mnist, layers, polar, resnet, strided

MODELS = {
  "keras_mnist": keras_mnist.KerasMnist,
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


@dataclasses.dataclass(frozen=True)
class Model:
  """A network as two pure functions on dict pytrees.

  Attributes:
    init: `key -> (params, model_state)`.
    apply: `(params, model_state, images, *, train, keys, mask, axis_name) ->
      (outputs, model_state)`, see `layers.Context`; outputs are float32.
  """

  init: Callable[[jax.Array], tuple[Any, Any]]
  apply: Callable[..., tuple[jax.Array, Any]]


def build(
  backbone: Backbone,
  num_outputs: int,
  image_shape: tuple[int, int, int],
  dtype: jnp.dtype = jnp.float32,
  matmul_precision: str = "highest",
  turning: layers.Turning | None = None,
) -> Model:
  """Binds a backbone to its input and output sizes.

  Args:
    backbone: the options.
    num_outputs: width of the last linear layer, the head's.
    image_shape: `(H, W, C)` of the view.
    dtype: of the arithmetic; parameters stay float32, and outputs become it.
    matmul_precision: a key of `PRECISIONS`, of the products of float32.
    turning: how the outputs turn with the picture; None where they do not. A
      backbone that turns, too, takes it as the argument of that name.

  Returns:
    The two functions.
  """

  turns = "turning" in inspect.signature(backbone.module).parameters
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

  def apply(
    params,
    model_state,
    images,
    *,
    train=False,
    keys=None,
    mask=None,
    axis_name=None,
  ):
    # copy=True: inside value_and_grad the merged statistics may be mutated.
    module = nnx.merge(graph, params, model_state, copy=True)
    with jax.default_matmul_precision(matmul_precision):
      outputs = module(images, layers.Context(train, keys, mask, axis_name))
    _, _, rest = nnx.split(module, nnx.Param, ...)
    # Once for all heads: losses and densities need all the digits there are.
    return outputs.astype(jnp.float32), nnx.to_pure_dict(rest)

  # Compiled: eager initialisation dispatches every random draw by itself.
  return Model(jax.jit(init), apply)


def num_parameters(params: Any) -> int:
  """How many numbers are trained."""
  return sum(leaf.size for leaf in jax.tree.leaves(params))
