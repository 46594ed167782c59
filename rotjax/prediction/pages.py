"""Answers to pages of text: the network's, made exact by what a page holds.

The network tells the rough turn; the lines set it exactly; where it knows the
full circle, another network reads in the letters which way is up.
"""

from collections.abc import Sequence

import PIL.Image

from rotjax.prediction import answers as answers_lib
from rotjax.prediction import letters, lines
from rotjax.prediction import predictor as predictor_lib

small = lines.small


def refined(
  answers: answers_lib.Answers,
  pages: Sequence[PIL.Image.Image],
  reads: predictor_lib.Predictor | None,
) -> tuple[answers_lib.Answers, list[lines.Found]]:
  """A network's answers to pages, set by their lines and their letters.

  Args:
    answers: to n pages.
    pages: the n pages, from `small`.
    reads: the network that reads letters; None leaves the way up as it is.

  Returns:
    The answers with other angles and odds, and what was found of each page.
  """
  answers, found = lines.refined(answers, pages)
  if reads is not None:
    answers = letters.read(answers, pages, found, reads)
  return answers, found
