"""The view: what the network is shown of an image. The leak controls live here.

One single-image function, vmapped: draw an angle and a sub-pixel shift, turn
the source about the dataset's centre in one bilinear pass, mask with a disc,
scale the pixels. Training and evaluation go through the same `render`.
"""

import dataclasses

import jax
import jax.numpy as jnp

from rotjax import angles as angles_lib
from rotjax import errors, warp

_PIXEL_RANGES = {"raw": 1.0, "unit": 1 / 255}


@dataclasses.dataclass(frozen=True)
class View:
  """How a source image becomes the network's input.

  Attributes:
    size: side of the square canvas, pixels; the scale is always 1:1.
    center: what is turned about and lands on the canvas's centre: "dataset"
      (where the dataset says its objects sit; MNIST: 14,14), "canvas" (the
      source's own middle) or explicit source pixels "y,x".
    jitter: training images are shifted by up to this many pixels each way,
      uniformly, after the turn.
    mask: "disc" blackens what lies outside the canvas's largest disc, which
      is the same for every angle; "none".
    pixel_range: "unit" divides by 255, "raw" leaves 0..255.
  """

  size: int = 28
  center: str = "dataset"
  jitter: float = 1.0
  mask: str = "disc"
  pixel_range: str = "unit"

  def __post_init__(self):
    if self.mask not in ("disc", "none"):
      raise errors.unknown("view.mask", self.mask, ("disc", "none"))
    if self.pixel_range not in _PIXEL_RANGES:
      raise errors.unknown("view.pixel_range", self.pixel_range, _PIXEL_RANGES)
    if self.size < 1:
      raise errors.UserError(f"view.size = {self.size} must be positive")
    if not 0 <= self.jitter <= self.size / 2:
      raise errors.UserError(
        f"view.jitter = {self.jitter} is not between 0 and half of"
        f" view.size = {self.size}"
      )
    if self.center not in ("dataset", "canvas"):
      self._explicit_center()

  def _explicit_center(self) -> tuple[float, float]:
    try:
      y, x = (float(part) for part in self.center.strip("() ").split(","))
    except ValueError:
      raise errors.UserError(
        f"view.center = {self.center!r}: use 'dataset', 'canvas' or source"
        " pixels such as '14,14'"
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
      A view whose `center` is explicit.
    """
    middle = tuple((side - 1) / 2 for side in source_size)
    if self.center == "dataset":
      y, x = dataset_center or middle
    elif self.center == "canvas":
      y, x = middle
    else:
      y, x = self._explicit_center()
    return dataclasses.replace(self, center=f"{y},{x}")

  def render(
    self,
    image: jax.Array,
    angle_deg: jax.Array,
    shift: jax.Array | tuple[float, float] = (0.0, 0.0),
  ) -> jax.Array:
    """What the network sees of one image turned by an angle.

    Args:
      image: `[H, W, C]` uint8 source.
      angle_deg: scalar, counter-clockwise.
      shift: `[2]` (down, right), pixels.

    Returns:
      `[size, size, C]` float32.
    """
    canvas = (self.size, self.size)
    turned = warp.rotate(
      image,
      angle_deg,
      center=self._explicit_center(),
      size=canvas,
      shift=shift,
    )
    turned *= _PIXEL_RANGES[self.pixel_range]
    if self.mask == "disc":
      turned = jnp.where(warp.disc(canvas)[..., None], turned, 0.0)
    return turned

  def sample(
    self, key: jax.Array, image: jax.Array, angles: angles_lib.Angles
  ) -> tuple[jax.Array, jax.Array]:
    """One training view: draws the angle and the shift, and renders.

    Args:
      key: typed PRNG key of this example and step.
      image: `[H, W, C]` uint8 source.
      angles: the distribution to draw from.

    Returns:
      `[size, size, C]` float32 and the angle in degrees.
    """
    angle_key, shift_key = jax.random.split(key)
    angle_deg = angles.draw(angle_key)
    shift = jax.random.uniform(
      shift_key, (2,), minval=-self.jitter, maxval=self.jitter
    )
    return self.render(image, angle_deg, shift), angle_deg
