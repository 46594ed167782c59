"""Pages of text, set and drawn by chance: what a page looks like when new.

Columns of paragraphs with headings, lists, tables, rules and figures, in a
random script and font. Everything is drawn the right way up.
"""

import dataclasses

import numpy as np
import PIL.Image
import PIL.ImageDraw

from rotjax.data.ingest import fonts

# What may stand in a column, and how often, beside paragraphs.
_PARTS = {
  "paragraph": 12.0,
  "heading": 2.0,
  "list": 1.0,
  "table": 1.0,
  "figure": 0.8,
  "rule": 0.5,
}


@dataclasses.dataclass
class _Style:
  """How the text of one page is set; lengths in pixels."""

  face: fonts.Face
  size: int
  pitch: float
  align: str
  indent: float
  gap: float
  ink: int
  pointed: bool = False

  @property
  def font(self):
    return self.face.at(self.size)

  @property
  def leftwards(self) -> bool:
    return fonts.SCRIPTS[self.face.script].leftwards


def page(
  rng: np.random.Generator, faces: tuple[fonts.Face, ...], side: int
) -> PIL.Image.Image:
  """A page on a square canvas about its middle, grey.

  The canvas shows what is in sight of a page that was turned by a random angle
  and kept whole: of a long page seen upright its middle part, of one that was
  turned the whole of it and much around it.

  Args:
    rng: of this page.
    faces: see `fonts.find`.
    side: of the canvas, pixels.

  Returns:
    Mode "L"; black text on white, the surroundings white too.
  """
  canvas = PIL.Image.new("L", (side, side), 255)
  left, top, width, height = _sheet(rng, side)
  margin = np.array([width, height]) * rng.uniform(0, 0.1, 2)
  if rng.random() < 0.3:
    margin *= 0  # cut to the text
  left, top = left + margin[0], top + margin[1]
  width, height = width - 2 * margin[0], height - 2 * margin[1]
  style = _style(rng, faces, width, height, side)
  setter = _Setter(rng, PIL.ImageDraw.Draw(canvas), style, side)
  columns = int(rng.choice([1, 2, 3], p=[0.7, 0.22, 0.08]))
  if width / columns < 8 * style.size:
    columns = 1
  space = 1.5 * style.size
  column = (width - (columns - 1) * space) / columns
  y = top
  if rng.random() < 0.3:
    y = setter.heading(left, top, width, float(rng.uniform(1.2, 2.2)))
  line = columns > 1 and rng.random() < 0.3
  # Most pages are full; the last column of some is not.
  bottom = top + height
  if rng.random() < 0.25:
    bottom -= height * rng.uniform(0, 0.5)
  for i in range(columns):
    x = left + i * (column + space)
    setter.column(x, y, column, bottom)
    if line and i:
      setter.rule(x - space / 2, y, x - space / 2, bottom)
  return canvas


def _sheet(rng, side) -> tuple[float, float, float, float]:
  """Left, top, width, height of a sheet on the canvas."""
  aspect = float(np.exp(rng.uniform(np.log(1 / 3), np.log(3))))
  width, height = np.sqrt([aspect, 1 / aspect])
  turn = rng.uniform(0, np.pi)
  c, s = abs(np.cos(turn)), abs(np.sin(turn))
  # The square about the middle of the picture that shows all of the sheet.
  short = min(width * c + height * s, width * s + height * c)
  scale = side / short * rng.uniform(0.85, 1.1)
  width, height = width * scale, height * scale
  x, y = (np.array([side - width, side - height])) / 2
  return x, y, width, height


def _style(rng, faces, width, height, side) -> _Style:
  """A random style, with two lines at least on the page."""
  face = fonts.choose(rng, faces)
  size = side * float(np.exp(rng.uniform(np.log(1 / 75), np.log(1 / 9))))
  size = min(size, height / 4, width / 9)
  pitch = float(rng.uniform(1.05, 1.7))
  indented = rng.random() < 0.5
  pointed = fonts.SCRIPTS[face.script].pointed and rng.random() < 0.4
  return _Style(
    face=face,
    size=max(round(size), 3),
    pitch=pitch * size,
    align=str(
      rng.choice(["ragged", "justified", "centred"], p=[0.5, 0.4, 0.1])
    ),
    indent=float(rng.uniform(1, 3)) * size if indented else 0.0,
    gap=(0.0 if indented else float(rng.uniform(0.3, 1.2))) * pitch * size,
    ink=int(rng.integers(0, 90)),
    pointed=pointed,
  )


class _Setter:
  """Sets text on a canvas; every method returns the y below what it drew."""

  def __init__(self, rng, draw, style, side):
    self._rng, self._draw, self._style, self._side = rng, draw, style, side

  def column(self, x, y, width, bottom) -> None:
    """Fills a column with parts."""
    names = list(_PARTS)
    shares = np.array([_PARTS[name] for name in names])
    pitch = self._style.pitch
    # Some text is on every page: without, nothing tells which way is up.
    y = self.paragraph(x, y, width, bottom)
    part = "paragraph"
    # Below the canvas nothing is seen.
    bottom = min(bottom, self._side + pitch)
    while y + pitch <= bottom:
      last, part = part, str(self._rng.choice(names, p=shares / shares.sum()))
      if part != "paragraph" and last == part:
        continue
      if part == "paragraph":
        y = self.paragraph(x, y, width, bottom)
      elif part == "heading":
        scale = float(self._rng.choice([1.0, 1.3, 1.7]))
        if y + pitch * scale > bottom:
          break
        y = self.heading(x, y, width, scale)
      elif part == "list":
        for _ in range(self._rng.integers(2, 6)):
          y = self.item(x, y, width, bottom)
      elif part == "table":
        y = self.table(x, y, width, bottom)
      elif part == "figure":
        y = self.figure(x, y, width, bottom)
      else:
        self.rule(x, y + pitch / 4, x + width, y + pitch / 4)
        y += pitch / 2
      y += self._style.gap

  def paragraph(self, x, y, width, bottom) -> float:
    """Lines of words, the last one shorter."""
    lines = int(self._rng.integers(1, 13))
    capital = True
    for n in range(lines):
      if y + self._style.pitch > bottom:
        break
      room = width - (self._style.indent if n == 0 else 0)
      last = n == lines - 1
      words = self._words(
        room * (self._rng.uniform(0.15, 1) if last else 1), capital
      )
      capital = words[-1].endswith(".")
      self._line(x, y, width, words, room, last)
      y += self._style.pitch
    return y

  def heading(self, x, y, width, scale) -> float:
    """A line or two in a larger or a bold font."""
    body = self._style
    size = max(round(body.size * scale), 3)
    align = str(self._rng.choice(["ragged", "centred"]))
    self._style = dataclasses.replace(
      body, size=size, pitch=body.pitch * scale, align=align, indent=0.0
    )
    for _ in range(self._rng.integers(1, 3)):
      room = width * self._rng.uniform(0.2, 0.8)
      words = self._words(room, True, stops=False)
      self._line(x, y, width, words, width, True, bold=True)
      y += self._style.pitch
    self._style = body
    return y + self._rng.uniform(0, 0.6) * body.pitch

  def item(self, x, y, width, bottom) -> float:
    """An item of a list: a mark and a short line."""
    style = self._style
    if y + style.pitch > bottom:
      return bottom
    inset = 1.5 * style.size
    words = self._words((width - inset) * self._rng.uniform(0.2, 1), True)
    r, middle = 0.15 * style.size, y + 0.55 * style.size
    at = x + width - inset / 2 if style.leftwards else x + inset / 2
    self._draw.ellipse((at - r, middle - r, at + r, middle + r), fill=style.ink)
    start = x if style.leftwards else x + inset
    self._line(start, y, width - inset, words, width - inset, True)
    return y + style.pitch

  def table(self, x, y, width, bottom) -> float:
    """Rows of short cells, with rules or without."""
    style = self._style
    columns = int(np.clip(width / (5 * style.size), 2, 6))
    pitch = style.pitch * self._rng.uniform(1, 1.3)
    rows = min(int(self._rng.integers(2, 9)), int((bottom - y) / pitch))
    ruled = self._rng.random(2) < 0.6
    cell = width / columns
    for row in range(rows):
      at = y + row * pitch
      if ruled[0]:
        self.rule(x, at, x + width, at)
      for column in range(columns):
        if row and self._rng.random() < 0.6:
          text = f"{self._rng.uniform(0, 999):.{self._rng.integers(0, 3)}f}"
        else:
          text = style.face.word(self._rng, row == 0)
        while text and style.font.getlength(text) > 0.9 * cell:
          text = text[:-1]
        self._put(x + column * cell + 0.05 * cell, at + 0.1 * pitch, text)
    end = y + rows * pitch
    if ruled[0] and rows:
      self.rule(x, end, x + width, end)
    if ruled[1] and rows:
      for column in range(columns + 1):
        self.rule(x + column * cell, y, x + column * cell, end)
    return end

  def figure(self, x, y, width, bottom) -> float:
    """A frame or none, some shapes of any direction, a line below."""
    height = min(width * self._rng.uniform(0.2, 0.7), bottom - y)
    inset = width * self._rng.uniform(0, 0.3)
    x, width = x + inset / 2, width - inset
    if self._rng.random() < 0.4:
      self._draw.rectangle((x, y, x + width, y + height), outline=80)
    for _ in range(self._rng.integers(1, 8)):
      points = self._rng.uniform(0, 1, (int(self._rng.integers(2, 6)), 2))
      points = points * [width, height] + [x, y]
      fill = int(self._rng.integers(0, 230))
      if len(points) == 2:
        (left, top), (right, low) = np.sort(points, axis=0).tolist()
        self._draw.ellipse((left, top, right, low), fill=fill)
      elif self._rng.random() < 0.5:
        self._draw.polygon([tuple(p) for p in points.tolist()], fill=fill)
      else:
        self._draw.line(
          [tuple(p) for p in points.tolist()], fill=fill, width=self._thick
        )
    y += height + 0.3 * self._style.pitch
    if y + self._style.pitch <= bottom and self._rng.random() < 0.6:
      words = self._words(width * self._rng.uniform(0.3, 0.9), True)
      self._line(x, y, width, words, width, True)
      y += self._style.pitch
    return y

  def rule(self, x0, y0, x1, y1) -> None:
    """A straight line."""
    self._draw.line((x0, y0, x1, y1), fill=self._style.ink, width=self._thick)

  @property
  def _thick(self) -> int:
    return max(round(self._style.size / 12), 1)

  def _words(self, room, capital, stops=True) -> list[str]:
    """Words that fill some pixels, one at least."""
    style = self._style
    space = style.font.getlength("n" if style.face.script == "barred" else " ")
    words: list[str] = []
    while True:
      word = style.face.word(self._rng, capital)
      chance = self._rng.random()
      capital = stops and chance < 0.1
      if stops and chance < 0.2:
        word += "." if capital else ","
      room -= style.font.getlength(word) + space
      if words and room < 0:
        return words
      words.append(word)

  def _line(self, x, y, width, words, room, last, bold=False) -> None:
    """Draws words in a line of some width; `room` is less by the indent."""
    style = self._style
    lengths = [style.font.getlength(word) for word in words]
    space = style.font.getlength("n" if style.face.script == "barred" else " ")
    total = sum(lengths) + space * (len(words) - 1)
    if style.align == "justified" and not last and len(words) > 1:
      space += (room - total) / (len(words) - 1)
      total = room
    start = 0.0 if style.leftwards else width - room
    if style.align == "centred":
      start += (room - total) / 2
    elif style.leftwards:
      start += room - total
    if style.leftwards:
      words, lengths = words[::-1], lengths[::-1]
    at = x + start
    for word, length in zip(words, lengths):
      if -length < at < self._side:
        self._put(at, y, word, bold)
      at += length + space

  def _put(self, x, y, text, bold=False) -> None:
    """Draws a word, its letters' top at y."""
    style = self._style
    if not -2 * style.size < y < self._side:
      return
    self._draw.text(
      (x, y),
      text,
      fill=style.ink,
      font=style.font,
      stroke_width=self._thick // 2 if bold else 0,
    )
    if style.pointed:
      self._points(x, y, text)
    if fonts.SCRIPTS[style.face.script].barred:
      left, top, right, _ = style.font.getbbox("x" * len(text))
      right = style.font.getlength(text)
      self._draw.line(
        (x + left, y + top, x + right, y + top),
        fill=style.ink,
        width=max(round(style.size / 9), 1),
      )

  def _points(self, x, y, text) -> None:
    """Draws vowels: dots or a bar below most letters, a dot above some."""
    style, rng = self._style, self._rng
    base, r = y + style.font.getmetrics()[0], style.size / 20

    def dot(x, y):
      self._draw.ellipse((x - r, y - r, x + r, y + r), fill=style.ink)

    for i in range(len(text)):
      left, right = (style.font.getlength(text[:n]) for n in (i, i + 1))
      middle = x + (left + right) / 2
      dots = int(rng.integers(0, 4))
      low = base + 0.18 * style.size
      if dots == 3 and rng.random() < 0.6:
        box = (middle - 3 * r, low - r / 2, middle + 3 * r, low + r / 2)
        self._draw.rectangle(box, fill=style.ink)
      else:
        for n in range(dots):
          dot(middle + 3 * r * (n - (dots - 1) / 2), low)
      if rng.random() < 0.1:
        dot(middle, base - 0.75 * style.size)
