"""Errors that a person can act on: one line, no traceback."""

from collections.abc import Iterable
import difflib

_LISTED = 30


class UserError(ValueError):
  """Wrong input: the message names the value, what is valid, what to do.

  Commands print it as one line on stderr and exit with status 2; nothing has
  been overwritten when it is raised.
  """


class ToldElsewhereError(UserError):
  """The mistake of another process of the job, which has told it."""


def check_range(field: str, value: float, low: float, high: float) -> None:
  """Raises UserError unless a field's number is from `low` to `high`.

  Args:
    field: as it is called in a config.
    value: of the field; NaN is in no range.
    low: the least that is valid.
    high: the most that is.
  """
  if not low <= value <= high:
    raise UserError(
      f"{field} = {value} is not in {_plain(low)} ... {_plain(high)}"
    )


def check_share(field: str, value: float) -> None:
  """Raises UserError unless a field's number is from 0 to below 1."""
  if not 0 <= value < 1:
    raise UserError(f"{field} = {value} is not a share: from 0 to below 1")


def choose(field: str, name: str, valid: Iterable[str]) -> None:
  """Raises `unknown` unless a field's name is one of `valid`."""
  if name not in valid:
    raise unknown(field, name, valid)


def _plain(number: float) -> str:
  return str(number) if isinstance(number, int) else f"{number:g}"


def unknown(
  kind: str, name: str, valid: Iterable[str], meant: Iterable[str] = ()
) -> UserError:
  """The error for a name that is not one of `valid`, nearest names first.

  Args:
    kind: what the name stands for ("head", "config field", ...).
    name: the name given.
    valid: the names that exist.
    meant: those of `valid` that are likely meant; found by spelling if empty.

  Returns:
    The error, to be raised by the caller.
  """
  valid = sorted(valid)
  near = list(meant) or difflib.get_close_matches(name, valid, n=3, cutoff=0.5)
  hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
  others = [v for v in valid if v not in near]
  # A hundred metrics after the near ones would bury them.
  if near and len(others) > _LISTED:
    others[_LISTED:] = [f"and {len(others) - _LISTED} more"]
  rest = ", ".join(others)
  listed = f"{', '.join(near)}{', ' if near and rest else ''}{rest}"
  return UserError(f"unknown {kind} {name!r}: {hint}valid: {listed}")


class Stopped(Exception):
  """The run was told to stop; what it had is saved and can be resumed."""
