"""The view: what the network is shown of an image. The leak controls live here.

One single-image function, vmapped: draw an angle and a sub-pixel shift, turn
the source about the dataset's centre in one bilinear pass, mask with a disc,
scale the pixels. Training and evaluation go through the same `render`.

The policies of other tools are here to be compared with; `leaks` names what
each of them lets a network read in place of the content.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rotjax import angles as angles_lib
from rotjax import errors
from rotjax.image import blur, geometry, warp, warp_cubic

_PIXEL_RANGES = {"raw": 1.0, "unit": 1 / 255}
_CHOICES = {
  "mask": ("disc", "none"),
  "crop": ("none", "circle", "inscribed", "expand"),
  "passes": ("single", "double", "supersample"),
  "pixel_range": tuple(_PIXEL_RANGES),
}
_LARGEST = 4096  # as data.side
# Samples along each side of a pixel where passes = "supersample".
_SUPERSAMPLE = 3


class Draw(NamedTuple):
  """The random numbers of one view.

  Attributes:
    angle_deg: the angle to be told.
    shift: `[2]` (down, right), pixels.
    via_deg: the first of two turns where passes = "double".
  """

  angle_deg: jax.Array
  shift: jax.Array | tuple[float, float] = (0.0, 0.0)
  via_deg: jax.Array | float = 0.0


@dataclasses.dataclass(frozen=True)
class View:
  """How a source image becomes the network's input.

  Attributes:
    size: side of the square canvas, pixels.
    zoom: canvas pixels in one source pixel, where `crop` does not set it;
      below 1 go with passes = "supersample", which averages what it skips.
    center: what is turned about and lands on the canvas's centre: "dataset"
      (where the dataset says its objects sit; MNIST: 14,14), "canvas" (the
      source's own middle), "centroid" (of each image's brightness) or explicit
      source pixels "y,x".
    jitter: training images are shifted by up to this many pixels each way,
      uniformly, after the turn.
    mask: "disc" blackens what lies outside the canvas's largest disc, which
      is the same for every angle; "none".
    crop: "none"; "circle" insists that the source is so large that the disc
      never sees its border; "inscribed", the largest upright square of the
      turned source, and "expand", the whole of it, both resized to the canvas
      as other tools do: their zoom tells the angle modulo 90 degrees.
    passes: "single"; "double" turns by a random angle first and by the
      rest then, so that the blur depends far less on the angle (on white
      noise 1.2 to 1 between 0 and 45 degrees instead of 1.9 to 1);
      "supersample" averages 3 x 3 samples a pixel.
    blur: standard deviation, in source pixels, of a Gaussian blur before the
      turn; it leaves the interpolation less to smooth. 0 for none.
    threshold: pixels above this share of the range become white and all others
      black, after the turn (RotNet: 0.1). 0 leaves them grey.
    pixel_range: "unit" divides by 255, "raw" leaves 0..255.
  """

  size: int = 28
  zoom: float = 1.0
  center: str = "dataset"
  jitter: float = 1.0
  mask: str = "disc"
  crop: str = "none"
  passes: str = "single"
  blur: float = 0.0
  threshold: float = 0.0
  pixel_range: str = "unit"

  def __post_init__(self):
    for field, valid in _CHOICES.items():
      value = getattr(self, field)
      errors.choose(f"view.{field}", value, valid)
    errors.check_range("view.size", self.size, 1, _LARGEST)
    if not 0 <= self.jitter <= self.size / 2:
      raise errors.UserError(
        f"view.jitter = {self.jitter} is not between 0 and half of"
        f" view.size = {self.size}"
      )
    errors.check_range("view.zoom", self.zoom, 1 / 8, 8)
    if self.zoom != 1 and (
      self.crop in ("inscribed", "expand") or self.passes == "double"
    ):
      raise errors.UserError(
        f"view.zoom = {self.zoom} does not go with view.crop = {self.crop!r}"
        f" and view.passes = {self.passes!r}"
      )
    if not 0 <= self.blur <= self.size / 4:
      raise errors.UserError(
        f"view.blur = {self.blur} is not between 0 and a quarter of view.size"
      )
    errors.check_share("view.threshold", self.threshold)
    if self.crop in ("inscribed", "expand") and self.passes != "single":
      raise errors.UserError(
        f'view.crop = "{self.crop}" is made in one pass: view.passes ='
        f' "{self.passes}" does not go with it'
      )
    if self.center not in ("dataset", "canvas", "centroid"):
      self._explicit_center()

  @property
  def white(self) -> float:
    """What a white pixel is for the network."""
    return 255 * _PIXEL_RANGES[self.pixel_range]

  def _explicit_center(self) -> tuple[float, float]:
    try:
      y, x = (float(part) for part in self.center.strip("() ").split(","))
      if not math.isfinite(y + x):
        raise ValueError
    except ValueError:
      raise errors.UserError(
        f"view.center = {self.center!r}: use 'dataset', 'canvas', 'centroid'"
        " or source pixels such as '14,14'"
      ) from None
    return y, x

  def resolve(
    self,
    dataset_center: tuple[float, float] | None,
    source_size: tuple[int, int],
  ) -> "View":
    """The same view with its centre in source pixels.

    Args:
      dataset_center: the dataset's own (y, x); None where it is the middle.
      source_size: height and width of the source images.

    Returns:
      A view whose `center` is explicit, or "centroid".

    Raises:
      UserError: a centre outside the source, or a source too small for
        crop = "circle".
    """
    middle = tuple((side - 1) / 2 for side in source_size)
    if self.center == "centroid":
      (y, x), resolved = middle, self
    else:
      known = {"dataset": dataset_center or middle, "canvas": middle}
      y, x = known.get(self.center) or self._explicit_center()
      resolved = dataclasses.replace(self, center=f"{y},{x}")
    room = min(y, x, source_size[0] - 1 - y, source_size[1] - 1 - x)
    if room < 0:
      raise errors.UserError(
        f"view.center = {self.center!r} lies outside the source of"
        f" {source_size[0]} x {source_size[1]} pixels"
      )
    shifted = self.jitter * math.sqrt(2)  # along both axes at once
    reach = (self.size / 2 + shifted) / self.zoom
    if self.crop == "circle" and room < reach:
      raise errors.UserError(
        f'view.crop = "circle" needs {reach:.4g} source pixels on each side of'
        f" the centre and there are {room:g}: lower view.size to at most"
        f" {int(2 * (room * self.zoom - shifted))}, or use larger images"
      )
    return resolved

  def leaks(self, dataset_center: tuple[float, float] | None) -> list[str]:
    """What the network can read in place of the content, in words.

    Args:
      dataset_center: the dataset's own centre; None where it is the middle.

    Returns:
      One line each; empty for a view without a known leak.
    """
    found = []
    if dataset_center is not None and self._misses(dataset_center):
      found.append(
        f"view.center={self.center} turns about a point that is not the"
        " objects' centre: their offset tells the full angle"
      )
    if self.crop in ("inscribed", "expand"):
      found.append(
        f"view.crop={self.crop} zooms with the angle: tells it modulo 90"
      )
    if self.mask == "none" and self.crop == "none":
      found.append(
        "view.mask=none shows the source's corners: where they are not black"
        " they tell the angle modulo 90"
      )
    return found

  def _misses(self, dataset_center):
    """Whether the turn is about another point than the objects' centre."""
    if self.center in ("dataset", "centroid"):
      return False
    if self.center == "canvas":  # the objects' centre would not be stated
      return True
    return math.dist(self._explicit_center(), dataset_center) > 1e-3

  def _centroid(self, image):
    """Brightness centroid (y, x) of `[H, W, C]`; the middle if all is black."""
    ink = image.astype(jnp.float32).sum(-1)
    total = ink.sum()
    moments = [
      (ink.sum(1 - axis) * jnp.arange(ink.shape[axis], dtype=ink.dtype)).sum()
      for axis in (0, 1)
    ]
    middle = [(side - 1) / 2 for side in ink.shape]
    # Rounded so that no fusion can see another number (see warp).
    return jnp.stack(
      [
        jnp.round(jnp.where(total > 0, m / jnp.maximum(total, 1), c) * 64) / 64
        for m, c in zip(moments, middle)
      ]
    )

  def center_of(self, image: jax.Array | np.ndarray) -> Any:
    """(y, x), in source pixels, that `image` is turned about."""
    if self.center == "centroid":
      return self._centroid(image)
    return self._explicit_center()

  def prepare(self, image: jax.Array) -> jax.Array:
    """The beginning of `render`: the source as it is turned."""
    return blur.gaussian(image, self.blur) if self.blur else image

  def scale_of(
    self, source_size: tuple[int, ...], angle_deg: jax.typing.ArrayLike
  ) -> tuple[float | jax.Array, float]:
    """Source pixels in a canvas pixel, and its static bound."""
    if self.crop in ("none", "circle"):
      return 1 / self.zoom, 1 / self.zoom
    unit = geometry.unit_vector(jnp.asarray(angle_deg))
    cosine, sine = (jnp.abs(t) for t in unit)
    height, width = source_size
    if self.crop == "inscribed":
      side = min(height, width) / self.size
      return side / (cosine + sine), side
    box = jnp.maximum(
      cosine * height + sine * width, cosine * width + sine * height
    )
    return box / self.size, math.hypot(height, width) / self.size

  def _turn(self, image, draw, center):
    canvas = (self.size, self.size)
    if self.passes == "double":
      # The canvas between the passes holds the whole source at any angle and
      # about any of its points; even, as the view's own mostly is.
      side = 2 * math.ceil(math.hypot(*image.shape[:2]) + 1)
      first = warp.rotate(image, draw.via_deg, center=center, size=(side, side))
      rest = draw.angle_deg - draw.via_deg
      return warp.rotate(first, rest, size=canvas, shift=draw.shift)
    scale, max_scale = self.scale_of(image.shape[:2], draw.angle_deg)
    s = _SUPERSAMPLE if self.passes == "supersample" else 1
    fine = warp.rotate(
      image,
      draw.angle_deg,
      center=center,
      size=(s * self.size, s * self.size),
      shift=s * jnp.asarray(draw.shift),
      scale=scale / s,
      max_scale=max_scale / s,
    )
    if s == 1:
      return fine
    return fine.reshape(self.size, s, self.size, s, -1).mean((1, 3))

  def render(
    self, image: jax.Array, draw: Draw, interpolator: str = "own"
  ) -> jax.Array:
    """What the network sees of one image.

    Args:
      image: `[H, W, C]` uint8 source.
      draw: the angle and the other random numbers.
      interpolator: "own", this view's passes, or "cubic", another and better
        one, to judge a network on images that its own warp did not make.

    Returns:
      `[size, size, C]` float32.
    """
    canvas = (self.size, self.size)
    center = self.center_of(image)
    image = self.prepare(image)
    if interpolator == "cubic":
      scale, max_scale = self.scale_of(image.shape[:2], draw.angle_deg)
      turned = warp_cubic.rotate(
        image,
        draw.angle_deg,
        center=center,
        size=canvas,
        scale=scale,
        max_scale=max_scale,
      )
      turned = jnp.clip(turned, 0.0, 255.0)  # cubic samples overshoot
    else:
      turned = self._turn(image, draw, center)
    return self.finish(turned)

  def finish(self, turned: jax.Array | np.ndarray) -> jax.Array:
    """The end of `render`: scales the pixels of a turned picture and masks it.

    Args:
      turned: `[size, size, C]` 0..255, uint8 or float32.

    Returns:
      `[size, size, C]` float32.
    """
    if self.threshold:
      # 0 * turned: what is not finite stays so, and the run sees it.
      white = jnp.where(turned > 255 * self.threshold, 255.0, 0.0)
      turned = white + 0.0 * turned
    pixels = jnp.asarray(turned, jnp.float32) * _PIXEL_RANGES[self.pixel_range]
    if self.mask == "disc":
      inside = warp.disc((self.size, self.size))[..., None]
      pixels = jnp.where(inside, pixels, 0.0)
    return pixels

  def sample(
    self, key: jax.Array, image: jax.Array, angles: angles_lib.Angles
  ) -> tuple[jax.Array, jax.Array]:
    """One training view: draws its random numbers and renders.

    Args:
      key: typed PRNG key of this example and step.
      image: `[H, W, C]` uint8 source.
      angles: the distribution to draw from.

    Returns:
      `[size, size, C]` float32 and the angle in degrees.
    """
    angle_key, shift_key, via_key = jax.random.split(key, 3)
    draw = Draw(
      angles.draw(angle_key),
      jax.random.uniform(
        shift_key, (2,), jnp.float32, -self.jitter, self.jitter
      ),
      jax.random.uniform(via_key, (), jnp.float32, 0.0, 360.0),
    )
    return self.render(image, draw), draw.angle_deg
