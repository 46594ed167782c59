"""Answers to pages of text: the network's, made exact by what a page holds.

The network tells the rough turn; the lines set it exactly; where it knows the
full circle, the letters tell which way is up.
"""

from collections.abc import Sequence

import PIL.Image

from rotjax.prediction import answers as answers_lib
from rotjax.prediction import letters, lines

small = lines.small


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
    answers = letters.read(answers, pages, found)
  return answers, found
