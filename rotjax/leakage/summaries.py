"""Estimators on summaries of views: what each family finds, and which cue."""

import dataclasses

import numpy as np

from rotjax.leakage import cues, estimators, evidence, samples


def _gains(estimator, folds, drawn, cue=""):
  """k -> gains, on the second part and on the third."""
  known, theta = drawn.of("fit", cue)
  estimator.fit(known, estimators.moments(theta, folds))
  found = []
  for part in ("select", "report"):
    features, theta = drawn.of(part, cue)
    found.append(estimators.gains(estimator.predict(features), theta, folds))
  return found


def find(
  name: str,
  drawn: samples.Samples,
  num_findings: int,
  folds: tuple[int, ...] = (),
  cue: str = "",
) -> evidence.Finding:
  """What one estimator finds at each k.

  Args:
    name: a key of `estimators.ESTIMATORS`.
    drawn: the views.
    num_findings: see `evidence.find`.
    folds: the k; the estimator's own if empty.
    cue: one group of summaries alone; all if empty.
  """
  estimator = estimators.ESTIMATORS[name]()
  select, report = _gains(estimator, folds or estimator.folds, drawn, cue)
  cluster = drawn.cluster[drawn.part == evidence.PARTS.index("report")]
  return evidence.find(
    {f"{k} x angle": gain for k, gain in select.items()},
    {f"{k} x angle": gain for k, gain in report.items()},
    cluster,
    num_findings,
  )


def permuted(drawn: samples.Samples, seed: int) -> samples.Samples:
  """The same views with each other's angles: nothing is to be found."""
  order = np.random.default_rng(seed).permutation(len(drawn.theta))
  return dataclasses.replace(drawn, theta=drawn.theta[order])


def telling(
  drawn: samples.Samples, name: str, k: int
) -> tuple[str, evidence.Finding]:
  """The group of summaries that tells most about k times the angle."""
  found = {
    cue: find(name, drawn, 1, (k,), cue)
    for cue in cues.CUES
    if drawn.features[cue].shape[1]
  }
  best = max(found, key=lambda cue: found[cue].nats)
  return best, found[best]
