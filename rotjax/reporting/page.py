"""The page: pieces of HTML, and the one file that they become.

Every function here escapes the text that it is given; arguments called `body`
are HTML already. The page forbids itself, by a policy in its head, to load
anything and to run any script but its own.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import hashlib
import html
import pathlib

from rotjax import errors, files
from rotjax.figures import panels as panels_lib

escape = html.escape

_FOLDER = pathlib.Path(__file__).parent
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclasses.dataclass(frozen=True)
class Section:
  """A part of the page.

  Attributes:
    anchor: where the page's contents point.
    title: its heading.
    body: HTML.
  """

  anchor: str
  title: str
  body: str


def paragraph(text: str, kind: str = "") -> str:
  """A paragraph of plain text."""
  return f"<p{_class(kind)}>{escape(text)}</p>\n"


def table(
  head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = ""
) -> str:
  """A table of plain text that scrolls sideways where it is too wide."""
  lines = [f"<table{_class(kind)}><thead><tr>"]
  lines += [f'<th scope="col">{escape(cell)}</th>' for cell in head]
  lines.append("</tr></thead><tbody>")
  for row in rows:
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
    lines.append(f"<tr>{cells}</tr>")
  lines.append("</tbody></table>")
  return scroll("\n".join(lines))


def scroll(body: str) -> str:
  """What may be wider than the window, in a frame that scrolls."""
  return f'<div class="scroll">{body}</div>\n'


def definitions(pairs: Mapping[str, str]) -> str:
  """Names and what they stand for."""
  lines = [
    f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>"
    for name, text in pairs.items()
  ]
  return "<dl>" + "\n".join(lines) + "</dl>\n"


def details(title: str, body: str, unfolded: bool = False) -> str:
  """A part that a reader unfolds."""
  return (
    f"<details{' open' * unfolded}><summary>{escape(title)}</summary>\n"
    f"{body}</details>\n"
  )


def code(text: str) -> str:
  """Text as it stands, in a box."""
  return f"<pre>{escape(text)}</pre>\n"


def key(colors: Mapping[str, str]) -> str:
  """What the colours of the figures below stand for."""
  parts = [
    f'<b style="--c:{escape(color)}">{escape(words)}</b>'
    for words, color in colors.items()
  ]
  return f'<p class="key">{"".join(parts)}</p>\n'


def figure(body: str, caption: str = "") -> str:
  """A picture."""
  words = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
  return f"<figure>{body}{words}</figure>\n"


def grid(figures: Mapping[str, str]) -> str:
  """Small pictures under their names, as many in a row as the window takes."""
  cells = [
    f'<figure><figcaption title="{escape(name)}">'
    f"{escape(panels_lib.shortened(name))}</figcaption>{body}</figure>"
    for name, body in figures.items()
  ]
  return '<div class="grid">' + "\n".join(cells) + "</div>\n"


def panels(sections: Iterable[Section]) -> str:
  """Parts beside each other, each under its own small heading.

  Args:
    sections: in order; those with an empty body are left out.
  """
  cells = [
    f'<div class="panel" id="{escape(s.anchor)}"><h3>{escape(s.title)}</h3>\n'
    f"{s.body}</div>"
    for s in sections
    if s.body
  ]
  return '<div class="panels">' + "\n".join(cells) + "</div>\n"


def png(file: pathlib.Path, words: str) -> str:
  """A picture file inside the page; "" where there is none.

  Raises:
    UserError: the file is there and is no PNG.
  """
  if not file.is_file():
    return ""
  data = file.read_bytes()
  if not data.startswith(_PNG):
    raise errors.UserError(
      f"{file} is not a PNG: delete it, or make it anew with"
      " `python -m rotjax.main --mode eval`"
    )
  text = base64.b64encode(data).decode()
  return f'<img alt="{escape(words)}" src="data:image/png;base64,{text}">'


def document(
  title: str, lead: str, sections: Sequence[Section], foot: str
) -> str:
  """The whole page.

  Args:
    title: of the page.
    lead: HTML below the title.
    sections: in order; those with an empty body are left out.
    foot: HTML at the end.

  Returns:
    A complete HTML document that refers to nothing outside itself.
  """
  style = (_FOLDER / "report.css").read_text("utf-8")
  script = (_FOLDER / "report.js").read_text("utf-8")
  digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
  # Were a name to slip through unescaped, it could still not run or fetch.
  policy = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline';"
    f" script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
  )
  sections = [section for section in sections if section.body]
  links = "".join(
    f'<a href="#{escape(s.anchor)}">{escape(s.title)}</a>\n' for s in sections
  )
  parts = "".join(
    f'<section id="{escape(s.anchor)}"><h2>{escape(s.title)}</h2>\n'
    f"{s.body}</section>\n"
    for s in sections
  )
  return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{lead}<nav>{links}</nav>
{parts}<footer>{foot}</footer>
<script>{script}</script>
</body>
</html>
"""


def write(file: pathlib.Path, text: str) -> None:
  """Writes the page so that a kill leaves the old one or the new one.

  Raises:
    UserError: the disk does not take it.
  """
  try:
    # A name that is no valid Unicode must not lose the page.
    files.write(file, text.encode(errors="replace"))
  except OSError as error:
    raise errors.UserError(f"{file} cannot be written: {error}") from None


def _class(kind: str) -> str:
  return f' class="{escape(kind)}"' if kind else ""
