"""Training steps and networks for the benchmarks, without a dataset's files.

Built from the same parts as a run, on random pictures: what a step costs does
not depend on what they show. Imports neither TFDS, orbax nor matplotlib.
"""

from collections.abc import Callable
import contextlib
import dataclasses
from typing import Any
from unittest import mock

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from rotjax.config import base, load, resolve
from rotjax.data import batches
from rotjax.models import convolution, layers
from rotjax.run import experiment as experiment_lib
from rotjax.training import executors
from rotjax.training import step as step_lib

# The classic Keras MNIST network, turned about the canvas's middle: what every
# peer's own rotation does, too.
CLASSIC = {
  "model.name": "keras_mnist",
  "head.name": "vector",
  "head.loss": "cosine",
  "view.center": "canvas",
  "view.jitter": 0.0,
  "view.mask": "none",
  "view.fineness": 0.0,
  "optim.learning_rate": 1e-3,
  "optim.schedule": "constant",
  "optim.warmup": 0.0,
}


def classic(**overrides: Any) -> Any:
  """The config of the classic network; keyword `a__b` sets field `a.b`."""
  dotted = {key.replace("__", "."): value for key, value in overrides.items()}
  return resolve.apply(base.base(), CLASSIC | dotted)


def flagship(**overrides: Any) -> Any:
  """The config of the flagship; keyword `a__b` sets field `a.b`.

  With its source as it is: the programs compared turn the same pictures.
  """
  dotted = {key.replace("__", "."): value for key, value in overrides.items()}
  return resolve.apply(load.load("vonmises"), {"view.fineness": 0.0, **dotted})


def pictures(count: int, size: int = 28, channels: int = 1) -> np.ndarray:
  """Random uint8 `[count, size, size, channels]`."""
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (count, size, size, channels), np.uint8)


@dataclasses.dataclass(frozen=True)
class Still:
  """A view that does not turn: a step with it has no warp."""

  fineness = 0.0

  def sample(self, key, image, angles):
    """The picture as it is, and an angle drawn all the same."""
    return image.astype(jnp.float32) / 255, angles.draw(key)


def without_warp(
  built: experiment_lib.Experiment,
) -> experiment_lib.Experiment:
  """The same step on pictures as they are."""
  return dataclasses.replace(built, view=Still())


def _stock_max_pool(x, window, stride, padding):
  return lax.reduce_window(
    x,
    -jnp.inf,
    lax.max,
    (1, window, window, 1),
    (1, stride, stride, 1),
    padding,
  )


@contextlib.contextmanager
def stock_layers():
  """What is built meanwhile: `lax.conv`, `reduce_window`, seeds by `vmap`."""
  with (
    mock.patch.object(executors, "_better_in_turn", lambda *_: False),
    mock.patch.object(convolution, "conv2d", convolution.lax_conv2d),
    mock.patch.object(layers, "max_pool", _stock_max_pool),
  ):
    yield


def stepper(
  built: experiment_lib.Experiment,
  images: np.ndarray,
  *,
  num_seeds: int = 1,
  steps: int = 1,
  steps_per_call: int = 1,
  stock: bool = False,
) -> Callable[[], None]:
  """A call that trains, as a run on one device does that holds the images.

  Args:
    built: the experiment.
    images: `[N, H, W, C]` uint8.
    num_seeds: trained together.
    steps: of one call, a multiple of `steps_per_call`; it waits for the last
      one alone, as a run does.
    steps_per_call: scanned in one program.
    stock: with `stock_layers`.

  Returns:
    The call; compiled, for the layers are chosen while a step is traced.
  """
  layers_of = stock_layers if stock else contextlib.nullcontext
  with layers_of():
    executor = executors.build(
      "jit",
      built.make_step,
      built.config.batch_size,
      num_seeds,
      jax.devices()[:1],
    )
  resident = executor.place_images(images)
  seeds = np.arange(num_seeds, dtype=np.uint32)
  state = executor.place_state(
    executors.program.stack_seeds([built.init_state(int(s)) for s in seeds])
  )

  def call():
    nonlocal state
    for first in range(0, steps, steps_per_call):
      batch = batches.batch(
        len(images),
        built.config.batch_size,
        seeds.tolist(),
        first,
        steps_per_call,
      )
      state, _ = executor.run(state, resident, seeds, batch)
    jax.block_until_ready(state)

  with layers_of():
    call()
  return call


def view_only(
  built: experiment_lib.Experiment, images: np.ndarray
) -> Callable[[], None]:
  """A call that makes one batch's views and nothing else."""
  size = built.config.batch_size
  index = np.arange(size) % len(images)
  resident = jnp.asarray(images)
  slot = jnp.arange(size)

  @jax.jit
  def run(resident, index, step):
    keys, _ = step_lib.example_keys(0, step, slot)
    return jax.vmap(lambda k, i: built.view.sample(k, i, built.angles))(
      keys, resident[index]
    )

  return lambda: jax.block_until_ready(run(resident, index, 0))
