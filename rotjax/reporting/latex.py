"""A table for LaTeX: caption, label, rules and notes, and any name as text.

It compiles under pdfLaTeX, XeLaTeX and LuaLaTeX, with booktabs or without.
"""

import re
import unicodedata

from rotjax.reporting import formats
from rotjax.reporting import table as table_lib

# Begins the best cell of a column; no name has it.
_BOLD = "\0"
# Wider tables are set smaller, and to the width of the text.
_WIDE = 6

_SPECIAL = {
  "\\": r"\textbackslash{}",
  "{": r"\{",
  "}": r"\}",
  "$": r"\$",
  "&": r"\&",
  "%": r"\%",
  "#": r"\#",
  "_": r"\_",
  "~": r"\textasciitilde{}",
  "^": r"\textasciicircum{}",
  "<": "$<$",
  ">": "$>$",
  "|": "$|$",
  '"': "''",
  "°": r"$^{\circ}$",
  "±": r"$\pm$",
  "×": r"$\times$",
  "·": r"$\cdot$",
  "≤": r"$\le$",
  "≥": r"$\ge$",
  "−": "$-$",
  "–": "--",
  "—": "---",
  "…": r"\dots{}",
  "‘": "`",
  "’": "'",
  "“": "``",
  "”": "''",
  "µ": r"$\mu$",
  "ß": r"\ss{}",
  "æ": r"\ae{}",
  "Æ": r"\AE{}",
  "ø": r"\o{}",
  "Ø": r"\O{}",
  "œ": r"\oe{}",
  "Œ": r"\OE{}",
  "ł": r"\l{}",
  "Ł": r"\L{}",
}
_ACCENTS = {
  "\u0300": "`",
  "\u0301": "'",
  "\u0302": "^",
  "\u0303": "~",
  "\u0304": "=",
  "\u0306": "u",
  "\u0307": ".",
  "\u0308": '"',
  "\u030a": "r",
  "\u030b": "H",
  "\u030c": "v",
  "\u0327": "c",
}
_GREEK = (
  "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi"
  " rho sigma tau upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi"
  " Sigma Upsilon Phi Psi Omega"
).split()


def escape(text: str) -> str:
  """Any text as LaTeX sets it; what pdfLaTeX's fonts lack is named, U+4E2D."""
  # Two hyphens would become one dash.
  return "".join(map(_letter, text)).replace("--", "-{}-")


def _letter(letter: str) -> str:
  if letter in _SPECIAL:
    return _SPECIAL[letter]
  if " " <= letter <= "~":
    return letter
  if letter.isspace():
    return " "
  parts = unicodedata.normalize("NFD", letter)
  if len(parts) == 2 and parts[0].isascii() and parts[1] in _ACCENTS:
    return f"\\{_ACCENTS[parts[1]]}{{{parts[0]}}}"
  words = unicodedata.name(letter, "").replace("LAMDA", "LAMBDA").split()
  if words[:1] == ["GREEK"] and words[2:3] == ["LETTER"]:
    greek = words[-1].lower() if words[1] == "SMALL" else words[-1].title()
    if greek in _GREEK:
      return f"$\\{greek}$"
  return f" U+{ord(letter):04X} "


def table(table: table_lib.Table) -> str:
  """A table environment with caption, label and notes.

  Rules are those of booktabs where the document loads it, plain lines where
  it does not.
  """

  def mark(text, best, tied):
    return _BOLD * best + text + " =" * tied

  head, *body = (_line(line) for line in formats.grid(table, mark, whole=False))
  columns = "l" * (len(table.columns) + 1)
  slug = re.sub(r"[^A-Za-z0-9]+", "-", table.name).strip("-") or "sweep"
  question = formats.one_line(table.question.split("\n\n")[0])
  caption = f"{table.name}: {question}" if question else table.name
  wide = len(columns) > _WIDE
  size = r"\scriptsize" if wide else r"\small"
  fit = r"\resizebox{\linewidth}{!}"
  return "\n".join(
    [
      r"% \usepackage{booktabs,graphicx} in the document's head: rules and",
      r"% the width of the text. It compiles without them, too.",
      r"\providecommand{\toprule}{\hline}",
      r"\providecommand{\midrule}{\hline}",
      r"\providecommand{\bottomrule}{\hline}",
      *([r"\providecommand{\resizebox}[3]{#3}"] if wide else []),
      r"\begin{table}",
      r"\centering",
      rf"\caption{{{escape(caption)}}}",
      rf"\label{{tab:{slug}}}",
      size,
      r"\setlength{\tabcolsep}{3pt}",
      *([fit + "{"] if wide else []),
      rf"\begin{{tabular}}{{{columns}}}",
      r"\toprule",
      head,
      r"\midrule",
      *body[:-1],
      *([r"\midrule"] * (len(body) > 1)),
      *body[-1:],
      r"\bottomrule",
      r"\end{tabular}" + "}" * wide,
      "",
      r"\medskip",
      r"\begin{minipage}{\linewidth}\footnotesize",
      *(rf"{escape(formats.one_line(note))}\par" for note in table.notes),
      r"\end{minipage}",
      r"\end{table}",
      "",
    ]
  )


def _line(cells: list[str]) -> str:
  # The row before ends in \\, to which a bracket or a star would belong.
  return "{}" + " & ".join(map(_cell, cells)) + r" \\"


def _cell(text: str) -> str:
  if text.startswith(_BOLD):
    return rf"\textbf{{{_cell(text.removeprefix(_BOLD))}}}"
  return re.sub(r"(?<![\w}])-(?=\d)", "$-$", escape(text))
