"""Templates for clusters: they parse, and their commands are commands."""

import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest
import yaml

from rotjax.config import load
from tests import test_pages

CLUSTER = pathlib.Path("experiments/cluster")
SCRIPTS = sorted([*CLUSTER.rglob("*.sbatch"), *CLUSTER.rglob("*.sh")])
JOBSETS = sorted((CLUSTER / "k8s").glob("*.yaml"))


def _program(folder, name, text):
  """A stand-in for a cluster's command, first on PATH."""
  file = folder / "bin" / name
  file.parent.mkdir(exist_ok=True)
  file.write_text(f"#!/usr/bin/env bash\n{text}")
  file.chmod(0o755)


# bash cannot trap what it was started to ignore, as Ctrl-C is in a job that a
# script put into the background: the tests' own may be one.
_START = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp("bash", ["bash", *sys.argv[1:]])
"""


def _run(script, folder, *arguments, **variables):
  return subprocess.Popen(
    [sys.executable, "-c", _START, str(script), *arguments],
    env={
      **os.environ,
      "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
      "FOLDER": str(folder),
      **variables,
    },
    stdout=subprocess.DEVNULL,
  )


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_bash_reads_a_script(script):
  done = subprocess.run(["bash", "-n", str(script)], capture_output=True)
  assert done.returncode == 0 and not done.stderr


def _shown(text):
  """`rotjax` arguments of the command lines in a script or a page."""
  text = re.sub(r" *\\\n#? *", " ", text)
  pattern = r"(?:\.sbatch|run\.sh|-m rotjax\.(\w+)) (--\w[^`\n\"]*)"
  for match in re.finditer(pattern, text):
    yield f"rotjax.{match[1] or 'main'}", shlex.split(match[2])


def _commands():
  for page in [*SCRIPTS, *sorted(CLUSTER.rglob("README.md"))]:
    for module, argv in _shown(page.read_text()):
      yield pytest.param(module, argv, id=f"{page.parent.name}/{page.name}")
  for file in JOBSETS:
    (container,) = _pod(_read(file))["containers"]
    python, flag, module, *argv = container["command"]
    assert (python, flag) == ("python", "-m")
    yield pytest.param(module, argv, id=f"k8s/{file.name}")


def _read(jobset):
  return yaml.safe_load(jobset.read_text())


def _job(jobset):
  (replicated,) = jobset["spec"]["replicatedJobs"]
  assert replicated["replicas"] == 1
  return replicated["template"]["spec"]


def _pod(jobset):
  return _job(jobset)["template"]["spec"]


def _check_workdir_is_shared(pod):
  """The workdir is on a volume that is there, and is no pod's own."""
  argv = pod["containers"][0]["command"]
  workdir = pathlib.Path(argv[argv.index("--workdir") + 1])
  mounts = {
    m["mountPath"]: m["name"] for m in pod["containers"][0]["volumeMounts"]
  }
  volumes = {volume["name"]: volume for volume in pod["volumes"]}
  assert set(mounts.values()) == set(volumes)
  assert "persistentVolumeClaim" in volumes[mounts[str(workdir.parent)]]


def test_every_script_shows_a_command():
  assert {script.parent.name for script in SCRIPTS} == {"slurm", "tpu"}
  for script in SCRIPTS:
    assert len(list(_shown(script.read_text()))) == 1, script


@pytest.mark.parametrize("module, argv", list(_commands()))
def test_commands_are_understood(module, argv, monkeypatch):
  test_pages.test_commands_shown_are_understood(module, argv, monkeypatch)
  if module == "rotjax.main":
    load.config(argv[argv.index("--config") + 1], {})
    assert "--workdir" in argv


@pytest.mark.parametrize("file", JOBSETS, ids=lambda f: f.name)
def test_a_jobset_restarts_all_pods_whenever_a_run_was_told_to_stop(file):
  jobset = _read(file)
  assert jobset["apiVersion"] == "jobset.x-k8s.io/v1alpha2"
  assert jobset["kind"] == "JobSet"
  spec, job = jobset["spec"], _job(jobset)
  # A failure that the pods' policy names restarts without being counted.
  (rule,) = spec["failurePolicy"]["rules"]
  assert rule["action"] == "RestartJobSetAndIgnoreMaxRestarts"
  assert rule["onJobFailureReasons"] == ["PodFailurePolicy"]
  assert spec["failurePolicy"]["maxRestarts"] > 0
  exits, disruptions = job["podFailurePolicy"]["rules"]
  assert exits["action"] == disruptions["action"] == "FailJob"
  container = job["template"]["spec"]["containers"][0]
  assert exits["onExitCodes"] == {
    "containerName": container["name"],
    "operator": "In",
    "values": [75],
  }
  assert disruptions["onPodConditions"][0]["type"] == "DisruptionTarget"
  # What Kubernetes asks for beside a podFailurePolicy.
  assert job["template"]["spec"]["restartPolicy"] == "Never"
  assert job["backoffLimit"] == 0


def test_the_jobset_s_processes_find_each_other():
  jobset = _read(CLUSTER / "k8s" / "jobset.yaml")
  spec, name, job = jobset["spec"], jobset["metadata"]["name"], _job(jobset)
  (replicated,) = spec["replicatedJobs"]
  assert job["completionMode"] == "Indexed"
  pod = _pod(jobset)
  env = {item["name"]: item for item in pod["containers"][0]["env"]}
  host, port = env["JAX_COORDINATOR_ADDRESS"]["value"].split(":")
  assert host == (
    f"{name}-{replicated['name']}-0-0.{spec['network']['subdomain']}"
  )
  assert spec["network"]["enableDNSHostnames"] is True
  assert {"containerPort": int(port)} in pod["containers"][0]["ports"]
  count = int(env["JAX_NUM_PROCESSES"]["value"])
  assert count == job["completions"] == job["parallelism"]
  source = env["JAX_PROCESS_ID"]["valueFrom"]["fieldRef"]["fieldPath"]
  assert "job-completion-index" in source
  _check_workdir_is_shared(pod)


def test_the_tpu_jobset_takes_a_whole_slice():
  jobset = _read(CLUSTER / "k8s" / "jobset-tpu.yaml")
  job, pod = _job(jobset), _pod(jobset)
  rows, columns = map(
    int, pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"].split("x")
  )
  (container,) = pod["containers"]
  chips = container["resources"]["limits"]["google.com/tpu"]
  assert chips * job["completions"] == rows * columns
  assert job["completions"] == job["parallelism"]
  # rotjax finds the other processes by the variables that GKE sets.
  assert "env" not in container
  assert jobset["spec"]["network"]["enableDNSHostnames"] is True
  _check_workdir_is_shared(pod)


@pytest.mark.parametrize("name", ["single.sbatch", "multi_node.sbatch"])
@pytest.mark.parametrize("status", [0, 2, 75])
def test_a_job_is_requeued_after_status_75_alone(tmp_path, name, status):
  _program(tmp_path, "srun", f'echo "$@" > "$FOLDER/srun"; exit {status}')
  _program(tmp_path, "scontrol", 'echo "$@" > "$FOLDER/scontrol"')
  script = CLUSTER / "slurm" / name
  argv = ["--config", "a b"]
  assert _run(script, tmp_path, *argv, SLURM_JOB_ID="7").wait() == status
  assert "python -m rotjax.main --config a b" in (tmp_path / "srun").read_text()
  told = tmp_path / "scontrol"
  assert told.exists() == (status == 75)
  if status == 75:
    assert told.read_text() == "requeue 7\n"


_GCLOUD = """
for word in "$@"; do :; done
echo "$word" >> "$FOLDER/commands"
{body}
"""


def test_a_slice_s_run_starts_again_after_75_until_another_status(tmp_path):
  body = '[ "$(wc -l < "$FOLDER/commands")" -ge 3 ] && exit 2; exit 75'
  _program(tmp_path, "gcloud", _GCLOUD.format(body=body))
  run = _run(
    CLUSTER / "tpu" / "run.sh",
    tmp_path,
    "--config",
    "a b",
    TPU_NAME="t",
    ZONE="z",
  )
  assert run.wait() == 2
  lines = (tmp_path / "commands").read_text().splitlines()
  assert len(lines) == 3 and len(set(lines)) == 1
  # What the hosts' shell makes of it.
  words = shlex.split(lines[0].removeprefix("--command="))
  assert words[-5:] == ["python", "-m", "rotjax.main", "--config", "a b"]


def test_ctrl_c_tells_a_slice_s_run_to_stop_and_does_not_start_it_again(
  tmp_path,
):
  body = """
  case "$word" in
    *kill*) touch "$FOLDER/told" ;;
    *) while [ ! -e "$FOLDER/told" ]; do sleep 0.05; done; exit 75 ;;
  esac
  """
  _program(tmp_path, "gcloud", _GCLOUD.format(body=body))
  run = _run(CLUSTER / "tpu" / "run.sh", tmp_path, TPU_NAME="t", ZONE="z")
  deadline = time.monotonic() + 20
  while not (tmp_path / "commands").exists() and time.monotonic() < deadline:
    time.sleep(0.02)
  run.send_signal(signal.SIGINT)
  try:
    assert run.wait(60) == 75
  finally:
    run.kill()
    run.wait()
  lines = (tmp_path / "commands").read_text().splitlines()
  assert ["kill -TERM" in line for line in lines] == [False, True]


def test_a_slice_s_run_needs_a_name(tmp_path):
  run = subprocess.run(
    ["bash", str(CLUSTER / "tpu" / "run.sh")],
    env={"PATH": os.environ["PATH"]},
    capture_output=True,
    text=True,
  )
  assert run.returncode != 0 and "the name of the slice" in run.stderr
