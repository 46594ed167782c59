"""The view: what the network is shown of an image. The leak controls live here.

One single-image function, vmapped: draw an angle and a sub-pixel shift, turn
the source about the dataset's centre in one bilinear pass, mask with a disc,
scale the pixels. Training and evaluation go through the same `render`.

The policies of other tools are here to be compared with; `leaks` names what
each of them lets a network read in place of the content.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rotjax import angles as angles_lib
from rotjax.image import (
  blur,
  draws,
  fine,
  geometry,
  photometric,
  view_checks,
  warp,
  warp_cubic,
)
from rotjax.image import center as center_lib

# Samples along each side of a pixel where passes = "supersample".
_SUPERSAMPLE = 3


Draw = draws.Draw


@dataclasses.dataclass(frozen=True)
class View:
  """How a source image becomes the network's input.

  Attributes:
    size: side of the square canvas, pixels.
    zoom: canvas pixels in one source pixel, where `crop` does not set it;
      below 1 need a fineness, or passes = "supersample", which average what
      they skip.
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
    fineness: samples of the source in a canvas pixel, each way. The source is
      resampled once, when it is loaded, and keeps only the frequencies that
      the canvas can show at every angle, a disc: those on the corners of its
      own square grid tell the angle modulo 90 degrees. 0 takes the source as
      it is.
    threshold: pixels above this share of the range become white and all others
      black, after the turn (RotNet: 0.1). 0 leaves them grey.
    pixel_range: "unit" divides by 255, "raw" leaves 0..255.
    radius_range: training images show a random circle inside the largest one,
      its radius between these shares of the largest; the angle has no part in
      it. (1, 1) for none, as for all the fields below.
    flip: half of the training images are mirrored, left to right, before the
      turn: what is upright stays so. Not for what has a handedness (text).
    brightness: training images are lighter or darker by up to this share of
      the range.
    contrast: their contrast, about mid-grey, changes by up to this share.
    color: each channel is multiplied by 1 plus or minus up to this share.
    grey: this share of the training images is grey.
  """

  size: int = 28
  zoom: float = 1.0
  center: str = "dataset"
  jitter: float = 1.0
  mask: str = "disc"
  crop: str = "none"
  passes: str = "single"
  blur: float = 0.0
  fineness: float = 3.0
  threshold: float = 0.0
  pixel_range: str = "unit"
  radius_range: tuple[float, float] = (1.0, 1.0)
  flip: bool = False
  brightness: float = 0.0
  contrast: float = 0.0
  color: float = 0.0
  grey: float = 0.0

  def __post_init__(self):
    view_checks.check(self)

  @property
  def white(self) -> float:
    """What a white pixel is for the network."""
    return 255 * view_checks.PIXEL_RANGES[self.pixel_range]

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
      y, x = known.get(self.center) or center_lib.explicit(self.center)
      resolved = dataclasses.replace(self, center=f"{y},{x}")
    view_checks.check_room(self, (y, x), source_size)
    return resolved

  def leaks(self, dataset_center: tuple[float, float] | None) -> list[str]:
    """What the network can read in place of the content, in words.

    Args:
      dataset_center: the dataset's own centre; None where it is the middle.

    Returns:
      One line each; empty for a view without a known leak.
    """
    return view_checks.leaks(self, dataset_center)

  def center_of(self, image: jax.Array | np.ndarray) -> Any:
    """(y, x), in source pixels, that `image` is turned about."""
    if self.center == "centroid":
      return center_lib.centroid(image)
    return center_lib.explicit(self.center)

  @property
  def _canvas(self) -> tuple[int, int]:
    return self.size, self.size

  @property
  def _factor(self) -> float:
    """Samples in a pixel of the source."""
    return self.fineness * self.zoom

  def finer(self, images: Any) -> Any:
    """Sources as `render` turns them.

    Args:
      images: `[N, H, W, C]` uint8, as the dataset has them. NumPy's are
        resampled on the host, jax's on the device.

    Returns:
      uint8 `[N, H', W', C]`, see `fine.resample`; the images themselves where
      `fineness` is 0.
    """
    if not self.fineness:
      return images
    on_device = isinstance(images, jax.Array)
    resample = fine.resample_on_device if on_device else fine.resample
    # The disc of the source or, where that is smaller, of the canvas.
    return resample(images, self._factor, cutoff=min(self.zoom, 1.0))

  def finer_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Height, width and channels of what `finer` makes of such images."""
    if not self.fineness:
      return shape
    height, width = (fine.side(n, self._factor) for n in shape[:2])
    return height, width, shape[2]

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

  def _turn(self, image, draw):
    """The view's own warp, of an image as `finer` gives it."""
    if draw.flip is None:
      return self._turn_as_it_is(image, draw)
    # Turned the other way and then mirrored it is the mirrored source, turned.
    other = jnp.where(draw.flip, -draw.angle_deg, draw.angle_deg)
    turned = self._turn_as_it_is(image, draw._replace(angle_deg=other))
    return photometric.either(draw.flip, turned[:, ::-1], turned)

  def _turn_as_it_is(self, image, draw):
    center = self.center_of(image)
    image = self.prepare(image)
    if self.passes == "double":
      # The canvas between the passes holds the whole source at any angle and
      # about any of its points; even, as the view's own mostly is.
      side = 2 * math.ceil(math.hypot(*image.shape[:2]) + 1)
      first = warp.rotate(image, draw.via_deg, center=center, size=(side, side))
      rest = draw.angle_deg - draw.via_deg
      return warp.rotate(first, rest, size=self._canvas, shift=draw.shift)
    scale, max_scale = self.scale_of(image.shape[:2], draw.angle_deg)
    if self.fineness:
      scale = max_scale = self.fineness
      if self.center != "centroid":  # which is found among the samples
        view_checks.check_finer(self, image.shape, center)
        center = fine.place(center, self._factor)
    if draw.radius is not None:
      scale = scale * draw.radius
    s = _SUPERSAMPLE if self.passes == "supersample" else 1
    samples = warp.rotate(
      image,
      draw.angle_deg,
      center=center,
      size=(s * self.size, s * self.size),
      shift=s * jnp.asarray(draw.shift),
      scale=scale / s,
      max_scale=max_scale / s,
    )
    if s == 1:
      return samples
    return samples.reshape(self.size, s, self.size, s, -1).mean((1, 3))

  def render(
    self, image: jax.Array, draw: Draw, interpolator: str = "own"
  ) -> jax.Array:
    """What the network sees of one image.

    Args:
      image: `[H, W, C]` uint8 source, as `finer` gives it; with another
        interpolator than the own as the dataset has it.
      draw: the angle and the other random numbers.
      interpolator: "own", this view's passes, or "cubic", another and better
        one, to judge a network on images that its own warp did not make.

    Returns:
      `[size, size, C]` float32.
    """
    if interpolator == "cubic":
      return self.finish(self.limit(self._turn_cubic(image, draw.angle_deg)))
    return self.finish(self._turn(image, draw))

  def _turn_cubic(self, image, angle_deg):
    center = self.center_of(image)
    image = self.prepare(image)
    scale, max_scale = self.scale_of(image.shape[:2], angle_deg)
    turned = warp_cubic.rotate(
      image,
      angle_deg,
      center=center,
      size=self._canvas,
      scale=scale,
      max_scale=max_scale,
    )
    return jnp.clip(turned, 0.0, 255.0)  # cubic samples overshoot

  def limit(self, turned: jax.Array | np.ndarray) -> jax.Array:
    """Takes from a picture that another warp turned what `finer` took before.

    Args:
      turned: `[..., size, size, C]` 0..255, uint8 or floating.

    Returns:
      The same shape, 0..255, float32; itself where `fineness` is 0.
    """
    if not self.fineness:
      return jnp.asarray(turned)
    return fine.lowpass(jnp.asarray(turned), min(1 / self.zoom, 1.0))

  def receive(self, picture: jax.Array | np.ndarray) -> jax.Array:
    """What the network sees of a square that somebody else has turned.

    Args:
      picture: `[size, size, C]` uint8, as `pictures.square` gives it.

    Returns:
      `[size, size, C]` float32, as `render` makes them.
    """
    # It is the size of the canvas already, and so must the blur be.
    if self.blur:
      picture = blur.gaussian(jnp.asarray(picture), self.blur * self.zoom)
    return self.finish(self.limit(picture))

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
    unit = view_checks.PIXEL_RANGES[self.pixel_range]
    pixels = jnp.asarray(turned, jnp.float32) * unit
    if self.mask == "disc":
      inside = warp.disc(self._canvas)[..., None]
      pixels = jnp.where(inside, pixels, 0.0)
    return pixels

  def sample(
    self, key: jax.Array, image: jax.Array, angles: angles_lib.Angles
  ) -> tuple[jax.Array, jax.Array]:
    """One training view: draws its random numbers and renders.

    Args:
      key: typed, of this example and step.
      image: `[H, W, C]` uint8 source, as `finer` gives it.
      angles: the distribution to draw from.

    Returns:
      `[size, size, C]` float32 and the angle in degrees.
    """
    draw = draws.draw(self, key, angles)
    turned = photometric.lit(self, key, self._turn(image, draw))
    return self.finish(turned), draw.angle_deg
