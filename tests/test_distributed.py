"""Jobs of several processes: detected, agreeing, and of the same numbers."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from rotjax import distributed, errors
from tests import npz, training, two_processes

# Under a scheduler the tests themselves may be a step.
PLAIN = {
  k: v
  for k, v in os.environ.items()
  if not k.startswith(("SLURM_", "OMPI_", "TPU_", "JAX_COORDINATOR"))
}
SLURM = {
  "SLURM_JOB_ID": "7",
  "SLURM_STEP_NODELIST": "node[1-2]",
  "SLURM_PROCID": "1",
}


@pytest.mark.parametrize(
  "env,kind",
  [
    ({}, ""),
    # A batch script, and a shell of salloc: tasks are promised, none is a step.
    ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4"}, ""),
    ({**SLURM, "SLURM_NTASKS": "1"}, ""),
    ({**SLURM, "SLURM_NTASKS": "4"}, "slurm"),
    # srun -n1 inside of a job of four.
    ({**SLURM, "SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "1"}, ""),
    ({"OMPI_COMM_WORLD_SIZE": "1"}, ""),
    ({"OMPI_COMM_WORLD_SIZE": "2"}, "openmpi"),
    ({"TPU_WORKER_HOSTNAMES": "a,b"}, "tpu"),
    ({"TPU_WORKER_HOSTNAMES": "a"}, ""),
    (
      {"JAX_COORDINATOR_ADDRESS": "a:1", "JAX_NUM_PROCESSES": "2"},
      "variables",
    ),
  ],
)
def test_several_processes_are_found_exactly_where_a_launcher_says_so(
  env, kind
):
  assert distributed.detect(env) == kind


def _environment(monkeypatch, env):
  for key in os.environ.keys() - PLAIN.keys():
    monkeypatch.delenv(key)
  for key, value in env.items():
    monkeypatch.setenv(key, value)


def test_a_plain_machine_starts_nothing(monkeypatch):
  _environment(monkeypatch, {})
  distributed.start("auto")
  distributed.start("off")
  assert not jax.distributed.is_initialized()
  with pytest.raises(errors.UserError, match="distributed = on, but no job"):
    distributed.start("on")


def test_two_tasks_that_would_both_be_the_first_are_refused(monkeypatch):
  _environment(monkeypatch, {**SLURM, "SLURM_NTASKS": "2"})
  with pytest.raises(errors.UserError, match="one of several slurm processes"):
    distributed.start("off")
  with pytest.raises(errors.UserError, match="srun --ntasks=1"):
    distributed.refuse_several("rotjax.ablate")


def test_a_tpu_machine_may_be_one_host_of_one(monkeypatch):
  _environment(monkeypatch, {})
  monkeypatch.setattr(distributed, "_on_tpu_vm", lambda: True)
  assert distributed.detect() == "tpu machine"
  distributed.start("off")
  distributed.refuse_several("rotjax.ablate")
  monkeypatch.setenv("TPU_WORKER_HOSTNAMES", "a,b")
  with pytest.raises(errors.UserError, match="one of several"):
    distributed.refuse_several("rotjax.ablate")


@pytest.mark.parametrize(
  "name", ["JAX_NUM_PROCESSES", "JAX_PROCESS_ID", "OMPI_COMM_WORLD_SIZE"]
)
def test_a_variable_that_is_no_number_is_named(monkeypatch, name):
  job = {
    "JAX_COORDINATOR_ADDRESS": "localhost:1",
    "JAX_NUM_PROCESSES": "2",
    "JAX_PROCESS_ID": "0",
  }
  job = {} if name.startswith("OMPI") else job
  _environment(monkeypatch, {**job, name: "two"})
  with pytest.raises(errors.UserError, match=f"^{name}=two in the environment"):
    distributed.start("auto")


def test_a_process_that_does_not_know_which_it_is_is_refused(monkeypatch):
  env = {"JAX_COORDINATOR_ADDRESS": "localhost:1", "JAX_NUM_PROCESSES": "2"}
  _environment(monkeypatch, env)
  with pytest.raises(errors.UserError, match="JAX_PROCESS_ID"):
    distributed.start("auto")


def _job(*arguments, count=2, devices=2):
  """Starts the processes of one job over loopback."""
  with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    address = f"127.0.0.1:{free.getsockname()[1]}"
  started = []
  for index in range(count):
    env = {
      **PLAIN,
      "JAX_PLATFORMS": "cpu",
      "JAX_NUM_CPU_DEVICES": str(devices),
      "JAX_COORDINATOR_ADDRESS": address,
      "JAX_NUM_PROCESSES": str(count),
      "JAX_PROCESS_ID": str(index),
    }
    started.append(
      subprocess.Popen(
        [sys.executable, *arguments],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
      )
    )
  return started


def _ended(job, seconds=400):
  """Exit statuses and standard errors; no process outlives this."""
  try:
    errs = [p.communicate(timeout=seconds)[1] for p in job]
  finally:
    for p in job:
      p.kill()
  return [p.returncode for p in job], errs


_CASES = [
  ("jit", (0,)),
  ("jit", (3, 4)),
  ("pmap", (0,)),
  ("pmap", (3, 4)),
  ("fsdp", (0,)),
]


@pytest.fixture(
  scope="module",
  params=[pytest.param(case, marks=pytest.mark.slow) for case in _CASES],
  ids=lambda case: f"{case[0]}-{len(case[1])}",
)
def found(request, tmp_path_factory):
  """An executor's name, the seeds, and what two processes made of them."""
  name, seeds = request.param
  file = tmp_path_factory.mktemp("job") / "found.npz"
  job = _job("-m", "tests.two_processes", str(file), name, *map(str, seeds))
  statuses, errs = _ended(job)
  assert statuses == [0, 0], errs
  return seeds, npz.load(file)


def test_two_processes_train_as_one_device_does(found):
  seeds, arrays = found
  experiment = training.experiment(training.BATCH_NORM_AND_DROPOUT)
  how = {"change": training.ragged, "steps": two_processes.STEPS}
  device = jax.devices()[:1]
  for r, seed in enumerate(seeds):
    state, metrics = training.run(
      experiment, "jit", device, seeds=(seed,), **how
    )
    losses = np.array([m["loss"][0, 0] for m in metrics])
    assert np.ptp(losses) > 0.01  # no constant to agree on
    # vmapped seeds multiply in another order.
    atol = 1e-6 if len(seeds) == 1 else 1e-5
    np.testing.assert_allclose(arrays["loss"][:, r], losses, atol=atol)
    if len(seeds) == 1:
      leaves = jax.tree.leaves(state.ema_params)
      params = np.concatenate([x.ravel() for x in leaves])
      np.testing.assert_allclose(arrays["params"], params, rtol=1e-4, atol=1e-6)


def test_an_evaluation_shared_by_processes_is_the_same(found):
  _, arrays = found
  experiment = training.experiment(training.BATCH_NORM_AND_DROPOUT)
  state = jax.device_get(experiment.init_state(0))
  network = state.params, state.model_state
  split = experiment.split("test").rows(np.arange(70))
  evaluator = experiment.evaluator()
  p = evaluator(*network, split, evaluator.calibrate(*network, split))
  np.testing.assert_allclose(arrays["decoded"], p.predicted_deg, atol=1e-3)
  np.testing.assert_allclose(
    arrays["crps"], p.scores["recalibrated_crps_deg"], atol=1e-3
  )
  # A process that asked less often than the other would leave it waiting.
  assert arrays["asked"][0] == arrays["asked"][1] >= 2


_RUN = (
  *("-m", "rotjax.main", "--config", "configs/vonmises.py:smoke"),
  *("--config.num_steps=60", "--config.log.every_steps=1"),
  *("--config.eval.every_steps=60", "--config.checkpoint.every_steps=40"),
)


def _steps(folder):
  lines = (folder / "metrics.jsonl").read_text().splitlines()
  return [json.loads(line)["step"] for line in lines]


@pytest.mark.slow
def test_a_signal_to_one_process_stops_all_and_one_goes_on(tmp_path):
  whole, stopped = tmp_path / "whole", tmp_path / "stopped"
  alone = _job(*_RUN, "--workdir", str(whole), count=1)
  assert _ended(alone)[0] == [0]
  job = _job(*_RUN, "--workdir", str(stopped))
  deadline = time.monotonic() + 300
  try:
    while time.monotonic() < deadline:
      file = stopped / "metrics.jsonl"
      if file.exists() and len(file.read_text().splitlines()) >= 5:
        break
      time.sleep(0.05)
    job[1].send_signal(signal.SIGUSR1)
  finally:
    statuses, errs = _ended(job)
  assert statuses == [75, 75], errs
  assert errs[0].count("rotjax: stopped by a signal to another process") == 1
  assert "stopped" not in errs[1]
  assert 5 <= _steps(stopped)[-1] < 60
  # One process with one device goes on where two with two each stopped.
  resumed = _job(*_RUN, "--workdir", str(stopped), count=1, devices=1)
  assert _ended(resumed)[0] == [0]
  assert _steps(stopped) == _steps(whole)
  results = [
    json.loads((f / "summary.json").read_text())["test"]["mae_deg"]
    for f in (whole, stopped)
  ]
  assert results[0] == pytest.approx(results[1], abs=0.5)


def test_a_mistake_is_told_once_and_ends_all(tmp_path):
  (tmp_path / "foreign.txt").write_text("not ours")
  statuses, errs = _ended(_job(*_RUN, "--workdir", str(tmp_path)))
  assert statuses == [2, 2]
  told = [e for e in errs if "holds files but no run" in e]
  assert len(told) == 1 and told[0] == errs[0]
  assert [f.name for f in tmp_path.iterdir()] == ["foreign.txt"]
