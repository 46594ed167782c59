"""`python -m rotjax.tables`: a sweep's table, from its run folders alone."""

from collections.abc import Sequence

from rotjax import cli, files


def main(argv: Sequence[str]) -> None:
  """Runs the command."""
  p = cli.parser(
    "rotjax.tables",
    "Make the table of a sweep from its run folders: means over seeds with 95 %"
    " intervals over seeds and images, paired comparisons with the baseline."
    " Writes table.md, .tex, .csv, .json and .html into the folder.",
    "  python -m rotjax.tables --workdir runs/heads --sort mae_deg\n"
    "  python -m rotjax.tables --workdir runs/heads --format latex"
    " --columns mae_deg,median_deg,acc_at_5,seeds",
  )
  p.add_argument("--workdir", required=True, metavar="DIR")
  formats = ("text", "markdown", "latex", "csv", "json", "html")
  p.add_argument("--format", choices=formats, default="text")
  p.add_argument(
    "--columns",
    default="",
    metavar="A,B,...",
    help="metrics of summary.json, other_warp.METRIC, difference, seeds, ...",
  )
  p.add_argument(
    "--sort", default="", metavar="METRIC", help="best first by this metric"
  )
  p.add_argument(
    "--out",
    metavar="DIR",
    help="write there instead, with intervals.png and donuts.png",
  )
  args = p.parse_args(argv)
  from rotjax.ablation import manifest
  from rotjax.reporting import publish, tables

  workdir = files.absolute(args.workdir, "--workdir")
  plan = manifest.read(workdir)
  columns = [c for c in args.columns.split(",") if c]
  table = tables.build(plan, workdir, columns, args.sort)
  if args.out:
    out = files.folder_to_write(args.out, "--out")
    publish.write(table, out)
  else:
    tables.write_all(table, workdir)
  print(tables.FORMATS[args.format](table), end="")


if __name__ == "__main__":
  cli.run(main)
