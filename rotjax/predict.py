"""`python -m rotjax.predict`: how far have these pictures been turned?"""

import argparse
from collections.abc import Iterator, Sequence
import dataclasses
import json
import os
import pathlib
import sys
from typing import Any

import tqdm

from rotjax import cli, errors, files
from rotjax.cli import environment
from rotjax.prediction import ready


def main(argv: Sequence[str]) -> int:
  """Runs the command; returns its exit status, 2 if any picture was bad."""
  args = _parser().parse_args(argv)
  if args.model == "list":
    print(ready.listing(), end="")
    return 0
  if not args.paths:
    raise errors.UserError(
      "an argument is required: PATH, of pictures or of folders with them"
    )
  if args.workdir is None:
    models = ready.choose(args.model)
    if args.model is None:
      _tell(*_taken(models))
  else:
    models = [files.absolute(args.workdir, "--workdir")]

  # Only now what takes seconds to import.
  environment.use_compile_cache(not args.no_compile_cache)
  from rotjax.image import picture_files
  from rotjax.prediction import (
    choice,
    contact_sheet,
    kinds,
    listing,
    pipeline,
  )

  options = _options(args)
  sheet = args.contact_sheet
  if sheet is not None:
    sheet = contact_sheet.final_name(files.to_write(sheet, "--contact-sheet"))
  output = _output(args, options, models)
  found = list(
    picture_files.find(_paths(args.paths), kinds.readable(), kinds.extras())
  )
  choose = choice.of(models, args.tta, args.refine)
  command = pipeline.Pipeline(choose, options, _tell, output, sheet)
  rows = []
  try:
    with _progress(len(found)) as bar:
      for row in command.run(_counted(found, bar)):
        rows.append(row)
        if args.json:
          _say(json.dumps(row), sys.stdout)
    if not args.json:
      text = listing.table(rows, command.specs, options.within)
      print(text, end="")
  finally:
    # Interrupted, too: of what was written the table tells.
    command.finish()
  return 2 if command.outcomes["failed"] else 0


def _parser() -> argparse.ArgumentParser:
  p = cli.parser(
    "rotjax.predict",
    "Tell how far pictures have been turned, how sure that is, and turn them"
    " back. The angle is the counter-clockwise turn, as seen on the screen,"
    " that was applied to an upright picture. The same command again goes on"
    " where it was stopped.",
    "  python -m rotjax.predict --workdir runs/vonmises scan.png photos/\n"
    "  python -m rotjax.predict --model model.bin scans/ --upright sorted"
    " --sure .9",
  )
  p.add_argument(
    "paths",
    nargs="*",
    metavar="PATH",
    help="files, folders with all below them, - for a list of paths on stdin",
  )
  source = p.add_mutually_exclusive_group()
  source.add_argument("--workdir", metavar="DIR", help="run folder")
  source.add_argument(
    "--model",
    metavar="NAME",
    help="a model that comes with rotjax (list: which are there), or what"
    " rotjax.export wrote",
  )
  p.add_argument(
    "--tta",
    choices=("none", "rot90", "rot8"),
    help="average over four or eight turns; as the run's eval.tta if not",
  )
  p.add_argument(
    "--refine",
    choices=("lines", "none"),
    help="set the angle by a page's lines, near the model's own (lines where"
    " it was trained on pages, else none)",
  )
  p.add_argument("--json", action="store_true", help="a JSON object a line")
  p.add_argument(
    "--within",
    default="5,15",
    metavar="DEG,...",
    help="tell the probability that the truth is so near (5,15)",
  )
  _add_writing(p)
  cli.add_common_flags(p)
  return p


def _add_writing(p: argparse.ArgumentParser) -> None:
  """The flags about what is written."""
  place = p.add_mutually_exclusive_group()
  place.add_argument(
    "--upright", metavar="OUT", help="write the pictures turned back into OUT"
  )
  place.add_argument(
    "--in_place",
    action="store_true",
    help="replace them, once --backup is safe",
  )
  p.add_argument(
    "--backup", metavar="DIR", help="of --in_place: where the originals go"
  )
  p.add_argument(
    "--sure",
    type=float,
    metavar="SHARE",
    help="turn only what is so probable within the most of --within; of"
    " --upright: into OUT/upright, a copy of the others into OUT/review; with"
    " predictions.csv",
  )
  p.add_argument(
    "--at_least",
    type=float,
    default=0.0,
    metavar="DEG",
    help="leave tilts below that alone; then quarter turns are lossless",
  )
  p.add_argument(
    "--snap",
    action="store_true",
    help="leave tilts alone that are no more than the model's own spread",
  )
  p.add_argument(
    "--fit",
    choices=("expand", "crop", "same"),
    default="expand",
    help="all of the picture, no empty corners, or its own size",
  )
  p.add_argument(
    "--fill",
    choices=("auto", "black", "white", "edge"),
    default="auto",
    help="empty corners: the colour of its border, black, white, drawn out",
  )
  p.add_argument(
    "--contact-sheet",
    metavar="F.png",
    help="draw before and after, of 48 pictures at most",
  )


def _options(args: argparse.Namespace) -> Any:
  """The flags, checked."""
  from rotjax.prediction import pipeline
  from rotjax.prediction.kinds import picture

  if args.in_place != (args.backup is not None):
    raise errors.UserError(
      "--in_place replaces files and --backup DIR is where their originals"
      " go: give both, or --upright OUT"
    )
  writes = args.upright is not None or args.in_place
  for flag, given in (
    ("--sure", args.sure is not None),
    ("--snap", args.snap),
    ("--at_least", args.at_least),
  ):
    if given and not (writes or args.contact_sheet):
      raise errors.UserError(
        f"{flag} is about what is written: give --upright OUT too"
      )
  if args.sure is not None:
    errors.check_range("--sure", args.sure, 0, 1)
    if not writes:
      raise errors.UserError("--sure sorts files: give --upright OUT too")
  errors.check_range("--at_least", args.at_least, 0, 45)
  return pipeline.Options(
    within=_within(args.within),
    how=picture.How(args.fit, args.fill),
    at_least=args.at_least,
    snap=args.snap,
    sure=args.sure,
  )


def _within(text: str) -> tuple[float, ...]:
  try:
    found = tuple(dict.fromkeys(float(part) for part in text.split(",")))
  except ValueError:
    found = ()
  if not found or not all(0 < degrees <= 180 for degrees in found):
    raise errors.UserError(
      f"--within {text} is no list of degrees above 0 and up to 180: for"
      " example --within .5,2"
    )
  return found


def _taken(models: Sequence[pathlib.Path]) -> tuple[str, str]:
  """Which models answer, where none was named."""
  if len(models) == 1:
    return models[0].name, "the model taken: --model chooses another"
  pages, photos = (model.name for model in models)
  return (
    f"{pages} or {photos}",
    f"the model taken: {pages} where most of a picture is paper, {photos}"
    " elsewhere; --model chooses one",
  )


def _output(
  args: argparse.Namespace, options: Any, models: Sequence[pathlib.Path]
) -> Any:
  """Where results go; None for nowhere."""
  from rotjax.prediction import in_place, outputs, writing

  given = args.backup if args.in_place else args.upright
  if given is None:
    return None
  flag = "--backup" if args.in_place else "--upright"
  folder = files.folder_to_write(given, flag)
  if not files.writable(folder):
    raise errors.UserError(f"{flag} {given} cannot be written to")
  if options.sure is not None:
    outputs.check_table(folder, writing.TABLE)
  if args.in_place:
    return in_place.Backup(folder)
  settings = {**dataclasses.asdict(options), "tta": args.tta}
  settings["refine"] = args.refine
  for model in models:
    for part in (model, model / "summary.json"):
      if part.exists():
        settings[str(part)] = part.stat().st_mtime_ns
  return outputs.Folder(folder, json.dumps(settings))


def _paths(arguments: Sequence[str]) -> Iterator[str]:
  for argument in arguments:
    if argument != "-":
      yield argument
      continue
    for line in sys.stdin.buffer.read().splitlines():
      if line:
        yield os.fsdecode(line)


def _progress(total: int) -> tqdm.tqdm:
  """A bar, on a terminal alone."""
  quiet = not sys.stderr.isatty()
  return tqdm.tqdm(total=total, unit=" files", leave=False, disable=quiet)


def _counted(found, bar):
  for item in found:
    yield item
    bar.update()


def _say(text: str, stream: Any) -> None:
  """Prints a line; a bar goes out of its way."""
  tqdm.tqdm.write(text, file=stream)
  stream.flush()


def _tell(path: str | os.PathLike, words: object) -> None:
  from rotjax.prediction import listing

  _say(f"rotjax: {listing.shown(path)}: {words}", sys.stderr)


if __name__ == "__main__":
  cli.run(main)
