"""Content-blind summaries of a view, and what each tells about the angle.

On images whose content is independent of the angle (`sources.preturned`) every
nat in a summary is an artefact, and the summary says which. NumPy; the
estimator is a multinomial logistic regression over directions.
"""

import math
import warnings

import numpy as np
from sklearn import exceptions, linear_model, preprocessing

_BINS = 24


def _grey(views: np.ndarray) -> np.ndarray:
  grey = views.mean(-1)
  return grey / max(float(grey.max()), 1e-9)


def _grid(side: int) -> tuple[np.ndarray, np.ndarray]:
  middle = (side - 1) / 2
  at = np.arange(side) - middle
  return at[:, None], at[None, :]


def centroid(grey: np.ndarray) -> np.ndarray:
  """Brightness centroid (y, x) about the canvas's centre, pixels."""
  y, x = _grid(grey.shape[1])
  total = np.maximum(grey.sum((1, 2)), 1e-9)
  return np.stack(
    [(grey * y).sum((1, 2)) / total, (grey * x).sum((1, 2)) / total], -1
  )


def border(grey: np.ndarray) -> np.ndarray:
  """Mean brightness at the four corners and the four sides."""
  n = max(grey.shape[1] // 7, 1)
  ends, middle = (slice(0, n), slice(-n, None)), slice(n, -n)
  corners = [grey[:, a, b].mean((1, 2)) for a in ends for b in ends]
  rows = [grey[:, a, middle].mean((1, 2)) for a in ends]
  columns = [grey[:, middle, a].mean((1, 2)) for a in ends]
  return np.stack(corners + rows + columns, -1)


def ink_area(grey: np.ndarray) -> np.ndarray:
  """Share of pixels that are not black, and their mean brightness."""
  ink = grey > 0.1
  area = ink.mean((1, 2))
  return np.stack([area, grey.mean((1, 2)) / np.maximum(area, 1e-9)], -1)


def high_frequency(grey: np.ndarray) -> np.ndarray:
  """Energy of the Laplacian against the image's own, logarithmic."""
  inner = grey[:, 1:-1, 1:-1]
  laplacian = (
    grey[:, :-2, 1:-1]
    + grey[:, 2:, 1:-1]
    + grey[:, 1:-1, :-2]
    + grey[:, 1:-1, 2:]
    - 4 * inner
  )
  energy = np.square(laplacian).mean((1, 2))
  own = inner.var((1, 2))
  return np.log((energy + 1e-6) / (own + 1e-6))[:, None]


def mid_grey(grey: np.ndarray) -> np.ndarray:
  """Share of pixels of intermediate brightness among those that are not black.

  What an interpolation makes of a sharp edge.
  """
  ink = np.maximum((grey > 0.1).sum((1, 2)), 1)
  middle = ((grey > 0.2) & (grey < 0.8)).sum((1, 2))
  return (middle / ink)[:, None]


def sharpness(grey: np.ndarray) -> np.ndarray:
  """Gradient energy along the axes against that along the diagonals."""
  axes = [grey[:, 1:, :] - grey[:, :-1, :], grey[:, :, 1:] - grey[:, :, :-1]]
  diagonals = [
    grey[:, 1:, 1:] - grey[:, :-1, :-1],
    grey[:, 1:, :-1] - grey[:, :-1, 1:],
  ]
  along = [np.square(g).mean((1, 2)) for g in axes + diagonals]
  energy = np.stack(along, -1) + 1e-9
  return np.log(energy / energy.sum(-1, keepdims=True))


# name -> (summary, the control that removes what it shows).
CUES = {
  "centroid": (centroid, "view.center=dataset, or view.center=centroid"),
  "border": (border, "view.mask=disc with view.crop=none or circle"),
  "ink_area": (ink_area, "view.crop=none or circle"),
  "high_frequency": (high_frequency, "view.passes=double"),
  "mid_grey": (mid_grey, "view.passes=double"),
  "sharpness": (sharpness, "view.passes=double"),
}


def gain(
  summary: np.ndarray,
  theta: np.ndarray,
  held_out_summary: np.ndarray,
  held_out_theta: np.ndarray,
) -> np.ndarray:
  """Nats that a summary gains over no knowledge, of each held-out view.

  Args:
    summary: `[n, d]` of views to fit on.
    theta: `[n]` their angles, radians.
    held_out_summary: `[m, d]`.
    held_out_theta: `[m]`.

  Returns:
    `[m]` log-probability of the true one of 24 directions plus log 24.
  """

  def bins(angle):
    return np.floor((angle / (2 * np.pi) % 1) * _BINS).astype(int)

  scale = preprocessing.StandardScaler().fit(summary)
  powers = preprocessing.PolynomialFeatures(3, include_bias=False)
  features, held_out = (
    powers.fit_transform(np.clip(scale.transform(x), -4, 4))
    for x in (summary, held_out_summary)
  )
  model = linear_model.LogisticRegression(C=0.1, max_iter=100)
  with warnings.catch_warnings():
    # A fit that stops early is a valid, slightly smaller, lower bound.
    warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
    model.fit(features, bins(theta))
  log_p = np.full((len(held_out), _BINS), -50.0)
  log_p[:, model.classes_] = model.predict_log_proba(held_out)
  chosen = log_p[np.arange(len(held_out)), bins(held_out_theta)]
  return chosen + math.log(_BINS)


def summarize(name: str, views: np.ndarray) -> np.ndarray:
  """`[n, size, size, C]` views -> `[n, d]`, the summary of that name."""
  return CUES[name][0](_grey(np.asarray(views, np.float64)))
