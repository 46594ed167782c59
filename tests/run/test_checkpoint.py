"""Checkpoints: bit-exact, best and latest apart, damage noticed."""

import logging
import re
import sys
import types

import jax
import numpy as np
import pytest

from rotjax import errors
from rotjax.run import checkpoint
from rotjax.training import step as step_lib


def _state(step, value=0.0):
  # Incompressible, so that a file's bytes are the array's.
  rng = np.random.default_rng(int(value))
  return step_lib.TrainState(
    step=np.int32(step),
    params={"kernel": rng.normal(size=(64, 64)).astype(np.float32)},
    model_state={},
    opt_state=({"mu": np.arange(8, dtype=np.float32) + value},),
    ema_params=None,
  )


def _open(folder, keep=2):
  return checkpoint.Checkpoints(folder, keep)


def _saved(folder, steps, keep=2):
  store = _open(folder, keep)
  for step in steps:
    store.save("latest", _state(step, step), {"note": step})
  store.close()


def test_a_state_comes_back_bit_for_bit(tmp_path):
  _saved(tmp_path, [3])
  store = _open(tmp_path)
  got = store.restore("latest", _state(0))
  store.close()
  assert got.meta["note"] == 3
  want = _state(3, 3)
  assert jax.tree.structure(got.state) == jax.tree.structure(want)
  for a, b in zip(jax.tree.leaves(got.state), jax.tree.leaves(want)):
    np.testing.assert_array_equal(a, b)


def test_nothing_saved_is_none(tmp_path):
  store = _open(tmp_path)
  assert store.restore("latest", _state(0)) is None
  store.close()


def test_latest_and_best_do_not_delete_each_other(tmp_path):
  store = _open(tmp_path, keep=1)
  store.save("best", _state(1), {})
  for step in range(2, 6):
    store.save("latest", _state(step), {})
  store.wait()
  assert store.steps("best") == [1]
  assert store.steps("latest") == [5]
  store.save("best", _state(4), {})
  store.close()
  assert _open(tmp_path).steps("best") == [4]


def test_the_saved_state_is_a_copy(tmp_path):
  # The training loop donates the buffers while the save is under way.
  state = _state(1, 1.0)
  store = _open(tmp_path)
  store.save("latest", state, {})
  want = state.params["kernel"].copy()
  state.params["kernel"][:] = -1
  got = store.restore("latest", _state(0))
  store.close()
  np.testing.assert_array_equal(got.state.params["kernel"], want)


def _data_files(folder, step, which="latest"):
  root = folder / which / str(step) / "state"
  return [f for f in root.rglob("*") if f.is_file() and "/d/" in str(f)]


def _flip_a_byte(folder, step, which="latest"):
  file = max(_data_files(folder, step, which), key=lambda f: f.stat().st_size)
  data = bytearray(file.read_bytes())
  data[len(data) // 2] ^= 1
  file.write_bytes(data)


def _truncate(folder, step):
  file = max(_data_files(folder, step), key=lambda f: f.stat().st_size)
  file.write_bytes(file.read_bytes()[:10])


def _delete_metadata(folder, step):
  (folder / "latest" / str(step) / "state" / "_METADATA").unlink()


@pytest.mark.parametrize("damage", [_flip_a_byte, _truncate, _delete_metadata])
def test_a_damaged_latest_falls_back_and_says_so(tmp_path, damage, caplog):
  _saved(tmp_path, [3, 6])
  damage(tmp_path, 6)
  store = _open(tmp_path)
  with caplog.at_level(logging.WARNING, "rotjax"):
    got = store.restore("latest", _state(0))
  assert int(got.state.step) == 3
  assert "step 6 is damaged" in caplog.text and "step 3" in caplog.text
  # The run reaches step 6 again and must be able to save it.
  store.save("latest", _state(6, 60.0), {"note": 60})
  store.close()
  store = _open(tmp_path)
  assert store.restore("latest", _state(0)).meta["note"] == 60
  store.close()


def test_reads_that_outlive_a_failed_restore_say_nothing(tmp_path, monkeypatch):
  told = []
  monkeypatch.setattr(sys, "unraisablehook", told.append)
  _saved(tmp_path, [3])
  store = _open(tmp_path)
  store.restore("latest", _state(0))
  store.close()
  for text in ("Event loop is closed", "another"):
    error = RuntimeError(text)
    sys.unraisablehook(types.SimpleNamespace(exc_value=error))
  assert [str(report.exc_value) for report in told] == ["another"]


def test_nothing_intact_is_one_line(tmp_path):
  _saved(tmp_path, [3])
  _flip_a_byte(tmp_path, 3)
  store = _open(tmp_path)
  with pytest.raises(errors.UserError, match="step 3 is damaged.*--overwrite"):
    store.restore("latest", _state(0))
  store.close()


def _renamed(state):
  return state.replace(params={"weights": state.params["kernel"]})


def _without(state):
  return state.replace(params={})


def _with_another(state):
  params = {**state.params, "bias": np.zeros(3, np.float32)}
  return state.replace(params=params)


def _reshaped(state):
  return state.replace(params={"kernel": np.zeros((16, 32), np.float32)})


def _double(state):
  return jax.tree.map(
    lambda x: np.asarray(x, {"f": "f8", "i": "i8"}[np.asarray(x).dtype.kind]),
    state,
  )


def _other_optimizer(state):
  count = {**state.opt_state[0], "count": np.int32(0)}
  return state.replace(opt_state=(count,))


@pytest.mark.parametrize(
  "change, words",
  [
    (_renamed, r"params.weights is not there and float32 \[64, 64\] in this"),
    (_without, r"params.kernel is float32 \[64, 64\] there and not in this"),
    (_with_another, r"params.bias is not there and float32 \[3\] in this"),
    (
      _reshaped,
      r"params.kernel is float32 \[64, 64\] there and float32 \[16, 32\]",
    ),
    (_double, r"step is int32 \[\] there and int64 \[\] in this config"),
    (_other_optimizer, r"opt_state.0.count is not there"),
  ],
)
def test_another_model_is_named_and_nothing_is_lost(
  tmp_path, change, words, caplog
):
  _saved(tmp_path, [3, 6])
  before = _snapshot(tmp_path)
  store = _open(tmp_path)
  with pytest.raises(errors.UserError, match=f"of another model: {words}"):
    store.restore("latest", change(_state(0)))
  store.close()
  assert _snapshot(tmp_path) == before
  assert "damaged" not in caplog.text
  # It is still there for the right one.
  store = _open(tmp_path)
  assert int(store.restore("latest", _state(0)).state.step) == 6
  store.close()


def _snapshot(folder):
  return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_restore_deletes_nothing_and_a_save_moves_aside(tmp_path, caplog):
  _saved(tmp_path, [3, 6, 9], keep=3)
  for step in (6, 9):
    _flip_a_byte(tmp_path, step)
  before = _snapshot(tmp_path)
  store = _open(tmp_path)
  assert int(store.restore("latest", _state(0)).state.step) == 3
  store.close()
  assert _snapshot(tmp_path) == before
  # The run saves at other steps than before, too.
  store = _open(tmp_path)
  for step in (5, 6):
    store.save("latest", _state(step, step), {"note": step})
  store.close()
  assert _open(tmp_path).steps("latest") == [6, 5]
  aside = sorted(p.name for p in (tmp_path / checkpoint.SET_ASIDE).iterdir())
  assert aside == ["latest-6-1", "latest-9-1"]
  there = _snapshot(tmp_path / checkpoint.SET_ASIDE)
  assert {data for data in there.values()} <= set(before.values())


def test_what_is_saved_already_is_not_saved_again(tmp_path):
  _saved(tmp_path, [3])
  before = _snapshot(tmp_path)
  store = _open(tmp_path)
  store.save("latest", _state(3, 3), {"note": 99})
  store.close()
  assert _snapshot(tmp_path) == before


@pytest.mark.parametrize(
  "bad, good, words",
  [
    ("best", "latest", "best checkpoint of step 3 .* the latest one of step 3"),
    ("latest", "best", "latest checkpoint of step 3 .* the best one of step 3"),
  ],
)
def test_the_best_and_the_latest_stand_in_for_each_other(
  tmp_path, bad, good, words, caplog
):
  store = _open(tmp_path)
  for which in ("latest", "best"):
    store.save(which, _state(3, 3), {"note": which})
  store.close()
  _flip_a_byte(tmp_path, 3, bad)
  store = checkpoint.Checkpoints(tmp_path, 1, read_only=True)
  with caplog.at_level(logging.WARNING, "rotjax"):
    got = store.restore(bad, _state(0))
  assert got.meta["note"] == good
  assert re.search(words, caplog.text)
  store.close()


@pytest.mark.parametrize(
  "name", ["a b", "a%20b", "a{b}", "a#b", "ä", "a\nb", "-a", "a'b$", "x" * 250]
)
def test_folders_of_any_other_name_hold_checkpoints(tmp_path, name):
  _saved(tmp_path / name, [3])
  store = checkpoint.Checkpoints(tmp_path / name, 1, read_only=True)
  assert store.restore("latest", _state(0)).meta["note"] == 3
  store.close()


def test_a_folder_that_cannot_be_read_says_so(tmp_path):
  _saved(tmp_path / "run", [3])
  (tmp_path / "run").rename(tmp_path / "a\\b")
  with pytest.raises(errors.UserError, match="rename the folder"):
    checkpoint.Checkpoints(tmp_path / "a\\b", 1, read_only=True)


def test_digest_sees_bytes_shapes_types_and_names():
  base = {"a": np.zeros(4, np.float32)}
  others = [
    {"b": np.zeros(4, np.float32)},
    {"a": np.zeros((2, 2), np.float32)},
    {"a": np.zeros(4, np.int32)},
    {"a": np.array([0, 0, 0, 1e-45], np.float32)},
  ]
  digests = {checkpoint.digest(tree) for tree in (base, *others)}
  assert len(digests) == 5
