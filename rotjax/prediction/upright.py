"""Pictures set upright: turned back, in the mode that they have."""

import math

import numpy as np
import PIL.Image

from rotjax.image import pictures

FITS = ("expand", "crop", "same")
# Where it is not 0.
_BLACK = {"CMYK": (0, 0, 0, 255), "LAB": (0, 128, 128)}


def turn_back(
  picture: PIL.Image.Image, angle_deg: float, fit: str = "expand"
) -> PIL.Image.Image:
  """Turns a picture by minus the angle that was applied to it.

  Args:
    picture: of any mode.
    angle_deg: counter-clockwise as seen on the screen.
    fit: "expand" shows all of it, "crop" the largest rectangle without empty
      corners, "same" keeps the size. Empty corners are transparent where the
      picture can be, else black.

  Returns:
    The picture, bicubic, in its own mode: 1 bit stays 1 bit, a palette stays
    the same palette. What has one transparent colour, or a palette beside an
    alpha channel, has colours and an alpha channel then.

  Raises:
    Unusable: the result has more pixels than Pillow reads.
  """
  if pictures.is_deep(picture):
    pixels = pictures.deep_pixels(picture).astype(np.float32)
    turned = _rotate(PIL.Image.fromarray(pixels), angle_deg, fit)
    pixels = np.rint(np.asarray(turned)).clip(0, 65535)
    return PIL.Image.fromarray(pixels.astype(np.uint16))
  turned = _rotate(smooth(picture), angle_deg, fit)
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


def _rotate(picture, angle_deg, fit):
  """`turn_back` of a picture in a mode that Pillow interpolates."""
  width, height = size = _size(*picture.size, angle_deg, fit)
  limit = PIL.Image.MAX_IMAGE_PIXELS
  if limit and width * height > limit:
    raise pictures.Unusable(
      f"turned, it would have {width} x {height} pixels, more than Pillow's"
      f" limit of {limit} for reading: another --fit gives fewer"
    )
  # From the result's pixels to the picture's. Rounded, as in Pillow's rotate:
  # then quarter turns are exact.
  turn = math.radians(angle_deg)
  c, s = round(math.cos(turn), 15), round(math.sin(turn), 15)
  left = (picture.width - c * width - s * height) / 2
  top = (picture.height + s * width - c * height) / 2
  return picture.transform(
    size,
    PIL.Image.Transform.AFFINE,
    (c, s, left, -s, c, top),
    pictures.BICUBIC,
    fillcolor=_BLACK.get(picture.mode),
  )


def _size(
  width: int, height: int, angle_deg: float, fit: str
) -> tuple[int, int]:
  """Width and height of a picture that is turned back."""
  if fit == "same":
    return width, height
  # Rounding must neither cost nor add a row where the turn is a quarter.
  if fit == "crop":
    inner = _inner(width, height, angle_deg)
    return max(int(inner[0] + 1e-6), 1), max(int(inner[1] + 1e-6), 1)
  angle = math.radians(angle_deg)
  s, c = abs(math.sin(angle)), abs(math.cos(angle))
  return (
    math.ceil(width * c + height * s - 1e-6),
    math.ceil(width * s + height * c - 1e-6),
  )


def _inner(width: int, height: int, angle_deg: float) -> tuple[float, float]:
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
