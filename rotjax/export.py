"""`python -m rotjax.export`: a finished run as one file, for any platform."""

from collections.abc import Sequence

from rotjax import cli, files


def main(argv: Sequence[str]) -> int:
  """Runs the command; returns its exit status."""
  p = cli.parser(
    "rotjax.export",
    "Write a finished run's best network, its view and its recalibrated"
    " density as one file that runs on CPU, CUDA and TPU with jax alone.",
    "  python -m rotjax.export --workdir runs/vonmises --out model.bin\n"
    "  python -m rotjax.predict --model model.bin photo.jpg",
  )
  p.add_argument("--workdir", required=True, metavar="DIR", help="run folder")
  p.add_argument("--out", required=True, metavar="FILE")
  p.add_argument(
    "--tta",
    choices=("none", "rot90", "rot8"),
    help="average over four or eight turns; as the run's eval.tta if not",
  )
  p.add_argument("--overwrite", action="store_true", help="replace FILE")
  args = p.parse_args(argv)

  # Only now what takes seconds to import.
  import dataclasses

  from rotjax import errors
  from rotjax.image import pictures
  from rotjax.prediction import model_file, predictor

  workdir = files.absolute(args.workdir, "--workdir")
  out = files.to_write(args.out, "--out")
  if out.exists() and not (args.overwrite and out.is_file()):
    raise errors.UserError(
      f"{out} exists already: choose another --out, or --overwrite it"
    )
  spec, fn = predictor.describe_run(workdir, args.tta)
  notes = {
    "square": pictures.square_in_words(spec),
    "trained": f"{spec.trained}: of others an answer means nothing",
  }
  model_file.save(out, fn, dataclasses.asdict(spec), notes)
  print(f"{out}: {out.stat().st_size:,} bytes")
  return 0


if __name__ == "__main__":
  cli.run(main)
