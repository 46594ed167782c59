"""`python -m rotjax.export`: a finished run made small, to be passed on."""

import argparse
from collections.abc import Sequence
import pathlib

from rotjax import cli, errors, files


def main(argv: Sequence[str]) -> int:
  """Runs the command; returns its exit status."""
  args = _parser().parse_args(argv)
  if args.format != "ready" and (args.notes or args.notice):
    flag = "--notes" if args.notes else "--notice"
    raise errors.UserError(f"{flag} is about --format ready alone")
  workdir = files.absolute(args.workdir, "--workdir")
  out = files.to_write(args.out, "--out")
  _FORMATS[args.format](args, workdir, out)
  parts = [out] if out.is_file() else [*out.iterdir()]
  print(f"{out}: {sum(part.stat().st_size for part in parts):,} bytes")
  return 0


def _parser() -> argparse.ArgumentParser:
  p = cli.parser(
    "rotjax.export",
    "Write a finished run's best network, its view and its recalibrated density"
    " in one of three formats: jax, a compiled program in one file that runs on"
    " CPU, CUDA and TPU with jax alone; onnx, one file for onnxruntime and what"
    " else reads ONNX; ready, a small folder of numbers and words that later"
    " versions of rotjax read, too.",
    "  python -m rotjax.export --workdir runs/vonmises --out model.bin\n"
    "  python -m rotjax.export --workdir runs/vonmises --format ready"
    " --notes notes.md --out digits",
  )
  p.add_argument("--workdir", required=True, metavar="DIR", help="run folder")
  p.add_argument("--out", required=True, metavar="PATH")
  p.add_argument(
    "--format", choices=tuple(_FORMATS), default="jax", help="jax, if not given"
  )
  p.add_argument(
    "--tta",
    choices=("none", "rot90", "rot8"),
    help="average over four or eight turns; as the run's eval.tta if not",
  )
  p.add_argument(
    "--notes",
    metavar="F.md",
    help="of ready: for its card, what it is for, was trained on, fails at",
  )
  p.add_argument(
    "--notice", metavar="FILE", help="of ready: the terms of its use"
  )
  p.add_argument("--overwrite", action="store_true", help="replace PATH")
  return p


def _file(args, workdir: pathlib.Path, out: pathlib.Path) -> None:
  """Writes a single file, of a compiled program or of ONNX."""
  # Only now what takes seconds to import.
  import dataclasses

  from rotjax.image import pictures
  from rotjax.prediction import model_file, onnx_file, predictor

  if out.exists() and not (args.overwrite and out.is_file()):
    raise errors.UserError(
      f"{out} exists already: choose another --out, or --overwrite it"
    )
  spec, fn = predictor.describe_run(workdir, args.tta)
  notes = {
    "square": pictures.square_in_words(spec),
    "trained": f"{spec.trained}: of others an answer means nothing",
  }
  save = onnx_file.save if args.format == "onnx" else model_file.save
  save(out, fn, dataclasses.asdict(spec), notes)


def _ready(args, workdir: pathlib.Path, out: pathlib.Path) -> None:
  from rotjax.prediction.ready import make

  if args.tta:
    raise errors.UserError(
      f"--tta {args.tta}: a ready model is averaged as its run is, or as"
      " rotjax.predict --tta says"
    )
  notes, notice = (
    path and files.absolute(path, flag)
    for path, flag in ((args.notes, "--notes"), (args.notice, "--notice"))
  )
  make.write(workdir, out, notes, notice, args.overwrite)


_FORMATS = {"jax": _file, "onnx": _file, "ready": _ready}


if __name__ == "__main__":
  cli.run(main)
