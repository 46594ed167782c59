"""A run of several seeds is scored, and predicts, as their ensemble too."""

import json

import numpy as np
import PIL.Image
import pytest

from rotjax import errors
from rotjax.config import base, resolve
from rotjax.prediction import predictor
from rotjax.run import finished, summary, train
from tests import npz

# Beside tests/evaluation/test_ensemble.py, which trains nothing.
pytestmark = pytest.mark.slow

SETTINGS = {
  "num_seeds": 2,
  "num_steps": 30,
  "batch_size": 32,
  "num_train_images": 200,
  "model.widths": (6, 8),
  "model.kernels": (3, 3),
  "model.hidden": 16,
  "optim.learning_rate": 1e-2,
  "eval.num_angles": 4,
  "eval.every_steps": 30,
  "eval.warp": "own",
}


@pytest.fixture(scope="module")
def run(quick_runs, tmp_path_factory):
  folder = tmp_path_factory.mktemp("seeds") / "run"
  assert train.train(resolve.apply(base.base(), SETTINGS), folder) == 0
  return folder


def _degrees(off):
  return np.abs((off + 180) % 360 - 180)


def test_its_results_stand_beside_the_seeds(run):
  whole, own = summary.read(run), summary.read(run / "ensemble")
  each = [summary.read(run / f"seed-{n}") for n in (0, 1)]
  assert whole["ensemble"]["test"] == own["test"]
  assert whole["ensemble"]["test_interval"] == own["test_interval"]
  assert own["parameters"] == 2 * each[0]["parameters"]
  # The same views, so that its errors are paired with theirs.
  arrays = [
    npz.load(run / name / "predictions.npz")
    for name in ("seed-0", "seed-1", "ensemble")
  ]
  for other in arrays[1:]:
    np.testing.assert_array_equal(arrays[0]["true_deg"], other["true_deg"])
  # Jensen: a mixture is no worse than the mean of its members' logs.
  logs = [a["log_density"].mean() for a in arrays]
  assert logs[2] >= np.mean(logs[:2]) - 1e-4
  mixed = np.logaddexp(*(a["log_density"] for a in arrays[:2])) - np.log(2)
  np.testing.assert_allclose(arrays[2]["log_density"], mixed, atol=2e-3)
  table = summary.table(whole)
  assert "their ensemble" in table.splitlines()[0]
  stated = f"{own['test']['mae_deg']:.2f}°"
  assert stated in next(x for x in table.splitlines() if "mean absolute" in x)


def test_a_folder_of_seeds_predicts_together(run, tmp_path):
  rng = np.random.default_rng(0)
  picture = PIL.Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8))
  whole = predictor.load(run)([picture])
  each = [predictor.load(run / f"seed-{n}") for n in (0, 1)]
  # Raw members differ in their temperatures: bounds, and no equality.
  alone = [p([picture]).angle_deg[0] for p in each]
  apart = _degrees(alone[0] - alone[1])
  assert max(_degrees(whole.angle_deg[0] - a) for a in alone) <= apart + 2
  total = np.exp(whole.log_density[0]).mean() * 2 * np.pi
  assert total == pytest.approx(1, abs=1e-3)
  # Who starts from a run, or makes a model of it, takes one seed.
  with pytest.raises(errors.UserError, match="holds 2 runs"):
    finished.open_run(run)


def test_evaluated_elsewhere_it_keeps_its_calibration(run):
  config = train.config_of(run, {"eval.num_angles": 2})
  assert train.evaluate(config, run) == 0
  (into,) = run.glob("eval-*")
  whole = summary.read(into)
  assert "mae_deg" in whole["ensemble"]["test"]
  assert not (into / "ensemble" / "calibration.json").exists()
  before = json.loads((run / "ensemble" / "calibration.json").read_text())
  config = train.config_of(run, {"eval.tta": "rot90"})
  assert train.evaluate(config, run) == 0
  (other,) = set(run.glob("eval-*")) - {into}
  after = json.loads((other / "ensemble" / "calibration.json").read_text())
  assert after["value"] != before["value"]
