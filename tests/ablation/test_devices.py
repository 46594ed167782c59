"""GPUs shared out among the processes of one machine."""

import hypothesis
import hypothesis.strategies as st

from rotjax.ablation import devices


def test_what_may_be_seen_is_what_the_variable_says(tmp_path):
  for name in ("nvidia10", "nvidia2", "nvidia0", "nvidiactl", "nvidia-uvm"):
    (tmp_path / name).touch()
  assert devices.visible({}, tmp_path) == ["0", "2", "10"]
  some = {"CUDA_VISIBLE_DEVICES": "3, GPU-4f1a"}
  assert devices.visible(some, tmp_path) == ["3", "GPU-4f1a"]
  assert devices.visible({"CUDA_VISIBLE_DEVICES": ""}, tmp_path) == []
  assert devices.visible({}, tmp_path / "none") == []


@hypothesis.given(st.integers(1, 12), st.integers(0, 12))
def test_each_worker_has_devices_and_none_is_left_idle(workers, count):
  names = [str(i) for i in range(count)]
  shares = devices.shares(workers, names, {})
  assert len(shares) == workers
  if not count:
    assert not any(shares)
    return
  given_out = [s["CUDA_VISIBLE_DEVICES"].split(",") for s in shares]
  assert {d for mine in given_out for d in mine} == (
    set(names) if workers <= count else set(names[:count])
  )
  sizes = [len(mine) for mine in given_out]
  if workers <= count:
    assert sum(sizes) == count and max(sizes) - min(sizes) <= 1
  else:
    assert set(sizes) == {1}
    most = max(given_out.count([d]) for d in names)
    memory = {float(s["XLA_PYTHON_CLIENT_MEM_FRACTION"]) for s in shares}
    assert all(m * most <= 0.76 for m in memory)


def test_a_memory_fraction_that_is_set_stays():
  mine = {"XLA_PYTHON_CLIENT_MEM_FRACTION": ".2"}
  (first, second) = devices.shares(2, ["0"], mine)
  assert first == second == {"CUDA_VISIBLE_DEVICES": "0"}
