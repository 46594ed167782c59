"""The steps that the benchmarks time: the same numbers, whatever is swapped."""

import jax
import numpy as np
import programs
import pytest

from rotjax.run import experiment as experiment_lib

SIZE = 12


def built(make=programs.classic):
  config = make(view__size=SIZE, batch_size=4)
  return experiment_lib.Experiment.bound_to(config, (SIZE, SIZE, 1))


def arguments(parts):
  return parts.init_state(0), {
    "image": programs.pictures(4, SIZE),
    "slot": np.arange(4, dtype=np.int32),
    "mask": np.ones(4, bool),
    "seed": np.uint32(0),
  }


def test_stock_layers_give_the_same_step():
  parts = built()
  _, own = jax.jit(parts.make_step())(*arguments(parts))
  with programs.stock_layers():
    _, stock = jax.jit(parts.make_step())(*arguments(parts))
    text = str(jax.make_jaxpr(parts.make_step())(*arguments(parts)))
  assert "conv_general_dilated" in text and "reduce_window" in text
  for name in ("loss", "grad_norm"):
    assert float(own[name]) == pytest.approx(float(stock[name]), rel=1e-4)


def test_stock_layers_are_put_back():
  text = str(jax.make_jaxpr(built().make_step())(*arguments(built())))
  assert "reduce_window" not in text


def test_without_warp_nothing_is_gathered():
  parts = built()
  with_warp, without = (
    str(jax.make_jaxpr(p.make_step())(*arguments(p)))
    for p in (parts, programs.without_warp(parts))
  )
  assert with_warp.count("gather[") > without.count("gather[") == 0


def test_stepper_trains_every_seed_and_step(monkeypatch):
  states = []
  build = programs.executors.build

  def remember(*args):
    executor = build(*args)

    def run(*inputs):
      state, metrics = executor.run(*inputs)
      states.append(executor.fetch_state(state).step)
      return state, metrics

    return programs.dataclasses.replace(executor, run=run)

  monkeypatch.setattr(programs.executors, "build", remember)
  call = programs.stepper(
    built(programs.flagship),
    programs.pictures(16, SIZE),
    num_seeds=2,
    steps=4,
    steps_per_call=2,
  )
  call()  # once before, to compile
  assert [s.tolist() for s in states] == [[2, 2], [4, 4], [6, 6], [8, 8]]


def test_view_only_makes_a_batch():
  programs.view_only(built(), programs.pictures(16, SIZE))()
