"""The same grid, steps and seed for every arm; the test set is not read."""

import json

import pytest

from rotjax import errors
from rotjax.ablation import tuning
from rotjax.config import base, resolve

pytestmark = pytest.mark.usefixtures("quick_runs")

TINY = {
  "batch_size": 16,
  "model.widths": (8, 8, 8),
  "model.hidden": 16,
  "eval.num_angles": 4,
  "optim.warmup": 0.0,
}


def _config(**overrides):
  return resolve.apply(base.base(), {**TINY, **overrides})


def test_the_best_value_on_validation_is_taken_and_recorded(tmp_path):
  budget = tuning.Budget((1e-6, 1e-2), num_steps=40)
  result = tuning.tune(_config(), tmp_path, budget)
  assert result["best"] == 1e-2
  assert set(result["val_mae_deg"]) == {"1e-06", "0.01"}
  assert result["val_mae_deg"]["0.01"] < result["val_mae_deg"]["1e-06"]
  assert json.loads((tmp_path / "tuning.json").read_text()) == result
  runs = sorted(p.name for p in tmp_path.iterdir() if p.is_dir())
  assert runs == ["learning_rate-0.01", "learning_rate-1e-06"]
  assert not list(tmp_path.rglob("predictions.npz"))
  # Again: nothing is trained a second time.
  stamps = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("best/*/meta/*")}
  assert tuning.tune(_config(), tmp_path, budget) == result
  assert stamps == {p: p.stat().st_mtime_ns for p in stamps}


def test_a_diverging_value_loses_and_all_diverging_is_an_error(tmp_path):
  config = _config(**{"head.name": "vector", "head.loss": "mse"})
  result = tuning.tune(config, tmp_path / "a", tuning.Budget((1e30, 1e-3), 4))
  assert result["best"] == 1e-3
  assert result["val_mae_deg"]["1e+30"] == float("inf")
  with pytest.raises(errors.UserError, match="diverged with every"):
    tuning.tune(config, tmp_path / "b", tuning.Budget((1e30,), 4))


@pytest.mark.slow
def test_any_field_can_be_chosen(tmp_path):
  config = _config(**{"head.name": "bins", "head.num_bins": 36})
  result = tuning.tune(
    config, tmp_path, tuning.Budget((5.0, 40.0), 2, "head.width_deg")
  )
  assert result["field"] == "head.width_deg"
  with pytest.raises(errors.UserError, match="unknown config field"):
    tuning.tune(config, tmp_path, tuning.Budget((1.0,), 2, "head.sigma"))
  with pytest.raises(errors.UserError, match="no values"):
    tuning.tune(config, tmp_path, tuning.Budget(()))


@pytest.mark.slow
def test_scales_follow_the_rate_in_the_arms_that_have_them(tmp_path):
  budget = tuning.Budget(
    (1e-6, 1e-2), 2, scales={"head.width_deg": (5.0, 40.0)}
  )
  bins = {"head.name": "bins", "head.num_bins": 36, "head.loss": "gaussian"}
  config, records = tuning.choose(_config(**bins), tmp_path / "a", budget)
  fields = ["optim.learning_rate", "head.width_deg"]
  assert [r["field"] for r in records] == fields
  assert config.optim.learning_rate == records[0]["best"]
  assert config.head.width_deg == records[1]["best"]
  ran = json.loads(
    next((tmp_path / "a" / "width_deg").rglob("tuning.json")).read_text()
  )
  assert ran == records[1]
  config, records = tuning.choose(_config(), tmp_path / "b", budget)
  assert [r["field"] for r in records] == fields[:1]
