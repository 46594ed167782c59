"""Checkpoints: bit-exact, best and latest apart, damage noticed."""

import logging
import sys
import types

import jax
import numpy as np
import pytest

from rotjax import checkpoint, errors
from rotjax import step as step_lib


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


def _data_files(folder, step):
  root = folder / "latest" / str(step) / "state"
  return [f for f in root.rglob("*") if f.is_file() and "/d/" in str(f)]


def _flip_a_byte(folder, step):
  file = max(_data_files(folder, step), key=lambda f: f.stat().st_size)
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


def test_another_architecture_does_not_restore(tmp_path):
  _saved(tmp_path, [3])
  other = _state(0).replace(params={"kernel": np.zeros((16, 32), np.float32)})
  store = _open(tmp_path)
  with pytest.raises(errors.UserError, match="another model: params.kernel"):
    store.restore("latest", other)
  store.close()
  # It is still there for the right one.
  store = _open(tmp_path)
  assert int(store.restore("latest", _state(0)).state.step) == 3
  store.close()


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
