"""`python -m rotjax.predict`: how far have these pictures been turned?"""

import argparse
from collections.abc import Iterator, Sequence
import json
import os
import sys
from typing import Any

from rotjax import cli, environment, paths

# Degrees from the answer within which the probability is told.
_WITHIN = (5, 15)


def main(argv: Sequence[str]) -> int:
  """Runs the command; returns its exit status, 2 if any picture was bad."""
  args = _parser().parse_args(argv)

  # Only now what takes seconds to import.
  environment.use_compile_cache(not args.no_compile_cache)
  from rotjax import errors, predictor

  sheet, folder = (
    path if path is None else paths.to_write(path, what)
    for path, what in (
      (args.contact_sheet, "--contact-sheet"),
      (args.upright, "--upright"),
    )
  )
  if sheet and sheet.exists():
    raise errors.UserError(f"{sheet} exists already and is not overwritten")
  if folder and folder.exists() and not folder.is_dir():
    raise errors.UserError(f"--upright {folder} is not a folder")
  flag = "--model" if args.workdir is None else "--workdir"
  source = args.model if args.workdir is None else args.workdir
  found = predictor.load(paths.absolute(source, flag), args.tta)
  command = _Command(found, folder, args.fit, sheet)
  rows = command.run(_paths(args.paths))
  if args.json:
    for row in rows:
      print(json.dumps(row), flush=True)
  else:
    print(table(list(rows), found.spec.period_deg), end="")
  command.write_sheet()
  return 2 if command.failed else 0


def _parser() -> argparse.ArgumentParser:
  p = cli.parser(
    "rotjax.predict",
    "Tell how far pictures have been turned, how sure that is, and turn them"
    " back. The angle is the counter-clockwise turn, as seen on the screen,"
    " that was applied to an upright picture.",
    "  python -m rotjax.predict --workdir runs/vonmises scan.png photos/\n"
    "  python -m rotjax.predict --model model.bin photos/ --upright upright"
    " --fit crop",
  )
  p.add_argument(
    "paths",
    nargs="+",
    metavar="PATH",
    help="files, folders with all below them, - for a list of paths on stdin",
  )
  source = p.add_mutually_exclusive_group(required=True)
  source.add_argument("--workdir", metavar="DIR", help="run folder")
  source.add_argument("--model", metavar="FILE", help="of rotjax.export")
  p.add_argument(
    "--tta",
    choices=("none", "rot90"),
    help="average over the four quarter turns; as the run's eval.tta if not",
  )
  p.add_argument("--json", action="store_true", help="a JSON object a line")
  p.add_argument(
    "--upright", metavar="OUT", help="write the pictures turned back into OUT"
  )
  p.add_argument(
    "--fit",
    choices=("expand", "crop", "same"),
    default="expand",
    help="all of the picture, no empty corners, or its own size",
  )
  p.add_argument(
    "--contact-sheet",
    metavar="F.png",
    help="draw before and after, of 48 pictures at most",
  )
  cli.add_common_flags(p)
  return p


def _paths(arguments: Sequence[str]) -> Iterator[str]:
  for argument in arguments:
    if argument != "-":
      yield argument
      continue
    for line in sys.stdin.buffer.read().splitlines():
      if line:
        yield os.fsdecode(line)


def shown(path: str | os.PathLike) -> str:
  """A path on one line, whatever bytes it has."""
  return "".join(c if c.isprintable() else "?" for c in os.fspath(path))


class _Command:
  """Pictures to rows; keeps count of what failed and what was drawn."""

  def __init__(self, predictor, folder, fit, sheet):
    self.failed = 0
    self._predictor, self._folder, self._fit = predictor, folder, fit
    self._sheet, self._pairs = sheet, []

  def _fail(self, path, error) -> None:
    self.failed += 1
    print(f"rotjax: {shown(path)}: {error}", file=sys.stderr, flush=True)

  def run(self, paths: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Yields what is told of each picture that can be read."""
    from rotjax import predictor

    batch = []
    for item in self._squares(paths):
      batch.append(item)
      if len(batch) == predictor.BATCH:
        yield from self._rows(batch)
        batch = []
    if batch:
      yield from self._rows(batch)

  def _squares(self, paths):
    from rotjax import pictures

    for found in pictures.find(paths):
      if not isinstance(found, pictures.Found):
        self._fail(*found)
        continue
      try:
        picture = pictures.read(found.path)
        yield found, pictures.square(picture, self._predictor.spec)
      except pictures.Unusable as error:
        self._fail(found.path, error)

  def _rows(self, batch):
    import numpy as np

    answers = self._predictor.answer(np.stack([square for _, square in batch]))
    within = [answers.within(degrees) for degrees in _WITHIN]
    second = zip(*answers.second_mode())
    for n, ((found, _), (also, share)) in enumerate(zip(batch, second)):
      row = {"path": found.path, "angle_deg": round(answers.angle_deg[n], 4)}
      for degrees, probability in zip(_WITHIN, within):
        row[f"within_{degrees}_deg"] = round(probability[n], 4)
      row["second_mode"] = None
      if not np.isnan(also):
        row["second_mode"] = {
          "angle_deg": round(also, 4),
          "within_15_deg": round(share, 4),
        }
      self._turn_back(found, answers.angle_deg[n], row)
      yield row

  def _turn_back(self, found, angle_deg, row) -> None:
    """Writes and draws what was asked for; the pictures are read again, for
    all of a batch in full size may not fit into memory."""
    from rotjax import answers, pictures, upright

    draw = self._sheet and len(self._pairs) < upright.SHEET_LIMIT
    if not (self._folder or draw):
      return
    out = self._folder and self._folder / found.name
    try:
      picture = pictures.read(found.path)
      if draw:
        words = f"{shown(found.name)}\n{answers.in_words(angle_deg)}"
        self._pairs.append(upright.pair(picture, angle_deg, self._fit, words))
      if out:
        turned = upright.turn_back(picture, angle_deg, self._fit)
        upright.save(turned, found.path, out)
        row["upright"] = str(out)
    except pictures.Unusable as error:
      self._fail(out or found.path, error)

  def write_sheet(self) -> None:
    """Writes the contact sheet, if there is anything to draw."""
    from rotjax import pictures, upright

    if not self._pairs:
      return
    try:
      upright.contact_sheet(self._pairs, self._sheet)
    except pictures.Unusable as error:
      self._fail(self._sheet, error)


def _signed(angle_deg: float) -> str:
  text = f"{angle_deg:+.1f}°"
  return "0.0°" if text in ("+0.0°", "-0.0°") else text


def table(rows: Sequence[dict[str, Any]], period_deg: float) -> str:
  """What was told of the pictures, as text; "" for none."""
  from rotjax import answers

  if not rows:
    return ""
  head = ["picture", "angle", ""]
  lines = [[*head, *(f"within {d}°" for d in _WITHIN), "or else"]]
  for row in rows:
    angle, second = row["angle_deg"], row["second_mode"]
    also = ""
    if second:
      also = f"{_signed(second['angle_deg'])} ({second['within_15_deg']:.0%})"
    sure = [f"{row[f'within_{d}_deg']:.0%}" for d in _WITHIN]
    words = answers.in_words(angle)
    lines.append([shown(row["path"]), _signed(angle), words, *sure, also])
  widths = [max(map(len, column)) for column in zip(*lines)]
  left = (0, 2)
  text = [
    "  ".join(
      f"{cell:<{w}}" if i in left else f"{cell:>{w}}"
      for i, (cell, w) in enumerate(zip(line, widths))
    ).rstrip()
    for line in lines
  ]
  if period_deg < 360:
    text.append(f"Angles are known modulo {period_deg:g}°.")
  return "\n".join(text) + "\n"


if __name__ == "__main__":
  cli.run(main)
