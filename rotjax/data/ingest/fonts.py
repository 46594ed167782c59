"""Fonts and the scripts that they can write.

Words are drawn by chance from a script's letters, as often as texts have them:
a page needs lines that look like text, not text that says anything. What rises
above a line and what hangs below it tells which way up it is, and some letters
that do so are frequent, others rare.
"""

import functools
import pathlib
from typing import NamedTuple

import numpy as np
import PIL.ImageFont

from rotjax import errors
from rotjax.data.ingest import folder_files

ENDINGS = (".otf", ".ttc", ".ttf")
# Of symbols, in the places of letters.
_SYMBOLS = ("cmex10", "cmsy10")
# Of a script's letters, a font must have so many to be used for it.
_LEAST_SHARE = 0.8


class Script(NamedTuple):
  """A way of writing.

  Attributes:
    letters: the most frequent one first.
    share: of the pages where all scripts can be written, unnormalised.
    capitals: whether sentences begin with a capital letter.
    leftwards: whether lines begin at the right.
    joined: letters stand for (final, initial, medial) forms in a row, as in
      Unicode's Arabic presentation forms, so that words need no shaping.
    pointed: some texts have vowels as points below the letters and above.
    barred: words hang from a bar. None of matplotlib's fonts has Devanagari or
      Bengali; letters of an equal height below a bar are their like.
  """

  letters: str
  share: float
  capitals: bool = False
  leftwards: bool = False
  joined: bool = False
  pointed: bool = False
  barred: bool = False


# The isolated forms of the Arabic letters that join on both sides; final,
# initial and medial forms are the three code points behind each.
_ARABIC = "".join(
  map(
    chr,
    (
      *(0xFEDD, 0xFEF1, 0xFEE5, 0xFEE1, 0xFE95, 0xFE8F, 0xFEC9, 0xFEE9),
      *(0xFED1, 0xFED5, 0xFEB1, 0xFED9, 0xFEA1, 0xFE9D, 0xFEB5, 0xFEB9),
      *(0xFEC1, 0xFEA5, 0xFEBD, 0xFECD, 0xFE99, 0xFEC5),
    ),
  )
)
SCRIPTS = {
  "latin": Script("etaoinsrhldcumfpgwybvkxjqzéäüöçñ", 8, capitals=True),
  "cyrillic": Script("оеаинтсрвлкмдпуяыьгзбчйхжшюцщэф", 2, capitals=True),
  "greek": Script("αοιετσνηυρπκμλςίόάωέγδήθχφβξζψ", 1.5, capitals=True),
  "armenian": Script("աներիոկմտւլվսդհգյշցբթքպզ", 0.5, capitals=True),
  "georgian": Script("აიედნბრსმოვლუგთხცშქკპტზჩ", 0.5),
  "hebrew": Script(
    "יהולארתבמשעםנכדחקפסןזטגצךףץ", 2, leftwards=True, pointed=True
  ),
  "arabic": Script(_ARABIC, 1.5, leftwards=True, joined=True),
  "barred": Script("nvaursmzxcoenaqwgp", 1.5, barred=True),
  "devanagari": Script("करनसमतयहपवलदबगजशटचधभखथणफअउइएघ", 2),
  "thai": Script("านรกอเงมลยวดทสตะปบคแหพชขจใไผ", 1),
  "hangul": Script("이다는가을의에하고지기사도로한리자인어나시대은", 1),
  "kana": Script("のにはをたがでてとしれさあいうるかなもこらりくっ", 1),
  "han": Script("的一是不了在人有我他这中大来上个国到说们为子和你地出道也", 1),
}


class Face(NamedTuple):
  """A font file and what of a script it can write."""

  path: str
  script: str
  letters: str

  def at(self, size: int) -> PIL.ImageFont.FreeTypeFont:
    """The font at a size, pixels of its em.

    Plain layout, so that pages are the same with and without Raqm.
    """
    return _sized(self.path, max(size, 2))

  def word(self, rng: np.random.Generator, capital: bool = False) -> str:
    """A random word."""
    script = SCRIPTS[self.script]
    dense = self.script in ("han", "kana", "hangul", "thai")
    length = 1 + int(rng.gamma(3, 3 if dense else 1.4))
    # The law of letters' ranks, which fits many languages (Gusein-Zade 1988).
    count = len(self.letters)
    weights = np.log((count + 1) / (np.arange(count) + 1))
    drawn = rng.choice(count, length, p=weights / weights.sum())
    letters = [self.letters[i] for i in drawn]
    if script.joined and length > 1:
      # As drawn from the left: final, medial ones, initial.
      forms = [1, *[3] * (length - 2), 2]
      letters = [chr(ord(c) + f) for c, f in zip(letters, forms)]
    text = "".join(letters)
    return text.capitalize() if capital and script.capitals else text


@functools.lru_cache(maxsize=512)
def _sized(path: str, size: int) -> PIL.ImageFont.FreeTypeFont:
  return PIL.ImageFont.truetype(
    path, size, layout_engine=PIL.ImageFont.Layout.BASIC
  )


def default_folder() -> pathlib.Path:
  """The folder of the fonts in matplotlib's wheel."""
  import matplotlib

  return pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def find(given: str) -> tuple[Face, ...]:
  """The faces of a folder of fonts, by name.

  Args:
    given: a folder, which is searched with all below it; "" is
      `default_folder`.

  Raises:
    errors.UserError: no such folder, no font in it, or none that can write one
      of SCRIPTS.
  """
  root = pathlib.Path(given).expanduser() if given else default_folder()
  shown = folder_files.printable(str(root))
  if not root.is_dir():
    what = "is not a folder" if root.exists() else "does not exist"
    raise errors.UserError(
      f"data.fonts = {shown} {what}: name a folder of fonts, or '' for those"
      " of matplotlib"
    )
  files = sorted(
    file
    for file in root.rglob("*")
    if file.suffix.lower() in ENDINGS and file.stem not in _SYMBOLS
  )
  if not files:
    raise errors.UserError(
      f"data.fonts = {shown} holds no font: files that end in"
      f" {', '.join(ENDINGS)} are looked for; '' takes those of matplotlib"
    )
  faces = tuple(face for file in files for face in _faces(str(file)))
  if not faces:
    raise errors.UserError(
      f"data.fonts = {shown}: none of its {len(files)} fonts can draw the"
      f" letters of {', '.join(SCRIPTS)}: add one that can, or '' for those of"
      " matplotlib"
    )
  return faces


def _faces(path: str) -> list[Face]:
  """What a font file can write; nothing where it is damaged."""
  # Takes a moment, and only where pages are drawn.
  from matplotlib import ft2font

  try:
    glyphs = ft2font.FT2Font(path).get_charmap()
    _sized(path, 12)
  except (OSError, RuntimeError, ValueError):
    return []
  faces = []
  for name, script in SCRIPTS.items():
    forms = 4 if script.joined else 1
    has = [
      c
      for c in dict.fromkeys(script.letters)
      if all(ord(c) + form in glyphs for form in range(forms))
    ]
    # A font of last resort draws one box for all of them.
    drawn = {glyphs[ord(c)] for c in has}
    if len(drawn) >= _LEAST_SHARE * len(set(script.letters)):
      faces.append(Face(path, name, "".join(has)))
  return faces


def choose(rng: np.random.Generator, faces: tuple[Face, ...]) -> Face:
  """A random face: first the script, by its share, then the font."""
  names = sorted({face.script for face in faces})
  shares = np.array([SCRIPTS[name].share for name in names])
  name = names[rng.choice(len(names), p=shares / shares.sum())]
  of_script = [face for face in faces if face.script == name]
  return of_script[rng.integers(len(of_script))]
