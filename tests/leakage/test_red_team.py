"""No view with a leak that the audit does not know of passes."""

import pytest

from rotjax.image import view as view_lib
from rotjax.leakage import estimators, samples, summaries, verdict
from rotjax.leakage import sources as sources_lib
from tests.leakage import red_team

_FAST = ("contrast", "rim_dot", "row_flicker")


def _view():
  view = view_lib.View(center="canvas", fineness=3.0)
  return view.resolve(None, (40, 40))


@pytest.fixture(scope="module")
def strokes():
  return samples.fine(
    _view(), sources_lib.isotropic("strokes", 1600, (40, 40, 1), 0)
  )


def _verdict(sampler, view, sources):
  drawn = samples.observe(sampler, view, sources, 1, 0)[""]
  findings = {}
  for name in estimators.ESTIMATORS:
    findings[name] = summaries.find(name, drawn, 20)
    # As if every planted leak had been found: the easiest pass there is.
    outcome, _ = verdict.decide(findings, {})
    if outcome == "leaks":
      break  # the others cannot change it, and cost seconds
  return outcome, findings


@pytest.mark.slow
def test_strokes_through_a_clean_view_do_not_leak(strokes):
  outcome, findings = _verdict(_view(), _view(), strokes)
  assert outcome != "leaks"
  assert max(f.low for f in findings.values()) < verdict.LIMIT / 4


@pytest.mark.parametrize("name", _FAST)
def test_an_unknown_leak_does_not_pass(strokes, name):
  attacked = red_team.Attacked(_view(), red_team.PLANTS[name])
  outcome, _ = _verdict(attacked, _view(), strokes)
  assert outcome == "leaks"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*red_team.PLANTS} - {*_FAST}))
def test_no_unknown_leak_passes(strokes, name):
  images = strokes.images
  if name == "chroma":
    images = red_team.colour(images)
  attacked = red_team.Attacked(_view(), red_team.PLANTS[name])
  outcome, findings = _verdict(
    attacked, _view(), sources_lib.Sources(images, strokes.cluster)
  )
  assert outcome != "passes", findings


def test_white_noise_shows_the_pass_that_smooths_by_angle():
  view = view_lib.View(center="canvas", fineness=0.0).resolve(None, (40, 40))
  noise = sources_lib.isotropic("white", 1600, (40, 40, 1), 0)
  outcome, findings = _verdict(view, view, samples.fine(view, noise))
  assert outcome == "leaks"
  assert findings["linear"].chosen == "4 x angle"


def test_turning_about_the_wrong_point_is_found(strokes):
  view = view_lib.View(center="22.5,22.5", fineness=3.0)
  outcome, findings = _verdict(view, view, strokes)
  assert outcome == "leaks"
  assert findings["linear"].chosen == "1 x angle"


@pytest.mark.parametrize("crop", ["inscribed", "expand"])
def test_a_zooming_crop_is_found_though_it_knows_no_quadrant(crop):
  view = view_lib.View(center="canvas", crop=crop, fineness=0.0)
  view = view.resolve(None, (28, 28))
  sources = sources_lib.isotropic("strokes", 1600, (28, 28, 1), 0)
  outcome, findings = _verdict(view, view, sources)
  assert outcome == "leaks"
  assert findings["linear"].chosen in ("4 x angle", "8 x angle")
  assert findings["linear"].members["1 x angle"][1] < verdict.LIMIT
