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
from rotjax.image import blur, fine, geometry, view_checks, warp, warp_cubic
from rotjax.image import center as center_lib

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

  def __post_init__(self):
    view_checks.check(self)

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
    if not self.fineness:
      found.append(
        "view.fineness=0 shows frequencies on the corners of the source's own"
        " pixel grid, which turn with it: they tell the angle modulo 90"
      )
    if self.mask == "none" and self.crop == "none":
      found.append(
        "view.mask=none shows the source's corners: where they are not black"
        " they tell the angle modulo 90"
      )
    return found

  def _misses(self, dataset_center):
    """Whether the turn is about another point than the objects' centre."""
    if self.center in ("dataset", "centroid", "canvas"):
      return self.center == "canvas"  # theirs would not be stated if it were
    return math.dist(center_lib.explicit(self.center), dataset_center) > 1e-3

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
    angle_key, shift_key, via_key = jax.random.split(key, 3)
    draw = Draw(
      angles.draw(angle_key),
      jax.random.uniform(
        shift_key, (2,), jnp.float32, -self.jitter, self.jitter
      ),
      jax.random.uniform(via_key, (), jnp.float32, 0.0, 360.0),
    )
    return self.render(image, draw), draw.angle_deg
