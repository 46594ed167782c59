"""The train step: one pure function from a state and a batch to the next.

Every random draw derives from (seed, step, slot), where the slot is the
example's place in the global batch: nothing else is needed to resume, and no
draw depends on how many devices or processes share the batch.
"""

from collections.abc import Callable, Iterable
import dataclasses
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp
import optax

from rotjax import angles as angles_lib
from rotjax import heads, models
from rotjax.image import view as view_lib
from rotjax.training import fine_tuning, optim
from rotjax.training import microbatches as microbatches_lib


@jax.tree_util.register_pytree_with_keys_class
@dataclasses.dataclass(frozen=True)
class TrainState:
  """Everything that changes during training: a pytree without functions.

  Attributes:
    step: int32, updates done.
    params: of the model.
    model_state: batch statistics.
    opt_state: of optax.
    ema_params: moving average of `params`; None where it is off.
    ema_model_state: that of `model_state`, which does not fit averaged
      parameters by itself; None where either is missing.
  """

  step: jax.Array
  params: Any
  model_state: Any
  opt_state: Any
  ema_params: Any = None
  ema_model_state: Any = None

  replace = dataclasses.replace

  @property
  def eval_params(self) -> Any:
    """The parameters that evaluation uses."""
    return self.params if self.ema_params is None else self.ema_params

  @property
  def eval_model_state(self) -> Any:
    """The batch statistics that go with them."""
    averaged = self.ema_model_state is not None
    return self.ema_model_state if averaged else self.model_state

  def tree_flatten_with_keys(self) -> tuple[list[Any], tuple[str, ...]]:
    """Children by name.

    A state without averaged statistics has no place for them: its checkpoints
    are those from before there were any.
    """
    names = [field.name for field in dataclasses.fields(self)]
    if self.ema_model_state is None:
      names.remove("ema_model_state")
    key = jax.tree_util.GetAttrKey
    return [(key(n), getattr(self, n)) for n in names], tuple(names)

  @classmethod
  def tree_unflatten(
    cls, names: tuple[str, ...], children: Iterable[Any]
  ) -> "TrainState":
    """The inverse."""
    return cls(**dict(zip(names, children)))


# {"image": uint8 [B, H, W, C], "slot": int32 [B], "mask": bool [B],
#  "seed": uint32}: a training batch. Images that are turned already bring
# {"known_deg": float32 [B]}, by how much; in a job of several processes there
# is also {"stop": bool [B]}, whether that of these examples was told to stop.
Batch = dict[str, jax.Array]
TrainStep = Callable[[TrainState, Batch], tuple[TrainState, dict]]


def example_keys(
  seed: jax.Array, step: jax.Array, slot: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Keys `[B]` for the view and `[B]` for the network, one of each a slot."""
  key = jax.random.fold_in(jax.random.key(seed), step)
  keys = jax.vmap(lambda s: jax.random.fold_in(key, s))(slot)
  pairs = jax.vmap(jax.random.split)(keys)
  return pairs[:, 0], pairs[:, 1]


def _computed_once(always: jax.Array, make: Callable[[], Any]) -> Any:
  """`make()`, kept from being fused into what reads it.

  XLA's CPU backend copies a cheap-looking producer into each of its readers:
  the view, into all nine taps of the first convolution, forwards and again
  backwards, which doubled the step. It drops `optimization_barrier` first; a
  branch on a value known only at run time is what it cannot see through.
  """

  def branch(always):
    def zeros():
      shapes = jax.eval_shape(make)
      return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

    return lax.cond(always, make, zeros)

  return lax.platform_dependent(
    always, cpu=branch, default=lambda always: make()
  )


def _average(before: Any, now: Any, decay: jax.Array) -> Any:
  """One step of the moving average of a tree; what only counts is taken."""

  def leaf(old, new):
    if jnp.issubdtype(new.dtype, jnp.inexact):
      return decay.astype(new.dtype) * old + (1 - decay).astype(new.dtype) * new
    return new

  return jax.tree.map(leaf, before, now)


def init_state(
  model: models.Model,
  optimizer: optim.Optimizer,
  num_steps: int,
  seed: int,
  pretrained: bool = True,
) -> TrainState:
  """The state before the first step.

  Args:
    model: the network.
    optimizer: its options.
    num_steps: of the whole run.
    seed: of the parameters.
    pretrained: False leaves the file of a pretrained backbone unread, and
      draws its parameters.

  Returns:
    A state on the default device.

  Raises:
    UserError: see `fine_tuning.plan`; or that file is not there, or not what it
      should be.
  """
  plan = fine_tuning.plan(optimizer, model.stages)
  key = jax.random.key(seed)
  read = model.read_weights if pretrained else None
  params, model_state = (
    jax.tree.map(jnp.asarray, read(key)) if read else model.init(key)
  )
  averages = [
    jax.tree.map(jnp.copy, tree)
    if optimizer.ema_decay and jax.tree.leaves(tree)
    else None
    for tree in (params, model_state)
  ]
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    params=params,
    model_state=model_state,
    opt_state=plan.transformation(num_steps).init(plan.trained(params)),
    ema_params=averages[0],
    ema_model_state=averages[1],
  )


def make_train_step(
  view: view_lib.View,
  angles: angles_lib.Angles,
  model: models.Model,
  head: heads.Head,
  optimizer: optim.Optimizer,
  num_steps: int,
  axis_name: str | None = None,
  metrics_every: int = 1,
  gather: Callable[[Any], Any] = lambda params: params,
  microbatches: int = 1,
) -> TrainStep:
  """Builds the pure step.

  Args:
    view: with its centre resolved.
    angles: the training distribution.
    model: the network.
    head: the meaning of its outputs.
    optimizer: the update rule.
    num_steps: of the whole run, for the schedule.
    axis_name: the mapped axis that the batch is spread over under pmap; None
      under jit, where the global sums are implied.
    metrics_every: outputs are decoded every so many steps alone: reading the
      mode of a mixture off a grid costs half of a small network's step.
    gather: the parameters -> the same, in the form that the network reads them
      in, where an executor keeps parts of them on each device.
    microbatches: parts of the batch, computed one after another.

  Returns:
    `step(state, batch) -> (state, metrics)` with scalars `loss`, `mae_deg`
    (infinite in between), `grad_norm`, `learning_rate` and `finite`.

  Raises:
    UserError: see `fine_tuning.plan`; the step itself, when it is traced, see
      `microbatches.check_statistics`.
  """
  plan = fine_tuning.plan(optimizer, model.stages)
  transformation = plan.transformation(num_steps)
  schedule = optimizer.schedule_fn(num_steps)

  def total(x):
    return lax.psum(x, axis_name) if axis_name else x

  def train_step(state, batch):
    # Divided last: per-device means would weigh ragged shards wrongly.
    count = total(batch["mask"].sum(dtype=jnp.float32))
    before = plan.trained(state.params)

    def of_part(part):
      view_keys, model_keys = example_keys(
        part["seed"], state.step, part["slot"]
      )
      images, angle_deg = _computed_once(
        state.step >= 0,
        lambda: jax.vmap(lambda k, i: view.sample(k, i, angles))(
          view_keys, part["image"]
        ),
      )
      theta = angles.to_theta(angle_deg + part.get("known_deg", 0.0))
      mask = part["mask"]

      def loss_fn(trained):
        outputs, model_state = model.apply(
          gather(plan.whole(trained, like=state.params)),
          state.model_state,
          images,
          train=True,
          keys=model_keys,
          mask=mask,
          axis_name=axis_name,
          frozen=plan.frozen,
        )
        # Under a user's x64 one-hot targets are float64.
        losses = head.loss(outputs, theta).astype(jnp.float32)
        losses = jnp.where(mask, losses, 0.0)
        microbatches_lib.check_statistics(
          microbatches, state.model_state, model_state
        )
        return losses.sum() / count, (outputs, theta, mask, model_state)

      return jax.value_and_grad(loss_fn, has_aux=True)(before)

    (loss, results), grads = microbatches_lib.gradient(
      of_part, batch, microbatches
    )
    outputs, theta, mask, model_state = results
    if microbatches > 1:  # then it does not change
      model_state = state.model_state
    # Each device holds the gradient of its share of the global mean.
    grads = total(grads)
    updates, opt_state = transformation.update(grads, state.opt_state, before)
    params = plan.whole(optax.apply_updates(before, updates), like=state.params)
    # Warmed up: the average of the first steps is not the initialisation.
    decay = jnp.minimum(
      optimizer.ema_decay, (1 + state.step) / (10 + state.step)
    )
    averages = [
      # Of what is trained: rounding would move an average of constants.
      average
      and plan.whole(
        _average(plan.trained(average), plan.trained(now), decay), like=now
      )
      for average, now in (
        (state.ema_params, params),
        (state.ema_model_state, model_state),
      )
    ]

    # Summed outside: a branch must hold no all-reduce, whose order among the
    # others devices would not agree upon.
    error = lax.cond(
      (state.step + 1) % metrics_every == 0,
      lambda: jnp.abs(
        angles_lib.difference(head.decode(outputs).astype(theta.dtype), theta)
      ),
      lambda: jnp.full_like(theta, jnp.inf),  # NaN would stop jax_debug_nans
    )
    error = angles.to_degrees(jnp.where(mask, error, 0.0))
    grad_norm = optax.tree.norm(grads)
    loss = total(loss)
    metrics = {
      "loss": loss,
      "mae_deg": total(error.sum()) / count,
      "grad_norm": grad_norm,
      "learning_rate": jnp.asarray(schedule(state.step), jnp.float32),
      "finite": jnp.isfinite(loss) & jnp.isfinite(grad_norm),
    }
    if "stop" in batch:
      metrics["stop"] = total(batch["stop"].sum()) > 0
    state = TrainState(
      state.step + 1, params, model_state, opt_state, *averages
    )
    return state, metrics

  return train_step
