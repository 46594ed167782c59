"""Which angles a figure is about, and which thresholds mean something."""

import numpy as np
import pytest

from rotjax import angles as angles_lib
from rotjax import metrics
from rotjax.metrics import extent

QUARTERS = (0.0, 90.0, 180.0, 270.0)


def _values(*values, period=360.0):
  return angles_lib.Angles("values", values_deg=values, period_deg=period)


@pytest.mark.parametrize(
  "angles,arc",
  [
    (angles_lib.Angles(), (-180, 180)),
    (angles_lib.Angles(range_deg=(0.0, 360.0)), (-180, 180)),
    (angles_lib.Angles(range_deg=(-10.0, 10.0)), (-10, 10)),
    (angles_lib.Angles(range_deg=(350.0, 370.0)), (350, 370)),
    (angles_lib.Angles("grid", range_deg=(-45.0, 45.0)), (-45, 45)),
    (angles_lib.Angles(period_deg=180.0), (-90, 90)),
    (angles_lib.Angles(range_deg=(-5.0, 5.0), period_deg=180.0), (-5, 5)),
    # No quarter lies where the circle is cut.
    (_values(*QUARTERS), (-45, 315)),
    (_values(-3.0, 0.0, 4.0), (-3, 4)),
    (_values(358.0, 1.0), (-2, 1)),
    (_values(0.0, 90.0), (0, 90)),
    (_values(0.0), (-180, 180)),
    (_values(179.0, 1.0, period=180.0), (-1, 1)),
  ],
)
def test_arcs(angles, arc):
  assert extent.arc_deg(angles) == pytest.approx(arc)
  low, high = extent.arc_deg(angles)
  every = extent.onto(angles.quantiles_deg(), (low, high), angles.period_deg)
  assert every.min() >= low - 1e-9 and every.max() <= high + 1e-9


@pytest.mark.parametrize(
  "width,within,auc",
  [
    (360, (2, 5, 10, 30), 10),
    (180, (1, 2, 5, 10), 10),
    (90, (0.5, 1, 2, 5), 10),
    (20, (0.25, 0.5, 1, 2), 2),
    (4, (0.05, 0.1, 0.25), None),
    (0.1, (0.05,), None),
  ],
)
def test_thresholds_follow_the_range(width, within, auc):
  assert extent.within_deg(width) == within
  assert extent.auc_deg(width) == auc


@pytest.mark.parametrize("reach", [2.0, 10.0, 45.0, 90.0, 180.0])
def test_every_threshold_is_a_metric_that_chance_does_not_reach(reach):
  angles = angles_lib.Angles(range_deg=(-reach, reach))
  level = metrics.chance(angles)
  for t in extent.within_deg(2 * reach):
    # A constant answer is within t of the truths on 2 t of the arc.
    assert level[f"acc_at_{t:g}"] == pytest.approx(t / reach, abs=2e-3)
    assert t <= 0.2 * reach


def test_the_protocol_of_an_older_run_has_its_range():
  assert extent.arc_of({}) == (-180, 180)
  assert extent.arc_of({"range_deg": [-10, 10], "period_deg": 180}) == (-10, 10)
  assert extent.arc_of({"range_deg": [-180, 180], "period_deg": 180}) == (
    *(-90, 90),
  )
  assert extent.arc_of({"range_deg": [-180, 180], "arc_deg": [-2, 3]}) == (
    -2,
    3,
  )


def test_angles_are_moved_by_whole_periods():
  found = extent.onto(np.array([0.0, 350.0, -10.0, 181.0]), (350.0, 370.0), 360)
  np.testing.assert_allclose(found, [360, 350, 350, 181])
