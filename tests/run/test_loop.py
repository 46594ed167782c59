"""How many steps the loop takes in a call."""

import jax
import pytest

from rotjax.config import base, resolve
from rotjax.run import loop


@pytest.mark.parametrize(
  "overrides, resident, wanted",
  [
    # 2,000 steps, a row each 50, validation each 500, a save each 1,000.
    ({}, True, 25),
    ({"log.every_steps": 64, "num_steps": 1024}, True, 4),
    ({"eval.every_steps": 0, "log.every_steps": 40}, True, 20),
    ({"log.every_steps": 7}, True, 1),
    ({}, False, 1),
    ({"batch_size": 512}, True, 1),
    ({"log.profile": "3:5"}, True, 1),
    ({"steps_per_call": 100}, True, 100),
  ],
)
def test_calls_end_where_something_is_due(
  monkeypatch, overrides, resident, wanted
):
  config = resolve.apply(base.base(), {"num_steps": 2000, **overrides})
  monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
  at_once = loop._steps_at_once(config, resident)
  assert at_once == wanted
  if config.steps_per_call:
    return
  # Every row, validation and save ends a call, and all calls are alike.
  ends, counts = [0], set()
  while ends[-1] < config.num_steps:
    counts.add(loop._steps_until_due(config, ends[-1], at_once))
    ends.append(ends[-1] + min(counts))
  assert counts == {wanted}
  for every in (config.log.every_steps, config.checkpoint.every_steps):
    assert set(range(every, config.num_steps + 1, every)) <= set(ends)


def test_on_a_cpu_a_call_is_a_step():
  assert loop._steps_at_once(base.base(), resident=True) == 1


def test_a_run_that_goes_on_in_between_comes_back_into_step():
  config = resolve.apply(base.base(), {"num_steps": 2000})
  assert loop._steps_until_due(config, 990, 25) == 10
  assert loop._steps_until_due(config, 1000, 25) == 25
