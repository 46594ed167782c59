"""`python -m rotjax.demo`: a page to try a model on one's own pictures."""

from collections.abc import Sequence

from rotjax import cli, files
from rotjax.cli import environment
from rotjax.prediction import ready


def main(argv: Sequence[str]) -> int:
  """Runs the command until Ctrl-C; returns its exit status."""
  p = cli.parser(
    "rotjax.demo",
    "Show a page in the browser: drop a picture there, see it upright, and how"
    " probable each direction is. Pictures stay on this machine.",
    "  python -m rotjax.demo\n"
    "  python -m rotjax.demo --workdir runs/vonmises\n"
    "  python -m rotjax.demo --model model.bin --port 8000",
  )
  source = p.add_mutually_exclusive_group()
  source.add_argument("--workdir", metavar="DIR", help="run folder")
  source.add_argument(
    "--model", metavar="NAME", help="as of python -m rotjax.predict"
  )
  p.add_argument(
    "--port", type=int, default=0, help="of 127.0.0.1; any that is free, if not"
  )
  cli.add_common_flags(p)
  args = p.parse_args(argv)
  if args.workdir is None:
    models = ready.choose(args.model)
  else:
    models = [files.absolute(args.workdir, "--workdir")]

  # Only now what takes seconds to import.
  environment.use_compile_cache(not args.no_compile_cache)
  import PIL.Image

  from rotjax.prediction import choice
  from rotjax.prediction.demo import server

  choose = choice.of(models)
  title = " or ".join(model.name for model in models)
  with server.Server(choose, title, args.port) as page:
    # Compiled now, so that the first picture does not wait for it.
    for shade in ("white", "black"):
      blank = PIL.Image.new("L", (64, 64), shade)
      reader, _ = choose(blank)
      reader.answer([reader.see(blank)])
    print(f"Open {page.address} in a browser; Ctrl-C ends it.", flush=True)
    try:
      page.serve_forever()
    except KeyboardInterrupt:
      print()
  return 0


if __name__ == "__main__":
  cli.run(main)
