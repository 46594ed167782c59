"""The probability of each direction, as a ring: one picture's answer."""

import math

import numpy as np

from rotjax.figures import panels, svg
from rotjax.figures.drawing import matplotlib

_INNER, _TALLEST = 0.55, 0.42


def ring(density: np.ndarray, angle_deg: float, period_deg: float) -> str:
  """Draws a density around a circle, up being zero, counter-clockwise.

  Args:
    density: `[n]` at period ((k + 1/2)/n - 1/2), of any unit.
    angle_deg: the answer, marked.
    period_deg: fills the circle.

  Returns:
    An <svg> element. The peak has the same height whatever it is: a sure answer
    is a thin one, and one that knows nothing a broad ring.
  """
  density = np.asarray(density, np.float64)
  turn = 2 * np.pi * ((np.arange(density.size) + 0.5) / density.size - 0.5)
  height = np.sqrt(density / max(density.max(), np.finfo(np.float64).tiny))
  outer = _INNER + _TALLEST * np.append(height, height[0])
  turn = np.append(turn, turn[0] + 2 * np.pi)
  both = np.concatenate([turn, turn[::-1]])
  radius = np.concatenate([outer, np.full_like(outer, _INNER)])
  with svg.style():
    figure = matplotlib.figure.Figure((2.6, 2.6))
    axes = figure.add_axes((0, 0, 1, 1), frameon=False)
    axes.fill(
      -radius * np.sin(both), radius * np.cos(both), color=panels.BLUE, lw=0
    )
    circle = np.linspace(0, 2 * np.pi, 181)
    axes.plot(
      _INNER * np.sin(circle), _INNER * np.cos(circle), "k", linewidth=0.6
    )
    for k in range(8):
      x, y = -math.sin(k * math.pi / 4), math.cos(k * math.pi / 4)
      axes.plot(
        [_INNER * x, 0.92 * _INNER * x], [_INNER * y, 0.92 * _INNER * y], "k",
        linewidth=0.6,
      )  # fmt: skip
      if k % 2 == 0:
        words = f"{(k if k < 6 else -2) * period_deg / 8:g}°"
        near = 0.72 * _INNER
        axes.text(near * x, near * y, words, ha="center", va="center", size=8)
    at = 2 * math.pi * angle_deg / period_deg
    x, y = -math.sin(at), math.cos(at)
    reach = 1.02 * (_INNER + _TALLEST)
    axes.plot(
      [_INNER * x, reach * x], [_INNER * y, reach * y], color=panels.ORANGE,
      linewidth=1.4,
    )  # fmt: skip
    axes.set(aspect="equal", xlim=(-1.02, 1.02), ylim=(-1.02, 1.02))
    axes.set(xticks=[], yticks=[])
    words = f"The answer, {angle_deg:.1f}°, and how probable each direction is"
    return svg.svg(figure, "ring", words)
