"""Images whose own orientation says nothing: what a leak is looked for in."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from rotjax.image import warp_cubic

ISOTROPIC = ("white", "pink", "radial", "constant", "strokes")


@dataclasses.dataclass(frozen=True)
class Sources:
  """Images with an orientation that says nothing, and which belong together.

  Attributes:
    images: `[N, H, W, C]` uint8.
    cluster: `[N]` the original behind each image; its copies are not
      independent.
  """

  images: np.ndarray
  cluster: np.ndarray


def preturned(
  images: np.ndarray,
  center: tuple[float, float] | None,
  copies: int,
  seed: int,
) -> Sources:
  """Real images, each turned by hidden uniform angles about its true centre.

  By an interpolator much better than the view's (cubic, 4 x 4 samples a
  pixel), so that what the result keeps of an orientation is independent of the
  angle that the view then adds.

  Args:
    images: `[N, H, W, C]` uint8.
    center: (y, x) of the objects; the middle when None.
    copies: differently turned ones of each image.
    seed: of the hidden angles.

  Returns:
    `copies * N` sources of the same size.
  """
  _, height, width, _ = images.shape
  center = center or ((height - 1) / 2, (width - 1) / 2)
  hidden = np.random.default_rng(seed).uniform(0, 360, (copies, len(images)))

  def turn(image, angle_deg):
    turned = warp_cubic.rotate(
      image, angle_deg, center=center, landing=center, supersample=4
    )
    return jnp.round(jnp.clip(turned, 0, 255)).astype(jnp.uint8)

  turn_all = jax.jit(
    lambda images, hidden: jax.lax.map(
      lambda pair: turn(*pair), (images, hidden), batch_size=64
    )
  )
  parts = [turn_all(images, np.float32(row)) for row in hidden]
  return Sources(
    np.concatenate([np.asarray(part) for part in parts]),
    np.tile(np.arange(len(images)), copies),
  )


def isotropic(
  kind: str, count: int, shape: tuple[int, ...], seed: int
) -> Sources:
  """Synthetic sources without any orientation: the worst cases.

  Args:
    kind: one of `ISOTROPIC`: "white" or "pink" (1/f) noise, "radial"
      (symmetric about the middle), "constant", or "strokes" in any direction.
    count: N.
    shape: `(H, W, C)`.
    seed: of the images.

  Returns:
    N sources.
  """
  rng = np.random.default_rng(seed)
  height, width, channels = shape
  if kind == "white":
    images = rng.uniform(0, 1, (count, height, width))
  elif kind == "pink":
    spectrum = np.fft.fft2(rng.normal(size=(count, height, width)))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    frequency[0, 0] = np.inf
    images = np.fft.ifft2(spectrum / frequency).real
    low, high = np.percentile(images, (1, 99), axis=(1, 2), keepdims=True)
    images = (images - low) / (high - low)
  elif kind == "radial":
    y = np.arange(height)[:, None] - (height - 1) / 2
    x = np.arange(width)[None, :] - (width - 1) / 2
    wave = rng.uniform(0.05, 0.6, (count, 1, 1))
    phase = rng.uniform(0, 2 * np.pi, (count, 1, 1))
    y = y - rng.uniform(-0.5, 0.5, (count, 1, 1))
    x = x - rng.uniform(-0.5, 0.5, (count, 1, 1))
    # A radius with a cusp in the middle would alias, along the grid's axes.
    images = 0.5 + 0.5 * np.cos(wave * np.sqrt(y**2 + x**2 + 9) + phase)
  elif kind == "strokes":
    images = _strokes(rng, count, height, width)
  else:
    images = np.broadcast_to(
      rng.uniform(0.2, 1, (count, 1, 1)), (count, height, width)
    )
  # Rounded up as often as the fraction says: what a smooth image's rounding
  # leaves is a pattern with the grid's symmetry.
  dither = rng.uniform(0, 1, images.shape)
  pixels = np.floor(255 * np.clip(images, 0, 1) + dither)
  pixels = np.minimum(pixels, 255).astype(np.uint8)
  pixels = np.repeat(pixels[..., None], channels, axis=-1)
  return Sources(pixels, np.arange(count))


def _strokes(rng, count, height, width):
  """Three lines each, drawn at once in their directions: nothing was turned."""
  y = np.arange(height, dtype=np.float32)[:, None] - (height - 1) / 2
  x = np.arange(width, dtype=np.float32)[None, :] - (width - 1) / 2
  reach, images = min(height, width) / 4, np.zeros((count, height, width))
  for _ in range(3):
    direction = rng.uniform(0, 2 * np.pi, (count, 1, 1))
    # A middle that is uniform in a disc has no direction either.
    radius = reach * np.sqrt(rng.uniform(0, 1, (count, 1, 1)))
    toward = rng.uniform(0, 2 * np.pi, (count, 1, 1))
    dy, dx = y - radius * np.sin(toward), x - radius * np.cos(toward)
    along = dx * np.cos(direction) + dy * np.sin(direction)
    across = dy * np.cos(direction) - dx * np.sin(direction)
    beyond = np.maximum(np.abs(along) - reach, 0)
    ink = np.clip(
      rng.uniform(1, 2, (count, 1, 1)) - np.hypot(beyond, across), 0, 1
    )
    images = np.maximum(images, ink)
  return images
