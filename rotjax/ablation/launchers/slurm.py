"""`slurm`: a job array with one task for each arm."""

import shlex
import subprocess

from rotjax import errors, stopping
from rotjax.ablation import arms as arms_lib
from rotjax.ablation import launchers
from rotjax.config import resolve


def launch(job: launchers.Job) -> bool:
  """Submits the array.

  Raises:
    UserError: sbatch refuses it, or is not there.
  """
  text = script(job)
  if not text:
    show(job)
    return False
  print(f"{_sbatch(text)}; when it is done:")
  workdir = shlex.quote(str(job.workdir))
  print(f"  python -m rotjax.tables --workdir {workdir}")
  return False


def show(job: launchers.Job) -> None:
  """Prints the array's script."""
  print(script(job) or "every arm is done\n", end="")


def script(job: launchers.Job) -> str:
  """The script of a job array with a task for each arm that is to do.

  A task is told 60 seconds before its time is over, saves, exits with status
  75 and puts itself back into the queue. A second array for the same workdir
  waits until the first has ended, and finds its arms done.

  Args:
    job: its workdir lies on a file system that the nodes share; its options
      are sbatch's, for example {"partition": "gpu", "cpus_per_task": "4"}.

  Returns:
    The text; "" where every arm is done.
  """
  arms = arms_lib.to_do(job.plan, job.workdir)
  if not arms:
    return ""
  options = {k.replace("_", "-"): v for k, v in job.options.items()}
  # A percent sign of the folder's is none of Slurm's patterns.
  logs = str(job.workdir).replace("%", "%%")
  fixed = {
    "job-name": f"{job.plan.name}-{resolve.digest({'workdir': job.workdir})}",
    "dependency": "singleton",  # one array of this name at a time
    "array": f"0-{len(arms) - 1}",
    "output": f"{logs}/slurm-%A_%a.txt",
    "open-mode": "append",
    "signal": "TERM@60",
    **options,
  }
  lines = ["#!/usr/bin/env bash", "#SBATCH --requeue"]
  # sbatch reads these lines with the quotes of a shell.
  lines += [
    f"#SBATCH --{key}={shlex.quote(value)}" for key, value in fixed.items()
  ]
  names = " ".join(shlex.quote(arm.name) for arm in arms)
  # srun, not bash: the signal goes to steps alone. It takes over what the job
  # has, but for the cores of a task.
  srun = ["srun"]
  if "cpus-per-task" in options:
    srun.append(f"--cpus-per-task={options['cpus-per-task']}")
  command = arms_lib.command(job.workdir, arms[0], job.flags)
  base = shlex.join([*srun, *command[:-1]])
  lines += [
    "",
    f"arms=({names})",
    "status=0",
    f'{base} "${{arms[$SLURM_ARRAY_TASK_ID]}}" || status=$?',
    f'if [ "$status" -eq {stopping.EXIT_STATUS} ]; then',
    '  scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"',
    "fi",
    'exit "$status"',
  ]
  return "\n".join(lines) + "\n"


def _sbatch(script: str) -> str:
  try:
    done = subprocess.run(
      ["sbatch"], input=script, capture_output=True, encoding="utf-8"
    )
  except FileNotFoundError:
    raise errors.UserError(
      "there is no sbatch on this machine: --dry_run prints the script"
    ) from None
  if done.returncode:
    raise errors.UserError(f"sbatch: {done.stderr.strip()}")
  return done.stdout.strip()
