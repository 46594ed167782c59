"""Which steps are traced, and that a trace is there."""

import jax
import jax.numpy as jnp
import pytest

from rotjax import errors
from rotjax.training import profile


def test_a_span_is_two_steps_in_order():
  assert profile.span("") is None
  assert profile.span("0:1") == (0, 1)
  assert profile.span("100:120") == (100, 120)
  for wrong in ("5", "5:", ":5", "5:5", "6:5", "-1:4", "1:2:3", "a:b", "1 :2"):
    with pytest.raises(errors.UserError, match="is not START:STOP"):
      profile.span(wrong)
  with pytest.raises(errors.UserError):
    profile.span(f"0:{10**10}")


def test_the_steps_asked_for_are_traced_and_no_others(tmp_path, monkeypatch):
  calls = []
  monkeypatch.setattr(
    jax.profiler, "start_trace", lambda folder: calls.append("start")
  )
  monkeypatch.setattr(jax.profiler, "stop_trace", lambda: calls.append("stop"))

  def traced(text, steps):
    calls.clear()
    trace = profile.Trace(text, tmp_path)
    for step in steps:
      calls.append(step)
      trace.at(step, None)
    trace.close()
    return list(calls)

  assert traced("1:3", range(5)) == [0, 1, "start", 2, 3, "stop", 4]
  assert traced("", range(2)) == [0, 1]
  # Several steps a call, an end before it, a run resumed behind it.
  assert traced("3:5", range(0, 8, 4)) == [0, 4, "start", "stop"]
  assert traced("1:9", range(3)) == [0, 1, "start", 2, "stop"]
  assert traced("1:3", range(3, 5)) == [3, 4]


def test_a_trace_is_written(tmp_path):
  trace = profile.Trace("0:1", tmp_path / "profile")
  trace.at(0, None)
  trace.at(1, jnp.ones(3) + 1)
  assert list((tmp_path / "profile").rglob("*.xplane.pb"))
