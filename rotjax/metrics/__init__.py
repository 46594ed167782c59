"""Metrics: one kind a file, each `compute(predictions) -> {name: number}`.

A new kind is one file and one line in `METRICS` (and one in `CHANCE`, where a
prediction that looks at no image has a level worth printing); how each number
is shown is a row of `catalogue`. All run on the host, in NumPy and float64, on
`Predictions`; what has to be computed beside the network, from its density, is
`probabilistic.density_scores`.

    results = metrics.compute(p)
    levels = {f"chance_{k}": v for k, v in metrics.chance(p.angles).items()}
"""

import numpy as np

from rotjax import angles as angles_lib
from rotjax.metrics import (
  angular,
  clumping,
  discrete,
  equivariance,
  probabilistic,
)
from rotjax.metrics.predictions import Predictions as Predictions

METRICS = {
  "angular": angular.compute,
  "clumping": clumping.compute,
  "discrete": discrete.compute,
  "equivariance": equivariance.compute,
  "probabilistic": probabilistic.compute,
}
CHANCE = {
  "angular": angular.chance,
  "clumping": clumping.chance,
  "discrete": discrete.chance,
  "probabilistic": probabilistic.chance,
}


def compute(p: Predictions) -> dict[str, float]:
  """Every metric of every kind that the predictions allow."""
  return {k: v for kind in METRICS.values() for k, v in kind(p).items()}


def chance(angles: angles_lib.Angles) -> dict[str, float]:
  """What a prediction that looks at no image gets, by the metric's own name.

  Metrics for which no such level makes sense are not in it.
  """
  return {k: v for kind in CHANCE.values() for k, v in kind(angles).items()}


def quick(p: Predictions) -> dict[str, float]:
  """The metrics worth their time at every validation: errors, and the NLL."""
  nll = {}
  if "log_density" in p.scores:
    nll["nll"] = float(-np.mean(p.scores["log_density"]))
  return angular.error_metrics(p.error_deg, p.angles.period_deg) | nll
