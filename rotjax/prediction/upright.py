"""Pictures set upright: turned back, in the mode that they have."""

import math
from typing import Any

import numpy as np
import PIL.Image

from rotjax.image import pictures

FITS = ("expand", "crop", "same")
FILLS = ("auto", "black", "white", "edge")
# Where it is not 0, and where it is not the most.
_BLACK = {"CMYK": (0, 0, 0, 255), "LAB": (0, 128, 128)}
_WHITE = {"CMYK": (0, 0, 0, 0), "LAB": (255, 128, 128), "F": 65535}


def turn_back(
  picture: PIL.Image.Image,
  angle_deg: float,
  fit: str = "expand",
  fill: str = "auto",
) -> PIL.Image.Image:
  """Turns a picture by minus the angle that was applied to it.

  Args:
    picture: of any mode.
    angle_deg: counter-clockwise as seen on the screen.
    fit: "expand" shows all of it, "crop" the largest rectangle without empty
      corners, "same" keeps the size.
    fill: what empty corners show: "auto" is transparent where the picture can
      be, else the colour of the picture's own border (of a page that is its
      paper); "black"; "white"; "edge" draws the border's pixels out.

  Returns:
    The picture, bicubic, in its own mode: 1 bit stays 1 bit, a palette stays
    the same palette. What has one transparent colour, or a palette beside an
    alpha channel, has colours and an alpha channel then.

  Raises:
    Unusable: the result has more pixels than Pillow reads.
  """
  if pictures.is_deep(picture):
    pixels = pictures.deep_pixels(picture).astype(np.float32)
    turned = _rotate(PIL.Image.fromarray(pixels), angle_deg, fit, fill)
    pixels = np.rint(np.asarray(turned)).clip(0, 65535)
    return PIL.Image.fromarray(pixels.astype(np.uint16))
  turned = _rotate(smooth(picture), angle_deg, fit, fill)
  if picture.mode == "P":
    return _in_palette(turned, picture)
  if picture.mode == "1" and turned.mode == "L":
    return turned.point(lambda value: 255 * (value > 127), "1")
  return turned


def smooth(picture: PIL.Image.Image) -> PIL.Image.Image:
  """The picture in a mode whose pixels can be interpolated."""
  if picture.has_transparency_data:
    grey = picture.mode in ("1", "L", "LA")
    rgba = picture.convert("RGBA")
    return rgba.convert("LA") if grey else rgba
  return picture.convert({"1": "L", "P": "RGB"}.get(picture.mode, picture.mode))


def _rotate(picture, angle_deg, fit, fill):
  """`turn_back` of a picture in a mode that Pillow interpolates."""
  width, height = size = _whole_size(*picture.size, angle_deg, fit)
  _check_pixels(size, "another --fit gives fewer")
  # From the result's pixels to the picture's. Rounded, as in Pillow's rotate:
  # then quarter turns are exact.
  turn = math.radians(angle_deg)
  c, s = round(math.cos(turn), 15), round(math.sin(turn), 15)
  left = (picture.width - c * width - s * height) / 2
  top = (picture.height + s * width - c * height) / 2
  if fill == "edge":
    # What the corners of the result see, and what bicubic looks at beside it.
    reach = [
      abs(c) * width + abs(s) * height - picture.width,
      abs(s) * width + abs(c) * height - picture.height,
    ]
    right, down = (max(math.ceil(r / 2), 0) + 2 for r in reach)
    picture = _drawn_out(picture, right, down)
    left, top = left + right, top + down
  return picture.transform(
    size,
    PIL.Image.Transform.AFFINE,
    (c, s, left, -s, c, top),
    pictures.BICUBIC,
    fillcolor=fill_colour(picture, fill),
  )


def _check_pixels(size, advice) -> None:
  limit = PIL.Image.MAX_IMAGE_PIXELS
  if limit and size[0] * size[1] > limit:
    raise pictures.Unusable(
      f"turned, it would have {size[0]} x {size[1]} pixels, more than Pillow's"
      f" limit of {limit} for reading: {advice}"
    )


def _drawn_out(picture, right, down):
  """A picture with its border's pixels repeated on either side."""
  width, height = picture.size
  size = (width + 2 * right, height + 2 * down)
  _check_pixels(size, "another --fill needs fewer")
  wide = PIL.Image.new(picture.mode, size)
  for x, cut_x, w in (
    (0, (0, 1), right),
    (right, (0, width), width),
    (right + width, (width - 1, width), right),
  ):
    for y, cut_y, h in (
      (0, (0, 1), down),
      (down, (0, height), height),
      (down + height, (height - 1, height), down),
    ):
      part = picture.crop((cut_x[0], cut_y[0], cut_x[1], cut_y[1]))
      if part.size != (w, h):
        part = part.resize((w, h), PIL.Image.Resampling.NEAREST)
      wide.paste(part, (x, y))
  return wide


def fill_colour(picture: PIL.Image.Image, fill: str) -> Any:
  """What Pillow fills empty corners with; None is 0 of all.

  Args:
    picture: in a mode that can be interpolated.
    fill: see `turn_back`.
  """
  bands = picture.getbands()
  if fill == "auto" and bands[-1] not in ("A", "a"):
    return _border_colour(picture)
  if fill == "black" and bands[-1] == "A":
    return (*(0,) * (len(bands) - 1), 255)
  if fill == "white":
    return _WHITE.get(picture.mode, (255,) * len(bands))
  return _BLACK.get(picture.mode)


def _border_colour(picture):
  """The median colour of what lies at a picture's border."""
  width, height = picture.size
  deep = max(min(width, height) // 50, 1)
  boxes = (
    (0, 0, width, deep),
    (0, height - deep, width, height),
    (0, 0, deep, height),
    (width - deep, 0, width, height),
  )
  count = len(picture.getbands())
  pixels = [np.asarray(picture.crop(b)).reshape(-1, count) for b in boxes]
  colour = np.rint(np.median(np.concatenate(pixels), axis=0))
  # A single one that is a float, as mode "F" has, is no tuple.
  return tuple(map(int, colour)) if count > 1 else int(colour[0])


def _whole_size(
  width: int, height: int, angle_deg: float, fit: str
) -> tuple[int, int]:
  """`turned_size` in whole pixels."""
  sides = turned_size(width, height, angle_deg, fit)
  # Rounding must neither cost nor add a row where the turn is a quarter.
  if fit == "crop":
    return max(int(sides[0] + 1e-6), 1), max(int(sides[1] + 1e-6), 1)
  return math.ceil(sides[0] - 1e-6), math.ceil(sides[1] - 1e-6)


def turned_size(
  width: float, height: float, angle_deg: float, fit: str
) -> tuple[float, float]:
  """Width and height of a picture that is turned back; see `turn_back`."""
  if fit == "same":
    return width, height
  if fit == "crop":
    return _inner(width, height, angle_deg)
  angle = math.radians(angle_deg)
  s, c = abs(math.sin(angle)), abs(math.cos(angle))
  return width * c + height * s, width * s + height * c


def _inner(
  width: float, height: float, angle_deg: float
) -> tuple[float, float]:
  """Sides of the largest upright rectangle in a turned one."""
  angle = math.radians(angle_deg)
  s, c = abs(math.sin(angle)), abs(math.cos(angle))
  short, long = min(width, height), max(width, height)
  if short <= 2 * s * c * long or abs(s - c) < 1e-10:
    # Two of its corners touch the long sides, the others nothing.
    half = short / 2
    pair = (half / s, half / c)
    return pair if width >= height else pair[::-1]
  cos_2a = c * c - s * s
  return (width * c - height * s) / cos_2a, (height * c - width * s) / cos_2a


def _in_palette(turned, picture):
  """A picture in the nearest colours of another's palette."""
  import scipy.spatial

  kind = picture.palette.mode  # with opacities of its own, in a TGA
  colours = picture.getpalette(kind)
  count = len(colours) // len(kind)
  entries = PIL.Image.frombytes("P", (count, 1), bytes(range(count)))
  entries.putpalette(colours, kind)
  entries.info = {k: v for k, v in picture.info.items() if k == "transparency"}
  pixels = np.asarray(turned.convert("RGBA")).reshape(-1, 4)
  packed, where = np.unique(
    np.ascontiguousarray(pixels).view(np.uint32), return_inverse=True
  )
  tree = scipy.spatial.KDTree(_premultiplied(entries.convert("RGBA")))
  _, nearest = tree.query(
    _premultiplied(packed.astype(np.uint32).view(np.uint8))
  )
  index = nearest.astype(np.uint8)[where.reshape(turned.size[::-1])]
  result = PIL.Image.fromarray(index)
  result.putpalette(colours, kind)
  result.info = entries.info
  return result


def _premultiplied(rgba) -> np.ndarray:
  """`[n, 4]` colours times their opacity: all that is invisible is one."""
  values = np.asarray(rgba).reshape(-1, 4).astype(np.float64)
  values[:, :3] *= values[:, 3:] / 255
  return values
