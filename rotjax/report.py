"""`python -m rotjax.report`: a run or a sweep as one HTML file."""

from collections.abc import Sequence

from rotjax import cli, errors, files

FILE = "report.html"


def main(argv: Sequence[str]) -> None:
  """Runs the command."""
  p = cli.parser(
    "rotjax.report",
    "Put the results of a run, of the seeds of one, or of a sweep into one file"
    f" that needs no network: {FILE} in that folder, with the table, intervals,"
    " learning curves, where the answers lie, reliability, the worst views and"
    " the configs.",
    "  python -m rotjax.report --workdir runs/vonmises\n"
    "  python -m rotjax.report --workdir runs/heads",
  )
  p.add_argument("--workdir", required=True, metavar="DIR")
  args = p.parse_args(argv)
  workdir = files.absolute(args.workdir, "--workdir")
  if not workdir.is_dir():
    raise errors.UserError(f"there is no folder {workdir} (--workdir)")
  # matplotlib and jax only now: --help and a wrong folder do not wait.
  from rotjax.reporting import page, run_page, sweep_page

  is_sweep = (workdir / "sweep.json").exists()
  text = (sweep_page if is_sweep else run_page).build(workdir)
  file = workdir / FILE
  page.write(file, text)
  print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
  cli.run(main)
