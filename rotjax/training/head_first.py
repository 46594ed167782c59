"""The new layers first, on features of the pretrained part, computed once.

Under a random head the pretrained layers would first be pulled the wrong way.
Each image is seen in a few random views; what the frozen backbone makes of them
is kept in memory, and the new layers are trained on that, quickly.
"""

from collections.abc import Callable
import dataclasses
import logging
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rotjax import angles as angles_lib
from rotjax import errors, heads, models
from rotjax.training import fine_tuning, optim
from rotjax.training import step as step_lib

# No step has this number: the views are others than those of the run's steps.
_BEFORE_ALL_STEPS = np.uint32(2**32 - 1)
_TOLD = 10  # lines in the log

_log = logging.getLogger("rotjax")


@dataclasses.dataclass(frozen=True)
class HeadFirst:
  """Before the first step the new layers alone are trained.

  Attributes:
    views: random views of each training image; 0 leaves it out.
    epochs: passes over their features, in batches of `batch_size`.
    learning_rate: the peak of the optimizer's schedule over these passes.
    max_mb: the features take no more than so many MB (2**20 bytes); there are
      fewer views where they would.
  """

  views: int = 0
  epochs: int = 20
  learning_rate: float = 1e-3
  max_mb: int = 1024

  def __post_init__(self):
    errors.check_range("head_first.views", self.views, 0, 1000)
    errors.check_range("head_first.epochs", self.epochs, 1, 10_000)
    errors.check_range("head_first.max_mb", self.max_mb, 1, 2**20)
    if not 0 < self.learning_rate < float("inf"):
      raise errors.UserError(
        f"head_first.learning_rate = {self.learning_rate} must be positive"
      )


@dataclasses.dataclass(frozen=True)
class Parts:
  """What a run is made of; see `run.experiment.Experiment`.

  Attributes:
    view: what has the `sample` of a `view.View`, for the split's images.
  """

  view: Any
  angles: angles_lib.Angles
  model: models.Model
  head: heads.Head
  optimizer: optim.Optimizer
  batch_size: int


def check(options: HeadFirst, model: models.Model) -> None:
  """Raises UserError where a model has nothing to train the head on."""
  if options.views and model.features is None:
    raise errors.UserError(
      f"head_first.views = {options.views} is about a pretrained backbone, and"
      " this model.name has none: set it to 0, or take"
      " model.name=efficientnet_lite0 or convnext_tiny"
    )


def train(
  options: HeadFirst,
  state: step_lib.TrainState,
  seed: int,
  split: Any,
  parts: Parts,
  told: Callable[[], None] = lambda: None,
) -> step_lib.TrainState:
  """A fresh state whose new layers have been trained; its step is still 0.

  Args:
    options: with views.
    state: before the first step.
    seed: of the views and of their order.
    split: what is trained on.
    parts: of the run.
    told: called between batches; may raise to stop.

  Raises:
    UserError: the model has no pretrained part.
    errors.Stopped: from `told`; nothing is kept.
  """
  check(options, parts.model)
  features, theta = _cache(options, state, seed, split, parts, told)
  params = _fit(options, state, seed, features, theta, parts, told)
  if state.ema_params is None:
    return state.replace(params=params)
  return state.replace(params=params, ema_params=jax.tree.map(jnp.copy, params))


def _cache(options, state, seed, split, parts, told):
  """The features `[n, D]` of random views, float16, and their theta `[n]`."""
  view, angles, model = parts.view, parts.angles, parts.model

  @jax.jit
  def see(params, model_state, images, known_deg, rows):
    keys, _ = step_lib.example_keys(seed, _BEFORE_ALL_STEPS, rows)
    shown, angle_deg = jax.vmap(lambda k, i: view.sample(k, i, angles))(
      keys, images
    )
    features, _ = model.features(params, model_state, shown)
    # Half of the memory, and still more digits than the layers can use.
    return features.astype(jnp.float16), angles.to_theta(angle_deg + known_deg)

  size = min(parts.batch_size, len(split))
  images = jax.ShapeDtypeStruct((size, *split.shape), np.uint8)
  deg = jax.ShapeDtypeStruct((size,), np.float32)
  rows = jax.ShapeDtypeStruct((size,), np.int32)
  shapes = jax.eval_shape(
    see, state.params, state.model_state, images, deg, rows
  )
  width = shapes[0].shape[1]
  fits = options.max_mb * 2**20 // (width * 2)
  count = max(min(options.views * len(split), fits), size)
  _log.info(
    "head first: the features of %d views of %d images, %d MB",
    *(count, len(split), count * width * 2 // 2**20),
  )
  features = np.empty((count, width), np.float16)
  theta = np.empty(count, np.float32)
  order = np.random.default_rng((seed, 0)).permutation(len(split))
  known = split.angle_deg
  for start in range(0, count, size):
    told()
    # The last batch is a whole one, too: one program, and no row is lost.
    at = np.arange(min(start, count - size), min(start + size, count))
    index = order[at % len(split)]
    images = split.__getitems__(index)["image"]
    turned = np.zeros(size) if known is None else known[index]
    features[at], theta[at] = see(
      state.params,
      state.model_state,
      images,
      np.float32(turned),
      np.int32(at),
    )
    if start * _TOLD // count != (start + size) * _TOLD // count:
      _log.info("head first: %d of %d views", at[-1] + 1, count)
  return features, theta


def _fit(options, state, seed, features, theta, parts, told):
  """The parameters with new layers that have been trained on the features."""
  size = min(parts.batch_size, len(theta))
  per_epoch = len(theta) // size
  num_steps = options.epochs * per_epoch
  optimizer = dataclasses.replace(
    parts.optimizer,
    learning_rate=options.learning_rate,
    freeze=fine_tuning.ALL,
    ema_decay=0.0,
  )
  plan = fine_tuning.plan(optimizer, parts.model.stages)
  transformation = plan.transformation(num_steps)

  @jax.jit
  def step(trained, opt_state, number, seen, theta, rows):
    _, keys = step_lib.example_keys(seed, _BEFORE_ALL_STEPS - number, rows)

    def loss_fn(trained):
      outputs, _ = parts.model.head(
        plan.whole(trained, like=state.params),
        state.model_state,
        seen.astype(jnp.float32),
        train=True,
        keys=keys,
      )
      return parts.head.loss(outputs, theta).astype(jnp.float32).mean()

    loss, grads = jax.value_and_grad(loss_fn)(trained)
    updates, opt_state = transformation.update(grads, opt_state, trained)
    return optax.apply_updates(trained, updates), opt_state, loss

  trained = plan.trained(state.params)
  opt_state = transformation.init(trained)
  random = np.random.default_rng((seed, 1))
  number = 0
  for epoch in range(options.epochs):
    order, losses = random.permutation(len(theta)), []
    for i in range(per_epoch):
      told()
      at = order[i * size : (i + 1) * size]
      trained, opt_state, loss = step(
        trained,
        opt_state,
        np.uint32(number),
        features[at],
        theta[at],
        np.int32(at),
      )
      losses.append(loss)
      number += 1
    loss = float(np.mean(jax.device_get(losses)))
    _check_finite(loss, epoch)
    _log.info("head first: epoch %d, loss %.4f", epoch + 1, loss)
  return plan.whole(jax.device_get(trained), like=state.params)


def _check_finite(loss, epoch):
  if not np.isfinite(loss):
    raise errors.UserError(
      f"the loss is not finite in epoch {epoch + 1} of the head: lower"
      " head_first.learning_rate"
    )
