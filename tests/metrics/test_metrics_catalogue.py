"""The catalogue, the metrics that are computed and the glossary agree."""

import pathlib
import re

import numpy as np

from rotjax import angles as angles_lib
from rotjax import metrics
from rotjax.metrics import catalogue, clumping
from rotjax.reporting import tables

GLOSSARY = pathlib.Path(__file__).parents[2] / "docs" / "glossary.md"


def _logged():
  """The names of every metric of every kind, those of densities included."""
  angles = angles_lib.Angles("values", values_deg=(-90.0, 0.0, 90.0, -180.0))
  truth = angles.evaluation_deg(np.arange(20), 4)
  density = ("log_density", "crps_deg", "energy_score", "entropy", "hpd90_deg")
  density += ("resultant", "hpd_rank")
  scores = [*clumping.SATURATION, *density]
  scores += [f"recalibrated_{name}" for name in density]
  p = metrics.Predictions(
    truth,
    angles_lib.wrap(truth + 3.0, 360.0),
    *(np.arange(20), np.zeros(20), angles),
    scores={name: np.full(truth.shape, 0.5) for name in scores},
  )
  return metrics.compute(p)


def _rows_of(name):
  return [
    pattern
    for pattern in catalogue.METRICS
    if re.fullmatch(re.sub("<.>", "[0-9.]+", pattern), name)
  ]


def test_every_logged_metric_has_a_row_and_every_row_a_metric():
  used = set()
  for name in _logged():
    rows = _rows_of(name) or _rows_of(name.removeprefix("recalibrated_"))
    assert rows, f"{name} has no row in the catalogue"
    assert catalogue.row(name) is catalogue.METRICS[rows[0]]
    used.update(rows)
  assert used == set(catalogue.METRICS)


def test_the_glossary_explains_every_row_and_nothing_else():
  text = GLOSSARY.read_text().split("## At the end")[1].split("\n## ")[0]
  rows = [line for line in text.splitlines() if line.startswith("| `")]
  # Some names stand in the words, beside their sisters.
  explained = {n for row in rows for n in re.findall(r"`([\w<>]+)`", row)}
  explained -= {"by_class", "confusion", "test"}
  names = {n for n in catalogue.METRICS if not n.startswith("recalibrated_")}
  assert explained == names - {"coverage_90"}  # one of coverage_<p>


def test_a_recalibrated_or_other_column_has_the_plain_ones_direction():
  assert catalogue.row("recalibrated_aurc_deg").better == "lower"
  assert catalogue.row("other_warp.acc_at_0.05").better == "higher"
  assert catalogue.row("recalibrated_coverage_50").digits == 3
  assert catalogue.row("recalibrated_nll").title == "NLL, recalibrated"
  assert catalogue.row("of_my_own") == catalogue.Row()


def test_the_default_columns():
  assert tables.DEFAULT == (
    *("mae_deg", "difference", "other_warp.mae_deg", "median_deg", "nll"),
    *("recalibrated_nll", "recalibrated_crps_deg"),
    *("coverage_90", "recalibrated_coverage_90"),
    *("learning_rate", "parameters", "seconds", "seeds", "audit"),
  )
