"""`python -m rotjax.predict`: how far have these pictures been turned?"""

import argparse
from collections.abc import Iterator, Sequence
import json
import os
import sys
from typing import Any

from rotjax import cli, files
from rotjax.cli import environment

# Degrees from the answer within which the probability is told.
_WITHIN = (5, 15)
# Of what was left out of a file, so much is named.
_LISTED = 6
_NO_MEMORY = "needs more memory than there is"


def main(argv: Sequence[str]) -> int:
  """Runs the command; returns its exit status, 2 if any picture was bad."""
  args = _parser().parse_args(argv)

  # Only now what takes seconds to import.
  environment.use_compile_cache(not args.no_compile_cache)
  from rotjax import errors
  from rotjax.prediction import contact_sheet, outputs, predictor

  sheet, folder = args.contact_sheet, args.upright
  if sheet is not None:
    sheet = contact_sheet.final_name(files.to_write(sheet, "--contact-sheet"))
  if folder is not None:
    folder = files.to_write(folder, "--upright")
    if os.path.lexists(folder) and not folder.is_dir():
      raise errors.UserError(f"--upright {folder} is not a folder")
  flag = "--model" if args.workdir is None else "--workdir"
  source = args.model if args.workdir is None else args.workdir
  found = predictor.load(files.absolute(source, flag), args.tta)
  command = _Command(found, folder and outputs.Folder(folder), args.fit, sheet)
  rows = command.run(_paths(args.paths))
  if args.json:
    for row in rows:
      print(json.dumps(row), flush=True)
  else:
    print(table(list(rows), found.spec), end="")
  command.finish()
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
    choices=("none", "rot90", "rot8"),
    help="average over four or eight turns; as the run's eval.tta if not",
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


def _tell(path, words) -> None:
  print(f"rotjax: {shown(path)}: {words}", file=sys.stderr, flush=True)


class _Command:
  """Pictures to rows; keeps count of what failed and what was drawn."""

  def __init__(self, predictor, folder, fit, sheet):
    self.failed = 0
    self._predictor, self._folder, self._fit = predictor, folder, fit
    self._sheet, self._pairs = sheet, []
    self._own = []

  def _fail(self, path, error) -> None:
    self.failed += 1
    _tell(path, error)

  def run(self, paths: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Yields what is told of each picture that can be read."""
    from rotjax.prediction import predictor

    batch = []
    for item in self._squares(paths):
      batch.append(item)
      if len(batch) == predictor.BATCH:
        yield from self._rows(batch)
        batch = []
    if batch:
      yield from self._rows(batch)

  def _squares(self, paths):
    from rotjax.image import picture_files, pictures
    from rotjax.prediction import contact_sheet, outputs

    for found in picture_files.find(paths):
      if not isinstance(found, picture_files.Found):
        (self._fail if found.wanted else _tell)(found.path, found.reason)
        continue
      try:
        if self._folder and outputs.is_result(found.path):
          self._own.append(found.path)
          continue
        picture = pictures.read(found.path)
        if contact_sheet.is_one(picture):
          self._own.append(found.path)
          continue
        frames = pictures.frames(found.path)
        if frames > 1:
          _tell(found.path, f"only the first of its {frames} frames is seen")
        yield found, pictures.square(picture, self._predictor.spec)
      except pictures.Unusable as error:
        self._fail(found.path, error)
      except MemoryError:
        self._fail(found.path, _NO_MEMORY)

  def _rows(self, batch):
    import numpy as np

    answers = self._predictor.answer(np.stack([square for _, square in batch]))
    within = [answers.within(degrees) for degrees in _WITHIN]
    second = zip(*answers.second_mode())
    spec = self._predictor.spec
    trained = {
      f"trained_{kind}_deg": getattr(spec, f"trained_{kind}_deg")
      for kind in ("range", "values")
    }
    for n, ((found, _), (also, share)) in enumerate(zip(batch, second)):
      if not np.isfinite([answers.angle_deg[n], *(p[n] for p in within)]).all():
        self._fail(found.path, "the network's answer is not a number")
        continue
      row = {"path": found.path, "angle_deg": round(answers.angle_deg[n], 4)}
      for degrees, probability in zip(_WITHIN, within):
        row[f"within_{degrees}_deg"] = round(probability[n], 4)
      row["second_mode"] = None
      if not np.isnan(also):
        row["second_mode"] = {
          "angle_deg": round(also, 4),
          "within_15_deg": round(share, 4),
        }
      row |= {"blank": bool(answers.blank[n]), **trained}
      self._turn_back(found, answers.angle_deg[n], row)
      yield row

  def _turn_back(self, found, angle_deg, row) -> None:
    """Writes and draws what was asked for; the pictures are read again, for
    all of a batch in full size may not fit into memory."""
    from rotjax.image import pictures
    from rotjax.prediction import answers, contact_sheet

    draw = self._sheet and len(self._pairs) < contact_sheet.LIMIT
    if not (self._folder or draw):
      return
    out = self._folder and self._folder.path / found.name
    try:
      picture = pictures.read(found.path)
      if draw:
        words = f"{shown(found.name)}\n{answers.in_words(angle_deg)}"
        self._pairs.append(
          contact_sheet.pair(picture, angle_deg, self._fit, words)
        )
      if out:
        self._write(picture, found, angle_deg)
        row["upright"] = str(out)
    except pictures.Unusable as error:
      self._fail(out or found.path, error)
    except MemoryError:
      self._fail(out or found.path, _NO_MEMORY)

  def _write(self, picture, found, angle_deg) -> None:
    from rotjax.image import picture_files, pictures
    from rotjax.prediction import rewrite, upright

    self._folder.check_new(found.name)
    kind = rewrite.original(found.path)
    turned = upright.turn_back(picture, angle_deg, self._fit)
    data, changed = rewrite.encode(turned, kind)
    with pictures.refusing():
      picture_files.mark_upright(self._folder.path)
    self._folder.write(found.name, data, found.path)
    if changed:
      listed = ", ".join([*changed[:_LISTED], "..."][: len(changed)])
      _tell(self._folder.path / found.name, f"written without {listed}")

  def finish(self) -> None:
    """Writes the contact sheet, if there is anything to draw; tells what of
    its own the command left out."""
    from rotjax.image import pictures
    from rotjax.prediction import contact_sheet

    if self._own:
      count = f"{len(self._own)} such in all"
      _tell(self._own[0], f"left out: rotjax.predict wrote it ({count})")
    if not self._pairs:
      return
    try:
      contact_sheet.write(self._pairs, self._sheet)
    except (pictures.Unusable, MemoryError) as error:
      self._fail(self._sheet, error)


def _signed(angle_deg: float) -> str:
  text = f"{angle_deg:+.1f}°"
  return "0.0°" if text in ("+0.0°", "-0.0°") else text


def table(rows: Sequence[dict[str, Any]], spec: Any) -> str:
  """What was told of the pictures, as text; "" for none."""
  from rotjax.prediction import answers

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
    words = answers.in_words(angle) + (", but blank" if row["blank"] else "")
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
  if any(row["blank"] for row in rows):
    text.append(
      "Blank: one colour where the network looks. Nothing tells the turn."
    )
  text.append(
    f"Trained on {spec.trained}: of others an answer means nothing, however"
    " sure."
    if spec.trained != "every turn"
    else "Trained on every turn."
  )
  if spec.period_deg < 360:
    text.append(f"Angles are known modulo {spec.period_deg:g}°.")
  return "\n".join(text) + "\n"


if __name__ == "__main__":
  cli.run(main)
