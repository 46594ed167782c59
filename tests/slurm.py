"""A private Slurm cluster of one node: munged, slurmctld and slurmd of ours.

Its own folder, ports, key and socket, so that it disturbs no other cluster of
this machine; every daemon stays in the foreground, so that its own process id
stops it.
"""

import fcntl
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import tempfile
import time

PROGRAMS = ("sbatch", "srun", "scontrol", "slurmctld", "slurmd", "munged")

# cred_expire is also how long a requeued job waits: at least 5 s, and 120 s if
# it is not given or less.
# config_overrides lets a machine of one core pretend to have two.
_CONF = """\
ClusterName=rotjax
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
MpiDefault=none
ReturnToService=2
KillWait=5
PlugStackConfig=/dev/null
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=debug Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class MissingError(Exception):
  """There is no Slurm here, and why."""


class Cluster:
  """A running cluster.

  Attributes:
    env: what a command needs to reach it.
  """

  def __init__(self):
    # Not below pytest's folder: a socket's name must be short.
    self._folder = pathlib.Path(tempfile.mkdtemp(prefix="slurm-"))
    # A job or a cluster that the tests themselves run under is not ours.
    foreign = ("SLURM", "SBATCH", "SRUN", "SQUEUE")
    self.env = {
      **{k: v for k, v in os.environ.items() if not k.startswith(foreign)},
      "SLURM_CONF": str(self._folder / "slurm.conf"),
      "PATH": _path(),
    }
    self._daemons: list[subprocess.Popen] = []

  def start(self) -> None:
    """Starts the daemons and waits until the node takes jobs.

    Raises:
      MissingError: one of them does not come up; its log's end is said.
    """
    for name in ("munge", "state", "spool", "log"):
      (self._folder / name).mkdir()
    # munged wants its socket in a folder that everyone may enter.
    self._folder.chmod(0o711)
    (self._folder / "munge").chmod(0o711)
    key = self._folder / "munge" / "key"
    key.touch(0o600)
    key.write_bytes(os.urandom(128))
    ctld_port, slurmd_port = _free_ports(2)
    host = socket.gethostname().partition(".")[0]
    (self._folder / "slurm.conf").write_text(
      _CONF.format(
        host=host,
        user=_user(),
        folder=self._folder,
        ctld_port=ctld_port,
        slurmd_port=slurmd_port,
      )
    )
    files = {"key-file": "key", "pid-file": "pid", "seed-file": "seed"}
    files.update({"socket": "socket", "log-file": "log"})
    options = [f"--{k}={self._folder}/munge/{v}" for k, v in files.items()]
    self._daemon("munged", "--foreground", *options)
    self._wait(lambda: (self._folder / "munge" / "socket").exists())
    self._daemon("slurmctld", "-D")
    self._daemon("slurmd", "-D")
    self._wait(lambda: self.run("sinfo", "-h", "-o", "%T").strip() == "idle")

  def stop(self) -> None:
    """Cancels what is left, then ends the daemons, the last first."""
    if len(self._daemons) == 3 and self._daemons[1].poll() is None:
      self.run("scancel", f"--user={_user()}")
      deadline = time.monotonic() + 20
      while self.run("squeue", "-h") and time.monotonic() < deadline:
        time.sleep(0.2)
    for daemon in reversed(self._daemons):
      daemon.terminate()
      try:
        daemon.wait(10)
      except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
    shutil.rmtree(self._folder)

  def run(self, *command: str, **kwargs) -> str:
    """The output of a command that reaches this cluster."""
    done = subprocess.run(
      command, env=self.env, text=True, capture_output=True, **kwargs
    )
    return done.stdout

  def job(self, job: str) -> dict[str, str]:
    """What `scontrol show job` says of a job, or of `JOB_TASK` of an array."""
    shown = self.run("scontrol", "--oneliner", "show", "job", job)
    pairs = [item.partition("=") for item in shown.split()]
    return {key: value for key, _, value in pairs}

  def _daemon(self, program, *options):
    with open(self._folder / "log" / program, "wb") as log:
      self._daemons.append(
        subprocess.Popen(
          [shutil.which(program, path=_path()), *options],
          env=self.env,
          stdin=subprocess.DEVNULL,
          stdout=log,
          stderr=subprocess.STDOUT,
        )
      )

  def _wait(self, ready, seconds=20):
    deadline = time.monotonic() + seconds
    while not ready():
      died = any(daemon.poll() is not None for daemon in self._daemons)
      if died or time.monotonic() > deadline:
        logs = sorted((self._folder / "log").iterdir())
        ends = [f"{log.name}: {log.read_text()[-300:]}" for log in logs]
        raise MissingError("Slurm did not come up: " + "; ".join(ends))
      time.sleep(0.1)


def find(install: bool) -> None:
  """Checks that a cluster can be had.

  Args:
    install: the distribution's packages, where programs are missing.

  Raises:
    MissingError: it cannot, and why.
  """
  if install and _missing():
    _install()
  if _missing():
    raise MissingError(
      f"no {', '.join(_missing())} on PATH; ROTJAX_INSTALL_SLURM=1 lets the"
      " tests install them"
    )


def _install():
  if os.geteuid():
    raise MissingError("only root can install Slurm")
  if not shutil.which("apt-get"):
    raise MissingError("no apt-get to install Slurm with")
  # One of several test processes installs, the others wait for it.
  with open(__file__) as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not _missing():
      return
    packages = ("slurm-wlm", "munge")
    for what in (
      ("update",),
      ("install", "-y", "--no-install-recommends", *packages),
    ):
      done = subprocess.run(
        ["apt-get", "-q", *what],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
      )
      if done.returncode:
        raise MissingError(f"apt-get {what[0]}: {done.stderr.strip()[-300:]}")


def _missing() -> list[str]:
  return [p for p in PROGRAMS if not shutil.which(p, path=_path())]


def _user() -> str:
  return pwd.getpwuid(os.geteuid()).pw_name


def _path() -> str:
  # Daemons live where a user's PATH may not look.
  return os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"


def _free_ports(count: int) -> list[int]:
  # All held at once, so that they differ.
  sockets = [socket.socket() for _ in range(count)]
  for s in sockets:
    s.bind(("127.0.0.1", 0))
  ports = [s.getsockname()[1] for s in sockets]
  for s in sockets:
    s.close()
  return ports
