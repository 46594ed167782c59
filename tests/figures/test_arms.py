"""What the figures show, read from the artists that they are made of."""

import numpy as np
import pytest

from rotjax.figures import arms as arms_lib
from rotjax.figures import svg
from rotjax.metrics import across_seeds
from tests import run_folders


@pytest.fixture(autouse=True)
def _style():
  with svg.style():
    yield


def _estimate(mean, reach=0.5):
  return across_seeds.Estimate(mean, 0.1, mean - reach, mean + reach, 0.01, 3)


def _axes(figure):
  return figure.axes[0]


def _label(axis):
  return [text.get_text() for text in axis.get_ticklabels()]


def test_intervals_are_best_first_and_name_what_is_missing():
  found = {"b": _estimate(7.0), "a": _estimate(9.0), "c": _estimate(3.0)}
  values = {name: [e.mean] * 3 for name, e in found.items()}
  figure = arms_lib.intervals(found, values, {"d": "failed: no memory"}, 8.0)
  axes = _axes(figure)
  assert _label(axes.yaxis) == ["c", "b", "a", "d"]
  # The first arm is at the top.
  low, high = axes.get_ylim()
  assert low > high
  texts = {t.get_position()[1]: t.get_text() for t in axes.texts}
  assert texts[0] == "3.00  [2.50, 3.50]" and texts[3] == "failed: no memory"
  bars = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2]
  assert [2.5, 3.5] in [list(bar) for bar in bars]
  assert axes.get_xlabel().endswith("dotted: chance, 8")


@pytest.mark.parametrize(
  "chance,words",
  [(90.0, "to the right"), (1.0, "to the left"), (None, "differ")],
)
def test_a_chance_level_off_the_axis_is_told_in_words(chance, words):
  figure = arms_lib.intervals({"a": _estimate(4.0)}, {"a": [4.0]}, {}, chance)
  assert words in _axes(figure).get_xlabel()


def test_arms_far_apart_get_a_logarithmic_axis():
  found = {"a": _estimate(3.0), "b": _estimate(90.0)}
  figure = arms_lib.intervals(found, {"a": [3.0], "b": [90.0]}, {}, 90.0)
  assert _axes(figure).get_xscale() == "log"
  near = {"a": _estimate(3.0), "b": _estimate(4.0)}
  figure = arms_lib.intervals(near, {"a": [3.0], "b": [4.0]}, {}, 90.0)
  assert _axes(figure).get_xscale() == "linear"


def test_names_are_no_formulas_and_leave_room():
  names = ["a$b$c", 'id="i" x', "x" * 300, "\N{CJK UNIFIED IDEOGRAPH-4E2D}"]
  figure = arms_lib.intervals(
    {n: _estimate(4.0) for n in names}, {n: [4.0] for n in names}, {}, None
  )
  text = svg.svg(figure, "n", "n")
  assert ">a$b$c<" in text and '>id="i" x<' in text
  assert "x" * 50 not in text


def test_a_learning_curve_is_the_mean_of_the_seeds_at_their_common_steps():
  records = {
    0: [{"step": 1, "val/mae_deg": 4.0}, {"step": 2, "val/mae_deg": 2.0}],
    1: [{"step": 1, "val/mae_deg": 8.0}, {"step": 3, "val/mae_deg": 1.0}],
    2: [{"step": 1, "val/mae_deg": 3.0}, {"step": 1, "train/loss": 7.0}],
  }
  steps, mean, low, high = svg.series(records, "val/mae_deg")
  assert list(steps) == [1]
  assert (mean[0], low[0], high[0]) == (5.0, 3.0, 8.0)
  assert svg.series(records, "val/nll") is None
  diverged = {0: [{"step": 1, "val/mae_deg": float("nan")}]}
  drawn = arms_lib.learning_curves({"a": records, "b": diverged}, 90.0)
  assert list(drawn) == ["a"]


def test_small_figures_share_their_axis():
  arms = {
    "good": run_folders.predictions(1.0),
    "bad": run_folders.predictions(60.0),
  }
  drawn = arms_lib.by_angle(arms)
  assert list(drawn) == ["good", "bad"]
  (one, other) = (_axes(figure) for figure in drawn.values())
  assert one.get_ylim() == other.get_ylim() and one.get_yscale() == "log"


def test_a_donut_shows_clumps_where_they_are():
  p = run_folders.predictions()
  clumped = np.where(p.predicted_deg < 0, -90.0, 45.0)
  p = run_folders.metrics.Predictions(
    p.true_deg, clumped, p.example, p.label, p.angles
  )
  predicted, truth = _axes(svg.donut(p)).patches
  x, y = predicted.get_xy().T
  tall = np.hypot(x, y) > 1.5
  # Up is 0, counter-clockwise: 45 is to the upper left, -90 to the right.
  turn = np.rad2deg(np.arctan2(-x, y))[tall]
  near = np.minimum(abs(turn - 45), abs(turn + 90))
  assert tall.any() and near.max() < 8
  assert np.hypot(*truth.get_xy().T).max() < 1


def test_a_donut_fills_the_circle_with_the_period():
  p = run_folders.predictions(period_deg=180.0)
  axes = _axes(svg.donut(p))
  assert [t.get_text() for t in axes.texts] == ["0°", "45°", "90°", "-45°"]
  x, y = axes.patches[1].get_xy().T
  assert x.min() < -0.6 and x.max() > 0.6 and y.min() < -0.6 < 0.6 < y.max()


def test_risk_rises_where_entropy_knows_and_is_flat_where_it_is_constant():
  knows = run_folders.predictions()
  share, error = svg.risk([knows])
  assert share[-1] == 1 and error[-1] == pytest.approx(knows.error_deg.mean())
  assert np.all(np.diff(error) >= -1e-9) and error[0] < error[-1] / 2
  blind = run_folders.predictions(density=False)
  # The rounding of a table's entropy must not order the views.
  blind.scores["recalibrated_entropy"][:] += 3e-6 * blind.error_deg
  _, error = svg.risk([blind])
  np.testing.assert_allclose(error, blind.error_deg.mean())


def test_seeds_of_different_certainty_do_not_make_a_risk_curve():
  seeds = [run_folders.predictions(sd, density=False) for sd in (1.0, 9.0)]
  seeds[1].scores["recalibrated_entropy"][:] = 2.0
  _, error = svg.risk(seeds)
  np.testing.assert_allclose(error, error[0])


def test_reliability_of_uniform_ranks_is_the_diagonal():
  p = run_folders.predictions(density=False)
  rank = p.scores["recalibrated_hpd_rank"]
  rank[:] = (np.arange(rank.size).reshape(rank.shape) + 0.5) / rank.size
  diagonal, line = _axes(svg.reliability(p)).lines
  np.testing.assert_allclose(line.get_ydata(), line.get_xdata(), atol=0.02)
  del p.scores["recalibrated_hpd_rank"]
  assert arms_lib.reliability({"a": p}) == {}


@pytest.mark.parametrize(
  "values,expected",
  [([], (0.0, 1.0, False)), ([0.0, np.nan], (0.0, 1.0, False))],
)
def test_limits_of_nothing(values, expected):
  assert svg.limits([np.array(values)]) == expected


def test_an_svg_is_the_same_each_time_and_carries_no_address():
  texts = []
  for _ in range(2):
    figure = arms_lib.donuts({"a": run_folders.predictions()})["a"]
    texts.append(svg.svg(figure, "donut", 'a "quoted" <name>'))
  assert texts[0] == texts[1]
  assert "http" not in texts[0] and "<!" not in texts[0]
  assert 'aria-label="a &quot;quoted&quot; &lt;name&gt;"' in texts[0]
