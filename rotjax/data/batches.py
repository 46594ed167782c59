"""The order in which examples are seen: a pure function of (seed, step)."""

from collections.abc import Callable
import functools

import numpy as np


@functools.lru_cache(maxsize=64)
def _orders(num_examples: int, seed: int) -> Callable[[int], np.ndarray]:
  """Epoch -> its order; of each seed the last two, which a step may span."""

  @functools.lru_cache(maxsize=2)
  def order(epoch):
    rng = np.random.default_rng((seed, epoch))
    return rng.permutation(num_examples).astype(np.int32)

  return order


def indices(
  num_examples: int, batch_size: int, seed: int, step: int
) -> np.ndarray:
  """Dataset indices `[batch_size]` of one step.

  Epochs are independent permutations laid end to end, and batches are cut
  across their boundaries: every batch is full, every example is seen equally
  often, and resuming needs only the step.
  """
  position = np.arange(step * batch_size, (step + 1) * batch_size)
  epoch, place = np.divmod(position, num_examples)
  taken = [
    _orders(num_examples, seed)(int(e))[place[epoch == e]]
    for e in np.unique(epoch)
  ]
  return np.concatenate(taken)


def batch(
  num_examples: int,
  batch_size: int,
  seeds: list[int],
  first_step: int,
  num_steps: int,
) -> dict[str, np.ndarray]:
  """What an executor's `run` takes for `num_steps` steps.

  Args:
    num_examples: size of the training set.
    batch_size: B.
    seeds: R of them, each with its own order.
    first_step: the state's step.
    num_steps: S.

  Returns:
    `index` and `slot` int32 `[S, R, B]`, `mask` bool of the same shape.
  """
  index = np.stack(
    [
      np.stack(
        [indices(num_examples, batch_size, seed, step) for seed in seeds]
      )
      for step in range(first_step, first_step + num_steps)
    ]
  )
  slot = np.broadcast_to(np.arange(batch_size, dtype=np.int32), index.shape)
  return {"index": index, "slot": slot, "mask": np.ones(index.shape, bool)}
