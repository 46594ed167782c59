"""docs/options.md: as the code has it, and complete."""

import re

import ml_collections

from docs import make_options
from rotjax.config import base

PAGE = make_options.PAGE.read_text()
ROWS = re.findall(r"^\| `(\S+)` \| (`.*?`) \| (.*) \|$", PAGE, re.MULTILINE)


def test_the_page_is_the_one_that_the_code_makes():
  assert PAGE == make_options.text(), "run: python docs/make_options.py"


def test_every_option_of_a_run_is_on_the_page():
  flat = {}

  def add(section, prefix):
    for key, value in section.items():
      if isinstance(value, ml_collections.ConfigDict):
        add(value, f"{prefix}{key}.")
      else:
        flat[prefix + key] = value

  add(base.base(), "")
  choices = {key for key in flat if key.endswith(".name")}
  shown = {key for key, *_ in ROWS}
  assert set(flat) - choices <= shown
  assert all(f"## {key} = {flat[key]}\n" in PAGE for key in choices)
  default = {key: default for key, default, _ in ROWS}
  assert default["batch_size"] == f"`{flat['batch_size']}`"
  assert default["eval.warp"] == f'`"{flat["eval.warp"]}"`'


def test_every_option_has_a_meaning():
  missing = [key for key, _, meaning in ROWS if not meaning]
  assert not missing, "a comment or an attribute's line is to be added"


def test_comments_are_read_from_above_their_options():
  def example():
    config = ml_collections.ConfigDict()
    # One line,
    # and another.
    config.first = 1
    config.second = 2
    config.inner = ml_collections.ConfigDict(
      {
        # Of the third.
        "third": 3,
      }
    )
    return config

  assert make_options.commented(example) == {
    "first": "One line, and another.",
    "second": "",
    "inner": "",
    "inner.third": "Of the third.",
  }


def test_attributes_are_those_of_the_class_and_its_parents():
  class Parent:
    """A parent.

    Attributes:
      one: of the parent, over
        two lines.
      two: of the parent.
    """

  class Child(Parent):
    """A child.

    Attributes:
      two: of the child.
      one, three: see `Parent`.
    """

  assert make_options.attributes(Child) == {
    "one": "of the parent, over\n    two lines.",
    "two": "of the child.",
    "three": "see `Parent`.",
  }
