"""The order of the examples: a pure function of (seed, step)."""

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from rotjax.data import batches


def first(num_examples, batch_size, seed, num_steps):
  return np.stack(
    [
      batches.indices(num_examples, batch_size, seed, step)
      for step in range(num_steps)
    ]
  )


@hypothesis.given(
  num_examples=st.integers(1, 40),
  batch_size=st.integers(1, 60),
  seed=st.integers(0, 2**31),
  epochs=st.integers(1, 4),
)
def test_property_every_epoch_holds_every_example_once(
  num_examples, batch_size, seed, epochs
):
  num_steps = -(-epochs * num_examples // batch_size)
  order = first(num_examples, batch_size, seed, num_steps)
  # Full batches, also across the ends of epochs and for batches larger than
  # the set.
  assert order.shape == (num_steps, batch_size)
  assert order.dtype == np.int32
  laid_out = order.ravel()[: epochs * num_examples]
  for epoch in laid_out.reshape(epochs, num_examples):
    np.testing.assert_array_equal(np.sort(epoch), np.arange(num_examples))


def test_examples_are_seen_equally_often_at_any_step():
  seen = np.bincount(first(50, 16, 3, 20).ravel(), minlength=50)
  assert set(seen) <= {6, 7} and seen.sum() == 320


def test_a_step_is_a_pure_function_of_seed_and_step():
  expected = first(30, 8, 5, 40)
  # Out of order and after other seeds have been through the cache.
  for step in (39, 0, 17, 17, 3):
    for other in range(100):
      batches.indices(30, 8, 1000 + other, step)
    got = batches.indices(30, 8, 5, step)
    np.testing.assert_array_equal(got, expected[step])
    got[:] = -1  # A caller who writes into it must not change the next one.
    np.testing.assert_array_equal(
      batches.indices(30, 8, 5, step), expected[step]
    )


def test_seeds_and_epochs_have_orders_of_their_own():
  orders = [first(60, 60, seed, 3) for seed in range(4)]
  epochs = np.concatenate(orders)
  assert len({epoch.tobytes() for epoch in epochs}) == 12
  # Shuffled: not the order on disk, nor a rotation of it.
  for epoch in epochs:
    assert np.sum(np.diff(epoch) % 60 == 1) < 10


def test_orders_do_not_change_between_releases():
  # A run resumed under a later release must go on with the same epoch.
  np.testing.assert_array_equal(
    batches.indices(10, 6, 0, 0), [4, 6, 2, 7, 3, 5]
  )
  np.testing.assert_array_equal(
    batches.indices(10, 6, 0, 1), [9, 0, 8, 1, 9, 1]
  )


@pytest.mark.parametrize("num_steps", (1, 3))
def test_a_batch_for_several_seeds_and_steps(num_steps):
  seeds = [4, 9]
  got = batches.batch(20, 8, seeds, first_step=5, num_steps=num_steps)
  assert set(got) == {"index", "slot", "mask"}
  assert all(v.shape == (num_steps, 2, 8) for v in got.values())
  assert got["index"].dtype == got["slot"].dtype == np.int32
  assert got["mask"].dtype == bool and got["mask"].all()
  for s in range(num_steps):
    for r, seed in enumerate(seeds):
      np.testing.assert_array_equal(
        got["index"][s, r], batches.indices(20, 8, seed, 5 + s)
      )
      np.testing.assert_array_equal(got["slot"][s, r], np.arange(8))
