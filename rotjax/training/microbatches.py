"""A batch in parts, one after another: the gradient of the whole, less memory.

Memory holds the activations of one part at a time. A step stays one update of
one batch of `batch_size` images: schedule, averages, `num_steps` and every draw
are what they are without parts, and losses and gradients are sums over the
whole batch, divided by its count once.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp

from rotjax import errors

_PER_EXAMPLE = ("image", "slot", "mask", "known_deg")


def _split(x: jax.Array, number: int) -> jax.Array:
  """`[B, ...]` -> `[number, B / number, ...]`: every so many-th example.

  Of neighbours in a batch each is in another part, so that devices that share
  the batch share every part, too, and nothing moves between them.
  """
  return jnp.moveaxis(x.reshape(-1, number, *x.shape[1:]), 1, 0)


def gradient(
  of_part: Callable[[dict], tuple[tuple[jax.Array, Any], Any]],
  batch: dict[str, jax.Array],
  number: int,
) -> tuple[tuple[jax.Array, Any], Any]:
  """The gradient of a batch, from those of its parts.

  Args:
    of_part: a batch -> ((its share of the loss, per-example results), its share
      of the gradient).
    batch: see `step.Batch`.
    number: of parts.

  Returns:
    As `of_part` of the batch; the results have a leading axis of parts where
    there are several.
  """
  if number == 1:  # a loop of one still costs 10x on CPU backends
    return of_part(batch)
  rest = {k: v for k, v in batch.items() if k not in _PER_EXAMPLE}
  parts = {k: _split(v, number) for k, v in batch.items() if k in _PER_EXAMPLE}

  def add(sums, part):
    (loss, results), grads = of_part({**rest, **part})
    return jax.tree.map(jnp.add, sums, (loss, grads)), results

  first = {k: v[0] for k, v in parts.items()}
  (loss, _), grads = jax.eval_shape(of_part, {**rest, **first})
  zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), (loss, grads))
  (loss, grads), results = lax.scan(add, zeros, parts)
  return (loss, results), grads


def check_statistics(number: int, before: Any, after: Any) -> None:
  """Refuses parts where a model's state changes in training.

  Args:
    number: of parts.
    before: the state, traced.
    after: what the network made of it.

  Raises:
    UserError: of several parts each would be normalised by its own statistics,
      another network than that of the whole batch.
  """
  pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after))
  if number > 1 and any(a is not b for a, b in pairs):
    raise errors.UserError(
      f"microbatches = {number}: this network is normalised by the statistics"
      " of its batch, and those of a part are others: set microbatches=1, or"
      " take a norm without them (model.norm=group)"
    )
