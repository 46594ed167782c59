"""MLflow, the extra `mlflow`: at MLFLOW_TRACKING_URI, or in mlflow/runs.db.

The experiment is MLFLOW_EXPERIMENT_NAME, or "rotjax". Nothing is sent anywhere
where the first variable names no server.
"""

from collections.abc import Mapping
import math
import os
import pathlib
import time
from typing import Any

from rotjax.config import resolve


class Writer:
  """One run, which goes on under its identity when the training does."""

  def __init__(self, folder: pathlib.Path, first_step: int, config: Any):
    # Takes seconds, and only where it is asked for.
    import mlflow
    from mlflow import entities

    self._entities = entities
    own = folder / "mlflow"
    own.mkdir(exist_ok=True)
    # Its plain files are no longer kept up.
    alone = f"sqlite:///{own.absolute()}/runs.db"
    place = os.environ.get("MLFLOW_TRACKING_URI") or alone
    self._client = mlflow.MlflowClient(place)
    known = own / "id"
    if first_step and known.exists():
      self._id = known.read_text("utf-8")
      self._client.update_run(self._id, status="RUNNING")
      return
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "rotjax")
    found = self._client.get_experiment_by_name(name)
    run = self._client.create_run(
      found.experiment_id if found else self._client.create_experiment(name),
      run_name=f"{config.name or folder.name}-{config.seed}",
    )
    self._id = run.info.run_id
    known.write_text(self._id, "utf-8")
    for key, value in resolve.flatten(config).items():
      self._client.log_param(self._id, key, value)

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    now = int(1000 * time.time())
    # Some stores take no other numbers.
    finite = {k: v for k, v in scalars.items() if math.isfinite(v)}
    self._client.log_batch(
      self._id,
      [self._entities.Metric(k, v, now, step) for k, v in finite.items()],
    )

  def close(self) -> None:
    self._client.set_terminated(self._id)
