"""`print`: one command a line for each arm, for any other scheduler."""

import shlex

from rotjax.ablation import arms as arms_lib
from rotjax.ablation import launchers


def launch(job: launchers.Job) -> bool:
  """Prints the commands, for somebody else to run."""
  show(job)
  return False


def show(job: launchers.Job) -> None:
  """Prints the commands."""
  arms = arms_lib.to_do(job.plan, job.workdir)
  for arm in arms:
    print(shlex.join(arms_lib.command(job.workdir, arm, job.flags)))
  if not arms:
    print("every arm is done")
