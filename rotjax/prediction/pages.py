"""Answers to pages of text: the network's, made exact by what a page holds.

The network tells the rough turn; the lines set it exactly; where it knows the
full circle, the letters tell which way is up.
"""

from collections.abc import Sequence
import dataclasses

import numpy as np
import PIL.Image

from rotjax import angles as angles_lib
from rotjax.prediction import answers as answers_lib
from rotjax.prediction import letters, lines

small = lines.small
# Nats by which letters must tell before an answer is turned by a quarter, and
# how far from there their lines are looked for.
_LEAST_NATS, _REACH_DEG = 3.0, 5.0


def refined(
  answers: answers_lib.Answers,
  pages: Sequence[PIL.Image.Image],
  circle: bool,
) -> tuple[answers_lib.Answers, list[lines.Found]]:
  """A network's answers to pages, set by their lines and their letters.

  Args:
    answers: to n pages.
    pages: the n pages, from `small`.
    circle: whether they may be upside down: the network answers for every turn.

  Returns:
    The answers with other angles and odds, and what was found of each page.
  """
  answers, found = lines.refined(answers, pages)
  if circle:
    answers, found = _across(answers, pages, found)
    answers = letters.read(answers, pages, found)
  return answers, found


def _across(answers, pages, found):
  """Where a page has no lines as the network has it: those that it has across.

  They count where their letters can be read. The density is turned with the
  answer: how sure the network is says no more than how well it can tell.
  """
  angle_deg, log_density = answers.angle_deg.copy(), answers.log_density.copy()
  found = list(found)
  for n, page in enumerate(pages):
    if found[n].reason != lines.NO_LINES:
      continue
    other = lines.refine(page, float(angle_deg[n]) + 90, _REACH_DEG)
    if other.reason:
      continue
    if abs(letters.log_odds(page, float(other.angle_deg))) < _LEAST_NATS:
      continue
    moved = other.angle_deg - angle_deg[n]
    found[n] = dataclasses.replace(other, moved_deg=moved)
    angle_deg[n] = angles_lib.wrap(other.angle_deg, answers.period_deg)
    quarter = log_density.shape[1] // 4
    log_density[n] = np.roll(log_density[n], quarter)
  return (
    dataclasses.replace(answers, angle_deg=angle_deg, log_density=log_density),
    found,
  )
