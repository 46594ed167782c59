"""Crossed intervals: coverage by simulation, special cases by SciPy."""

import dataclasses

import numpy as np
import pytest
import scipy.stats

from rotjax.metrics import across_seeds, intervals
from rotjax.reporting import formats
from rotjax.reporting import table as table_lib
from tests import run_folders


def crossed(rng, num_seeds, num_images, seed_sd, image_sd, both_sd):
  """`[S, n]` scores of mean 10 with the three components of variance."""
  return (
    10
    + seed_sd * rng.normal(size=(num_seeds, 1))
    + image_sd * (rng.exponential(size=num_images) - 1)
    + both_sd * rng.normal(size=(num_seeds, num_images))
  )


def draws_of(scores, counts):
  return (counts @ scores.T).T / counts.sum(1)


@pytest.mark.parametrize(
  "seed_sd, image_sd, both_sd",
  [(0.3, 2.0, 1.0), (0.0, 2.0, 1.0), (0.5, 0.1, 0.1), (0.1, 0.5, 3.0)],
  ids=["all", "images", "seeds", "interaction"],
)
@pytest.mark.parametrize("num_seeds", [3, 5])
def test_the_interval_covers_the_mean(num_seeds, seed_sd, image_sd, both_sd):
  rng = np.random.default_rng(0)
  trials, hits = 300, 0
  for i in range(trials):
    scores = crossed(rng, num_seeds, 60, seed_sd, image_sd, both_sd)
    counts = intervals.resample_counts(60, 150, i)
    e = across_seeds.combine(scores.mean(1), draws_of(scores, counts), 60)
    hits += e.low <= 10 <= e.high
  # Two standard errors of 300 trials are .025; never far below .95.
  assert hits / trials >= 0.915
  assert hits / trials <= 1.0


def test_resampling_seeds_and_images_at_random_covers_less():
  """The reason for all this: three seeds resampled know their spread badly."""
  rng = np.random.default_rng(1)
  ours = nested = 0
  for i in range(200):
    scores = crossed(rng, 3, 60, 0.5, 0.5, 0.5)
    counts = intervals.resample_counts(60, 150, i)
    e = across_seeds.combine(scores.mean(1), draws_of(scores, counts), 60)
    ours += e.low <= 10 <= e.high
    seeds = rng.integers(0, 3, (150, 3))
    resampled = draws_of(scores, counts)[seeds, np.arange(150)[:, None]]
    low, high = np.quantile(resampled.mean(1), [0.025, 0.975])
    nested += low <= 10 <= high
  assert ours / 200 > 0.91 > 0.85 > nested / 200


def test_without_images_it_is_students_interval():
  values = np.array([3.0, 3.4, 2.9, 3.1])
  draws = np.repeat(values[:, None], 50, axis=1)  # images make no difference
  e = across_seeds.combine(values, draws, 100)
  wanted = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
  assert (e.low, e.high) == pytest.approx(tuple(wanted))
  assert e.p_value == pytest.approx(scipy.stats.ttest_1samp(values, 0).pvalue)
  assert e.sd == pytest.approx(values.std(ddof=1))


def test_one_seed_is_about_the_images_alone():
  rng = np.random.default_rng(2)
  image = rng.normal(5, 2, 200)
  counts = intervals.resample_counts(200, 4000, 0)
  e = across_seeds.combine(
    image.mean()[None], draws_of(image[None], counts), 200
  )
  wanted = scipy.stats.ttest_1samp(image, 0).confidence_interval(0.95)
  assert e.sd is None and e.num_seeds == 1
  # Without skewness; a normal sample has next to none.
  assert (e.low, e.high) == pytest.approx(tuple(wanted), abs=0.02)


@pytest.mark.parametrize("value", (0.0, 1.0, 1 / 3))
def test_no_spread_at_all_is_no_interval_and_no_p_value(value):
  e = across_seeds.combine(np.full(3, value), np.full((3, 20), value), 10)
  assert e.mean == pytest.approx(value)
  assert (e.low, e.high, e.p_value) == (None, None, None)


def test_the_p_value_is_below_5_percent_where_the_interval_leaves_out_zero():
  rng = np.random.default_rng(4)
  for i in range(60):
    image = rng.exponential(1, 15) - rng.uniform(0.2, 1.8)
    counts = intervals.resample_counts(15, 200, i)
    draws = draws_of(image[None], counts)
    e = across_seeds.combine(
      image.mean()[None], draws, 15, image - image.mean()
    )
    assert (e.p_value < 0.05) == (not e.low <= 0 <= e.high)
    assert e.low < e.mean < e.high


def test_a_summary_and_a_table_state_the_same_interval():
  p = run_folders.predictions(5.0, 0)
  for name in ("mae_deg", "median_deg", "acc_at_5", "nll"):
    e = across_seeds.sample(name, {0: p}).estimate()
    assert intervals.interval(p, name) == (e.low, e.high)


def test_a_difference_without_interval_is_a_number_alone():
  """One test picture gave "[+nan, +nan] p<.001"."""
  alone = {}
  for name, scale in (("a", 5.0), ("b", 6.0)):
    p = run_folders.predictions(scale, 0)
    views = {k: v[:1] for k, v in p.scores.items()}
    alone[name] = dataclasses.replace(
      p,
      true_deg=p.true_deg[:1],
      predicted_deg=p.predicted_deg[:1],
      example=p.example[:1],
      label=p.label[:1],
      scores=views,
    )
  a, b = (across_seeds.sample("mae_deg", {0: p}) for p in alone.values())
  e = a.minus(b)
  shown = formats.cell_text("difference", table_lib.Comparison(e, None))
  assert shown == f"{e.mean:+.2f} [–]"
  assert a.estimate().low is None
  cell = table_lib.Cell(a.estimate())
  assert formats.cell_text("mae_deg", cell) == f"{a.estimate().mean:.2f}"


def test_holm_by_hand():
  # Holm 1979: .01 x 4, .013 x 3, .03 x 2, .04 x 1, then made monotone.
  assert across_seeds.holm([0.03, 0.01, 0.04, 0.013]) == pytest.approx(
    [0.06, 0.04, 0.06, 0.04]
  )
  assert across_seeds.holm([0.5, 0.9]) == [1.0, 1.0]
  assert across_seeds.holm([]) == []


def test_a_paired_difference_is_far_surer_than_two_intervals():
  a = {s: run_folders.predictions(5.0, s) for s in range(3)}
  b = {s: run_folders.predictions(6.0, s) for s in range(3)}
  one, two = (across_seeds.sample("mae_deg", x) for x in (a, b))
  difference = one.minus(two)
  # The same noise, scaled: the difference is a sixth of the error.
  assert difference.mean == pytest.approx(-two.estimate().mean / 6)
  width = difference.high - difference.low
  assert width < 0.3 * (two.estimate().high - two.estimate().low)
  assert difference.p_value < 0.01


def test_other_images_or_seeds_are_not_paired():
  p = run_folders.predictions(5, 0)
  here = across_seeds.sample("mae_deg", {0: p})
  moved = dataclasses.replace(p, example=p.example + 1)
  other_images = across_seeds.sample("mae_deg", {0: moved})
  other_seed = across_seeds.sample("mae_deg", {4: p})
  assert here.minus(other_images) is None and here.minus(other_seed) is None
  assert here.minus(here).mean == 0


def test_metrics_that_are_no_mean_over_views_have_no_sample():
  p = {0: run_folders.predictions(5, 0)}
  for name in ("rmse_deg", "m8_excess", "crps_deg"):
    assert across_seeds.sample(name, p) is None
  for name in ("median_deg", "acc_at_5", "nll", "near_45"):
    assert across_seeds.sample(name, p) is not None
