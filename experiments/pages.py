r"""Puts the stored tables into the pages that show them.

python experiments/pages.py

A page says where a table comes from, `<!-- table: FILE.md -->`, and where it
ends; what stands between is replaced by that file's table.
"""

from collections.abc import Sequence
import pathlib
import re

from rotjax import cli, errors

_TABLE = re.compile(
  r"(<!-- table: (\S+) -->\n).*?(<!-- end of table -->)", re.DOTALL
)


def filled(text: str) -> str:
  """A page's text with every table as its file has it."""

  def replace(match: re.Match[str]) -> str:
    file = pathlib.Path(match[2])
    if not file.exists():
      raise errors.UserError(f"{file}, which a page shows, is not there")
    stored = file.read_text().splitlines()
    rows = [line for line in stored if line.startswith("|")]
    return match[1] + "\n".join(rows) + "\n" + match[3]

  return _TABLE.sub(replace, text)


def all_pages() -> list[pathlib.Path]:
  """Pages that may show tables and commands, from the repository's root."""
  pages = [*pathlib.Path().glob("*.md"), *pathlib.Path("docs").glob("*.md")]
  for folder in ("configs", "experiments"):
    pages += pathlib.Path(folder).rglob("README.md")
  return sorted(pages)


def main(argv: Sequence[str]) -> None:
  """Rewrites the pages whose stored tables have changed."""
  cli.parser(
    "experiments/pages.py",
    "Put the stored tables into the pages that show them.",
    "  python experiments/pages.py",
  ).parse_args(argv)
  for page in all_pages():
    text = page.read_text()
    new = filled(text)
    if new != text:
      page.write_text(new)
      print(page)


if __name__ == "__main__":
  cli.run(main)
