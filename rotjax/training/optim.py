"""Optimizers and learning-rate schedules, all by config.

An optimizer is a frozen dataclass whose fields are the options of
`config.optim`; to add one, add a class and its line in `OPTIMIZERS`.
"""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax

from rotjax import errors

SCHEDULES = ("constant", "cosine", "linear")


def _promoting(function: Callable[..., Any]) -> Callable[..., Any]:
  """The same where a user's jax is strict about types: optax is not."""

  @functools.wraps(function)
  def call(*args, **kwargs):
    with jax.numpy_dtype_promotion("standard"):
      return function(*args, **kwargs)

  return call


@dataclasses.dataclass(frozen=True)
class Optimizer:
  """What every optimizer has.

  Attributes:
    learning_rate: the peak.
    schedule: after the warm-up "constant", or down to zero at the last step
      along a "cosine" or a "linear" ramp.
    warmup: share of the steps over which the rate rises from zero.
    clip_norm: global gradient norm above which gradients are scaled; 0: off.
    ema_decay: decay of the exponential moving average of the parameters and
      the batch statistics, which evaluation then uses; 0: off.
    freeze: the last stage of a pretrained backbone that is not trained: with
      all before it, it stays as it is, its batch statistics included ("block4";
      the stages of a model are in its file). "all" freezes them all; "" none.
    backbone_rate: factor of the learning rate for the pretrained stages.
    layer_decay: a further factor from each of them to the one before, so that
      what is nearest to the image moves the least.
  """

  learning_rate: float = 1e-3
  schedule: str = "cosine"
  warmup: float = 0.05
  clip_norm: float = 0.0
  ema_decay: float = 0.0
  freeze: str = ""
  backbone_rate: float = 1.0
  layer_decay: float = 1.0

  def __post_init__(self):
    errors.choose("optim.schedule", self.schedule, SCHEDULES)
    _check_positive("learning_rate", self.learning_rate)
    if not 0 <= self.clip_norm < float("inf"):
      raise errors.UserError(
        f"optim.clip_norm = {self.clip_norm} must be positive, or 0 for none"
      )
    errors.check_share("optim.warmup", self.warmup)
    errors.check_share("optim.ema_decay", self.ema_decay)
    _check_positive("backbone_rate", self.backbone_rate)
    if not 0 < self.layer_decay <= 1:
      raise errors.UserError(
        f"optim.layer_decay = {self.layer_decay} must be above 0 and at most 1"
      )

  def schedule_fn(self, num_steps: int) -> optax.Schedule:
    """Step -> learning rate over a run of `num_steps`."""
    warm = round(self.warmup * num_steps)
    rest = max(num_steps - warm, 1)
    after = {
      "constant": optax.constant_schedule(self.learning_rate),
      "cosine": optax.cosine_decay_schedule(self.learning_rate, rest),
      "linear": optax.linear_schedule(self.learning_rate, 0.0, rest),
    }[self.schedule]
    if not warm:
      return _promoting(after)
    rise = optax.linear_schedule(0.0, self.learning_rate, warm)
    return _promoting(optax.join_schedules([rise, after], [warm]))

  def rule(self, schedule: optax.Schedule) -> optax.GradientTransformation:
    """The update rule itself, without clipping."""
    raise TypeError(f"{type(self).__name__} states no update rule")

  def transformation(self, num_steps: int) -> optax.GradientTransformation:
    """Clipping and the update rule for a run of `num_steps`."""
    rule = self.rule(self.schedule_fn(num_steps))
    if self.clip_norm:
      rule = optax.chain(optax.clip_by_global_norm(self.clip_norm), rule)
    return optax.GradientTransformation(
      _promoting(rule.init), _promoting(rule.update)
    )


def _check_positive(field: str, value: float) -> None:
  if not 0 < value < float("inf"):
    raise errors.UserError(f"optim.{field} = {value} must be positive")


def _kernels_only(params):
  # Decaying biases and norm scales only moves the solution.
  return jax.tree.map(lambda p: jnp.ndim(p) > 1, params)


@dataclasses.dataclass(frozen=True)
class Adam(Optimizer):
  """Adam (Kingma & Ba 2015); AdamW where `weight_decay` > 0, kernels only.

  Attributes:
    b1: decay of the average of the gradients.
    b2: decay of the average of their squares.
    eps: added to the root of that average, which it divides by.
    weight_decay: decoupled, times the learning rate; of kernels only; 0: off.
  """

  b1: float = 0.9
  b2: float = 0.999
  eps: float = 1e-8
  weight_decay: float = 0.0

  def __post_init__(self):
    super().__post_init__()
    errors.check_share("optim.b1", self.b1)
    errors.check_share("optim.b2", self.b2)
    _check_positive("eps", self.eps)
    errors.check_range("optim.weight_decay", self.weight_decay, 0, 1e6)

  def rule(self, schedule: optax.Schedule) -> optax.GradientTransformation:
    return optax.adamw(
      schedule,
      self.b1,
      self.b2,
      self.eps,
      weight_decay=self.weight_decay,
      mask=_kernels_only,
    )


@dataclasses.dataclass(frozen=True)
class Sgd(Optimizer):
  """Stochastic gradient descent with (Nesterov) momentum.

  Attributes:
    momentum: decay of the sum of the gradients; 0: plain descent.
    nesterov: whether the gradient counts once more, ahead of the momentum.
  """

  learning_rate: float = 0.1
  momentum: float = 0.9
  nesterov: bool = False

  def __post_init__(self):
    super().__post_init__()
    errors.check_share("optim.momentum", self.momentum)
    if self.nesterov and not self.momentum:
      raise errors.UserError(
        "optim.nesterov = True has no effect where optim.momentum = 0"
      )

  def rule(self, schedule: optax.Schedule) -> optax.GradientTransformation:
    return optax.sgd(schedule, self.momentum or None, self.nesterov)


@dataclasses.dataclass(frozen=True)
class Adadelta(Optimizer):
  """Adadelta (Zeiler 2012) with the constants of Keras' MNIST example.

  Attributes:
    rho: decay of the averages of squared gradients and squared updates.
    eps: added to both averages.
  """

  learning_rate: float = 1.0
  schedule: str = "constant"
  warmup: float = 0.0
  rho: float = 0.95
  eps: float = 1e-7

  def __post_init__(self):
    super().__post_init__()
    errors.check_share("optim.rho", self.rho)
    _check_positive("eps", self.eps)

  def rule(self, schedule: optax.Schedule) -> optax.GradientTransformation:
    return optax.adadelta(schedule, self.rho, self.eps)


OPTIMIZERS = {"adadelta": Adadelta, "adam": Adam, "sgd": Sgd}
