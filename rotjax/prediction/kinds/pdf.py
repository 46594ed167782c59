"""A PDF: pages drawn by PDFium, and turned by pypdf without redrawing them.

A quarter turn is the page's /Rotate. Any other turn is a transformation before
its content (ISO 32000-1, 8.3.3), so scans in it are not compressed again.
"""

from collections.abc import Sequence
import contextlib
import io
import logging
import math

import PIL.Image

from rotjax.image import pictures
from rotjax.prediction import upright
from rotjax.prediction.kinds import picture

EXTRA = "rotjax[pdf]"
NEEDS = ("pypdfium2", "pypdf")
# It logs what it mends.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)
# A page is drawn so fine, but with no longer side than this, in pixels.
_DPI, _MAX_SIDE = 150, 4096
_POINTS = 72
# Boxes that mean nothing on a page of another size.
_PRINTERS = ("/TrimBox", "/BleedBox", "/ArtBox")


class Document(picture.Document):
  """A PDF; its pages as PDFium draws them, with their comments."""

  def __init__(self, path: str):
    self.path, self.notes = path, ()
    with self._drawn() as document:
      self.pages = len(document)

  @contextlib.contextmanager
  def _drawn(self):
    """PDFium's document, open."""
    try:
      import pypdf  # noqa: F401
      import pypdfium2
    except ImportError:
      raise picture.extra_needed("PDF", EXTRA) from None
    with pictures.opened(self.path) as stream:
      try:
        document = pypdfium2.PdfDocument(stream)
      except pypdfium2.PdfiumError:
        raise pictures.Unusable(_why_not(stream)) from None
      try:
        yield document
      finally:
        document.close()

  def read(self, page: int) -> PIL.Image.Image:
    with self._drawn() as document, pictures.refusing():
      sheet = document[page]
      longest = max(sheet.get_size())
      if not 0 < longest < math.inf:
        raise pictures.Unusable("a page without a size")
      scale = min(_DPI / _POINTS, _MAX_SIDE / longest)
      # The pixels are PDFium's own and go with the page.
      return sheet.render(scale=scale).to_pil().convert("RGB")

  def upright(
    self, angles: Sequence[float], how: picture.How
  ) -> tuple[bytes, picture.Changed]:
    try:
      return self._turned(angles, how)
    except pictures.Unusable:
      raise
    except Exception as error:  # damaged files raise a dozen types
      raise pictures.Unusable(
        f"damaged: not written ({pictures.reason(error)})"
      ) from None

  def _turned(self, angles, how):
    import pypdf
    import pypdfium2

    reader = pypdf.PdfReader(io.BytesIO(picture.whole(self.path)))
    if reader.is_encrypted:
      raise pictures.Unusable("encrypted: not written without its key")
    writer = pypdf.PdfWriter(clone_from=reader)
    left_behind = [
      self._turn(page, sheet, angles[page], how, writer)
      for page, sheet in enumerate(writer.pages)
    ]
    data = io.BytesIO()
    writer.write(data)
    with contextlib.closing(pypdfium2.PdfDocument(data.getvalue())) as back:
      if not len(back) == len(left_behind) == self.pages:
        raise pictures.Unusable("damaged: its pages are not found again")
    changed = ("the places of links, comments and form fields",)
    return data.getvalue(), changed if any(left_behind) else ()

  def _turn(self, page, sheet, angle_deg, how, writer) -> bool:
    """Turns a page back; returns whether it has marks that stay behind."""
    quarter = round(angle_deg / 90)
    tilt = angle_deg - 90 * quarter
    if quarter % 4:
      sheet.rotate(90 * (quarter % 4))  # clockwise
    if abs(tilt) < 1e-9:
      return False
    fill = "auto" if how.fill == "edge" else how.fill
    colour = upright.fill_colour(self.read(page), fill) or (0, 0, 0)
    _tilt_back(sheet, tilt, how.fit, colour, writer)
    return bool(sheet.get("/Annots"))


def _why_not(stream) -> str:
  """Why PDFium refuses a file; its own code may be that of an earlier one."""
  import pypdf

  with contextlib.suppress(Exception):  # of a dozen types
    stream.seek(0)
    reader = pypdf.PdfReader(stream)
    if reader.is_encrypted:
      return "encrypted: it needs a password"
    if not reader.pages:
      return "a PDF without a page"
  return "not a PDF that can be read"


def _tilt_back(sheet, tilt_deg: float, fit: str, colour, writer) -> None:
  """Turns a page's content clockwise about the middle of what it shows, and
  gives the corners a colour, of three values up to 255."""
  from pypdf import generic

  box = sheet.cropbox
  left, bottom, right, top = map(
    float, (box.left, box.bottom, box.right, box.top)
  )
  x, y = (left + right) / 2, (bottom + top) / 2
  width, height = upright.turned_size(right - left, top - bottom, tilt_deg, fit)
  c, s = math.cos(math.radians(tilt_deg)), math.sin(math.radians(tilt_deg))
  # About (x, y); a PDF's y points up. What lay outside the page stays unseen.
  matrix = (c, -s, s, c, x - c * x - s * y, y + s * x - c * y)
  page = f"{left:.4f} {bottom:.4f} {right - left:.4f} {top - bottom:.4f} re"
  whole = (
    f"{x - width / 2:.4f} {y - height / 2:.4f} {width:.4f} {height:.4f} re"
  )
  turn = " ".join(f"{value:.8f}" for value in matrix)
  corners = " ".join(f"{value / 255:.3f}" for value in colour)
  # Under the content there is paper, as there was.
  before = (
    f"q {corners} rg {whole} f Q\n"
    f"q {turn} cm q 1 1 1 rg {page} f Q {page} W n q\n"
  )
  old = sheet.get("/Contents")
  old = [] if old is None else sheet.raw_get("/Contents")
  resolved = old.get_object() if hasattr(old, "get_object") else old
  parts = resolved if isinstance(resolved, list) else [old]
  streams = []
  for text in (before, "\nQ Q\n"):
    stream = generic.StreamObject()
    stream.set_data(text.encode("ascii"))
    streams.append(writer._add_object(stream))
  sheet[generic.NameObject("/Contents")] = generic.ArrayObject(
    [streams[0], *parts, streams[1]]
  )
  new = generic.RectangleObject(
    (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
  )
  for name in _PRINTERS:
    sheet.pop(name, None)
  sheet.mediabox, sheet.cropbox = new, generic.RectangleObject(new)
