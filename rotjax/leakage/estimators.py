"""Estimators that read the angle off summaries of a view.

Each predicts, for several k, the mean of cos(k a) and sin(k a) given the
summaries, and states the von Mises density of k a that has these moments. Its
mean log-density over the uniform one, on originals that it has not seen, is a
lower bound of the information about k a, and so about a. A cue that fixes the
angle only modulo 360/k degrees shows at that k.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import scipy.special

# 4, 8, 12 and 36 for cues modulo 90, 45, 30 and 10 degrees.
FOLDS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 18, 24, 36)
# Of boosting, which costs seconds for each.
MAIN_FOLDS = (1, 2, 4, 8, 12, 36)
_SCREENED = 48


class Estimator(Protocol):
  """A regression of `[n, 2 K]` moments on `[n, d]` summaries."""

  def fit(self, features: np.ndarray, moments: np.ndarray) -> "Estimator":
    """Learns from views whose angles are known."""

  def predict(self, features: np.ndarray) -> np.ndarray:
    """`[m, d]` -> `[m, 2 K]`."""


class Linear:
  """Ridge regression on the standardised summaries and their squares."""

  folds = FOLDS

  def fit(self, features: np.ndarray, moments: np.ndarray) -> "Linear":
    from sklearn import linear_model, preprocessing

    self._scale = preprocessing.StandardScaler().fit(features)
    # The penalty is chosen for each moment by leave-one-out.
    self._model = linear_model.RidgeCV(
      np.geomspace(30, 3e5, 6), alpha_per_target=True
    )
    self._model.fit(self._expand(features), moments)
    return self

  def _expand(self, features):
    z = np.clip(self._scale.transform(features), -4, 4)
    return np.concatenate([z, np.square(z)], -1)

  def predict(self, features: np.ndarray) -> np.ndarray:
    return self._model.predict(self._expand(features))


def _screen(features: np.ndarray, moments: np.ndarray) -> np.ndarray:
  """The summaries that tell most of any moment, alone and by any function.

  By the variance of a moment's means over 16 quantiles of the summary.
  """
  edges = np.arange(1, 16) / 16
  score = np.empty(features.shape[1])
  for i, column in enumerate(features.T):
    # Equal values fall into one bin, however many there are.
    bins = np.searchsorted(np.unique(np.quantile(column, edges)), column)
    count = np.maximum(np.bincount(bins), 1)
    means = [np.bincount(bins, m) / count for m in moments.T]
    spread = [(count * (m - m @ count / len(column)) ** 2).sum() for m in means]
    score[i] = max(spread) / max(len(count) - 1, 1)
  return np.argsort(-score)[:_SCREENED]


class Boosting:
  """Gradient-boosted trees, a regression for each moment."""

  folds = MAIN_FOLDS

  def fit(self, features: np.ndarray, moments: np.ndarray) -> "Boosting":
    from sklearn import ensemble

    self._models = []
    for i in range(0, moments.shape[1], 2):
      pair = moments[:, i : i + 2]
      # Trees cost in proportion to the columns, of which most tell nothing.
      kept = _screen(features, pair)
      for column in pair.T:
        model = ensemble.HistGradientBoostingRegressor(
          max_iter=60,
          learning_rate=0.08,
          max_leaf_nodes=8,
          min_samples_leaf=60,
          l2_regularization=5.0,
          early_stopping=False,
        )
        self._models.append((kept, model.fit(features[:, kept], column)))
    return self

  def predict(self, features: np.ndarray) -> np.ndarray:
    columns = [m.predict(features[:, kept]) for kept, m in self._models]
    return np.stack(columns, -1)


ESTIMATORS: dict[str, type[Linear] | type[Boosting]] = {
  "linear": Linear,
  "boosting": Boosting,
}


def moments(theta: np.ndarray, folds: Sequence[int]) -> np.ndarray:
  """`[n]` radians -> `[n, 2 K]`: cos k theta and sin k theta of each k."""
  waves = [f(k * theta) for k in folds for f in (np.cos, np.sin)]
  return np.stack(waves, -1)


def gains(
  predicted: np.ndarray, theta: np.ndarray, folds: Sequence[int]
) -> dict[int, np.ndarray]:
  """Nats that predicted moments gain over the uniform density.

  Args:
    predicted: `[n, 2 K]`, see `moments`.
    theta: `[n]` true angles, radians.
    folds: the K values of k.

  Returns:
    k -> `[n]`: log-density of k theta minus that of the uniform one.
  """
  found = {}
  for i, k in enumerate(folds):
    c, s = predicted[:, 2 * i], predicted[:, 2 * i + 1]
    length = np.clip(np.hypot(c, s), 1e-9, 0.98)
    # Banerjee et al. 2005, eq. 4.4: the concentration of that mean length.
    kappa = length * (2 - length**2) / (1 - length**2)
    aligned = np.cos(k * theta - np.arctan2(s, c))
    log_i0 = np.log(scipy.special.i0e(kappa)) + kappa
    found[k] = kappa * aligned - log_i0
  return found
