"""Quarter turns are averaged only where the network was trained on them."""

import itertools

import numpy as np
import pytest

from rotjax import angles as angles_lib
from rotjax import errors, export, main, predict
from rotjax.config import base, load, resolve, validate
from rotjax.prediction import predictor
from rotjax.run import train
from tests import training

pytestmark = pytest.mark.usefixtures("quick_runs")

CLOSED = [
  {},
  {"range_deg": (0.0, 360.0)},
  {"range_deg": (-90.0, 90.0), "period_deg": 180.0},
  {"period_deg": 180.0},
  {"period_deg": 360 / 7},
  # A quarter turn is none there.
  {"range_deg": (-10.0, 10.0), "period_deg": 90.0},
  {"range_deg": (-5.0, 5.0), "period_deg": 30.0},
  {"distribution": "values", "values_deg": (0.0, 90.0, 180.0, 270.0)},
  {"distribution": "values", "values_deg": (-180.0, 90.0, -90.0, 720.0)},
  {"distribution": "values", "values_deg": (7.0, 97.0), "period_deg": 180.0},
  {"distribution": "values", "values_deg": (3.0,), "period_deg": 90.0},
  {"distribution": "grid", "step_deg": 22.5},
  {"distribution": "grid", "step_deg": 5.0, "range_deg": (-177.0, 183.0)},
  {"distribution": "grid", "step_deg": 0.1},
  {
    "distribution": "grid",
    "step_deg": 90.0,
    "range_deg": (0.0, 90.0),
    "period_deg": 180.0,
  },
]
OPEN = [
  {"range_deg": (-10.0, 10.0)},
  {"range_deg": (-45.0, 45.0)},
  {"range_deg": (-180.0, 170.0)},
  {"range_deg": (-45.0, 45.0), "period_deg": 180.0},
  {"range_deg": (0.0, 100.0), "period_deg": 120.0},
  {"distribution": "values", "values_deg": (0.0,)},
  {"distribution": "values", "values_deg": (0.0, 180.0)},
  {"distribution": "values", "values_deg": (0.0, 90.0, 180.0, 271.0)},
  {"distribution": "values", "values_deg": (0.0, 90.0)},
  {"distribution": "values", "values_deg": (0.0, 60.0), "period_deg": 120.0},
  {"distribution": "grid", "step_deg": 20.0},
  {"distribution": "grid", "step_deg": 7.0},
  {"distribution": "grid", "step_deg": 5.0, "range_deg": (-45.0, 45.0)},
]


def _brute_force(options):
  """Whether a dense sample of the drawn angles holds its own quarter turns."""
  angles = angles_lib.Angles(**options)
  sample = angles.quantiles_deg(720)
  near = 1e-6 if angles.distribution != "uniform" else 1.0
  for a in sample:
    apart = (sample - a - 90) % angles.period_deg
    if np.minimum(apart, angles.period_deg - apart).min() > near:
      return False
  return True


@pytest.mark.parametrize("options", CLOSED + OPEN)
def test_quarter_turns_are_found_in_what_is_drawn(options):
  closed = options in CLOSED
  assert _brute_force(options) == closed
  angles = angles_lib.Angles(**options)
  assert angles.has_turns(90.0) == closed
  angles.check_tta("none")
  if closed:
    angles.check_tta("rot90")
    return
  with pytest.raises(errors.UserError) as caught:
    angles.check_tta("rot90")
  message = str(caught.value)
  assert "rot90" in message and '"none"' in message and "\n" not in message
  field = [k for k in ("step_deg", "values_deg", "range_deg") if k in options]
  assert f"angles.{field[0]} = {options[field[0]]}" in message


@pytest.mark.parametrize("variant", sorted(base.VARIANTS))
def test_the_shipped_variants(variant):
  config = base.make(variant, {"eval.tta": "rot90"})
  if variant in ("deskew", "tilt", "as_found"):
    with pytest.raises(errors.UserError, match="rot90"):
      validate.check(config)
    # A run on the full circle may be asked about these.
    validate.check(config, trained=False)
  else:
    validate.check(config)


TINY = {
  **training.SMALL,
  "num_steps": 2,
  "model.widths": (4, 4, 4),
  "model.hidden": 8,
  "eval.num_angles": 2,
  "eval.warp": "own",
}
NARROW = {"angles.range_deg": (-10.0, 10.0)}


def _config(*overrides):
  merged = dict(itertools.chain(*(o.items() for o in (TINY, *overrides))))
  return resolve.apply(base.base(), merged)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
  folder = tmp_path_factory.mktemp("tta")
  for name, overrides in (("narrow", NARROW), ("full", {})):
    assert train.train(_config(overrides), folder / name) == 0
  return folder


def _snapshot(folder):
  return {
    p: (p.stat().st_mtime_ns, p.read_bytes())
    for p in folder.rglob("*")
    if p.is_file() and p.name != ".lock"
  }


@pytest.mark.slow
def test_a_narrow_run_is_neither_evaluated_nor_told_so(runs, tmp_path):
  run, out = runs / "narrow", tmp_path / "model.bin"
  before = _snapshot(run)
  rot90 = {"eval.tta": "rot90"}
  calls = [
    lambda: train.evaluate(_config(NARROW, rot90), run),
    # Not made right by other angles to be asked about.
    lambda: train.evaluate(_config(rot90), run),
    lambda: predictor.load(run, tta="rot90"),
    lambda: predict.main(["--workdir", str(run), "--tta", "rot90", "x.png"]),
    lambda: export.main(
      ["--workdir", str(run), "--out", str(out), "--tta", "rot90"]
    ),
  ]
  for call in calls:
    with pytest.raises(errors.UserError, match=r"\(-10.0, 10.0\) trains no"):
      call()
  assert _snapshot(run) == before and not out.exists()
  predictor.load(run, tta="none")


def test_training_is_refused_before_anything_is_written(tmp_path):
  (tmp_path / "narrow.py").write_text(
    "from rotjax.config import base\n"
    "def get_config(variant=''):\n"
    "  return base.make(variant, {'angles.range_deg': (-10.0, 10.0)})\n"
  )
  run = tmp_path / "run"
  argv = ["--config", str(tmp_path / "narrow.py"), "--workdir", str(run)]
  with pytest.raises(errors.UserError, match="rot90"):
    main.main([*argv, "--config.eval.tta=rot90"])
  assert not run.exists()
  assert load.load(str(tmp_path / "narrow.py")).eval.tta == "none"


@pytest.mark.slow
def test_a_full_run_is_asked_about_narrow_angles_so(runs):
  run = runs / "full"
  assert train.evaluate(_config(NARROW, {"eval.tta": "rot90"}), run) == 0
  predictor.load(run, tta="rot90")


@pytest.mark.slow
def test_eight_turns_in_predict_and_in_an_exported_model(runs, tmp_path):
  run, out = runs / "full", tmp_path / "model.bin"
  export.main(["--workdir", str(run), "--out", str(out), "--tta", "rot8"])
  picture = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
  in_folder, exported, single = (
    predictor.load(path, tta)([picture]).angle_deg[0]
    for path, tta in ((run, "rot8"), (out, None), (run, "none"))
  )
  assert in_folder == pytest.approx(exported, abs=1e-2)
  assert abs(in_folder - single) > 0.1
