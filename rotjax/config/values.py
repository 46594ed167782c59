"""Values of config fields: from text, in the field's own type."""

import ast
import math
import numbers
from typing import Any
import warnings

from rotjax import errors

# Steps, indices and sizes are int32 on the device; a seed is a uint32.
_LARGEST_INT = 2**31 - 1
_LARGEST_SEED = 2**32 - 1
# The device computes in float32 and takes what is smaller for zero.
_LARGEST_FLOAT, _SMALLEST_FLOAT = 3.4028234e38, 1.1754944e-38


def parse(key: str, value: Any, current: Any, item: type | None = None) -> Any:
  """A value, or what a text stands for, in the type of `current`.

  A whole number may be written as a float without a fraction: 1e3 is 1000.

  Args:
    key: the field, for messages.
    value: given.
    current: the field's value so far, whose type is kept.
    item: the type of a tuple's items; that of its first if None.

  Raises:
    UserError: it is not of that type, or no number that can be computed with.
  """
  kind = type(current)
  try:
    if kind is str:
      return _text(value)
    if isinstance(value, str):
      value = _literal(value, kind)
    if kind is tuple:
      items = value if isinstance(value, (tuple, list)) else (value,)
      if item is None and current:
        item = type(current[0])
      return tuple(_exact(x, item or type(x)) for x in items)
    return _exact(value, kind, _LARGEST_SEED if key == "seed" else _LARGEST_INT)
  except OverflowError as error:
    raise errors.UserError(f"--config.{key}={_shown(value)} {error}") from None
  except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
    raise errors.UserError(
      f"--config.{key}={_shown(value)} is not {_article(kind, item)}; it is"
      f" {current!r} by default"
    ) from None


def _shown(value: Any) -> str:
  try:
    text = str(value)
  except ValueError:  # an int of more digits than Python prints
    text = "a number of thousands of digits"
  text = "".join(c if c.isprintable() else "?" for c in text)
  return text if len(text) <= 80 else f"{text[:77]}..."


def _text(value: Any) -> str:
  if not isinstance(value, str) or "\0" in value:
    raise TypeError(value)
  return value


def _literal(text: str, kind: type) -> Any:
  """What a Python literal stands for."""
  words = {"true": True, "false": False}
  if kind is bool and text.strip().lower() in words:
    return words[text.strip().lower()]
  with warnings.catch_warnings():
    warnings.simplefilter("error")  # "0or" would print a SyntaxWarning
    try:
      return ast.literal_eval(text)
    except Warning as warning:
      raise ValueError(text) from warning


def _exact(value: Any, kind: type, largest: int = _LARGEST_INT) -> Any:
  is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
  if kind is float and is_number:
    return _float(value)
  if kind is int and is_number and value == value // 1:
    if not -_LARGEST_INT <= value <= largest:
      raise OverflowError(f"is too large: at most {largest}")
    return int(value)
  if kind not in (bool, int, float, str) or type(value) is not kind:
    raise TypeError(value)
  return _text(value) if kind is str else value


def _float(value: Any) -> float:
  number = float(value) if abs(value) <= _LARGEST_FLOAT else math.inf
  if not math.isfinite(number):
    raise OverflowError(
      f"is not finite: at most {_LARGEST_FLOAT:g}, as float32 holds"
    )
  if 0 < abs(number) < _SMALLEST_FLOAT:
    raise OverflowError(
      f"is zero in float32: 0, or at least {_SMALLEST_FLOAT:g}"
    )
  return number


def _article(kind: type, item: type | None) -> str:
  one = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
  }
  if kind is not tuple:
    return one.get(kind, f"a {kind.__name__}")
  named = {int: "whole numbers such as (3,)", float: "numbers such as (0.5,)"}
  anything = "texts or numbers such as (3,)"
  return f"a tuple of {named[item] if item in named else anything}"
