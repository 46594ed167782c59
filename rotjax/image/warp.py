r"""The bilinear warp: turn one image about a point, on the device.

`geometry` states where each pixel of the canvas looks. Its weights carry the
derivative; all else is left to jax, so derivatives of any order, forward and
reverse, are those of a piecewise bilinear function, one-sided on the pixel
grid.

CPUs and GPUs gather the four neighbours; a TPU, whose gathers are slow, sums
the same products as matrix products (`warp_matmul`).
"""

import math

import jax
from jax import lax
import jax.numpy as jnp

from rotjax import errors
from rotjax.image import geometry, warp_matmul

MODES = ("constant", "edge", "reflect")


def border_index(index: jax.Array, length: int, mode: str) -> jax.Array:
  """Maps an out-of-range index into the image (clipped for "constant")."""
  if mode == "reflect":  # d c b a | a b c d | d c b a
    index = jnp.mod(index, 2 * length)
    return jnp.where(index >= length, 2 * length - 1 - index, index)
  return jnp.clip(index, 0, length - 1)


def gather_pixels(pixels: jax.Array, index: jax.Array) -> jax.Array:
  """`pixels[index]` for `[N, C]` and in-range `[H, W]`: `[H, W, C]` float32."""
  numbers = lax.GatherDimensionNumbers(
    offset_dims=(2,), collapsed_slice_dims=(0,), start_index_map=(0,)
  )
  taken = lax.gather(
    pixels,
    index[..., None],
    numbers,
    (1, pixels.shape[1]),
    mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS,
  )
  return taken.astype(jnp.float32)


def _axis(point, length, mode):
  """Two neighbours of each point along one axis, and their weights.

  Weights are zero outside the image in mode "constant".
  """
  low, weight = point
  ends, weights = (low, low + 1), (1 - weight, weight)
  if mode == "constant":
    inside = [i.astype(jnp.uint32) < length for i in ends]
    weights = [jnp.where(m, w, 0.0) for m, w in zip(inside, weights)]
  return [border_index(i, length, mode) for i in ends], weights


def _axes(image, placement, size, max_scale, mode):
  """`_axis` along y and along x."""
  source = image.shape[:2]
  points = geometry.sample_points(placement, source, size, max_scale, mode)
  return [_axis(point, side, mode) for point, side in zip(points, source)]


def by_gather(
  image: jax.Array,
  placement: geometry.Placement,
  size: tuple[int, int],
  max_scale: float,
  mode: str,
  fill: float,
) -> jax.Array:
  """`rotate` by four gathers; its arguments, none left out."""
  height, width, channels = image.shape
  pixels = image.reshape(height * width, channels)
  (rows, along_y), (columns, along_x) = _axes(
    image, placement, size, max_scale, mode
  )
  lines = []
  for row in rows:
    taps = [gather_pixels(pixels, row * width + column) for column in columns]
    if fill != 0:
      taps = [tap - fill for tap in taps]
    lines.append(sum(w[..., None] * tap for w, tap in zip(along_x, taps)))
  out = sum(w[..., None] * line for w, line in zip(along_y, lines))
  return out + fill if fill != 0 else out


def by_matmul(
  image: jax.Array,
  placement: geometry.Placement,
  size: tuple[int, int],
  max_scale: float,
  mode: str,
  fill: float,
) -> jax.Array:
  """The same by `warp_matmul`."""
  along_y, along_x = (
    warp_matmul.Stencil(jnp.stack(index), jnp.stack(weights))
    for index, weights in _axes(image, placement, size, max_scale, mode)
  )
  image = image.astype(jnp.float32) - fill
  return warp_matmul.interpolate(image, along_y, along_x, max_scale) + fill


def rotate(
  image: jax.Array,
  angle_deg: jax.typing.ArrayLike,
  *,
  center: tuple[float, float] | jax.Array | None = None,
  size: tuple[int, int] | None = None,
  shift: tuple[float, float] | jax.Array = (0.0, 0.0),
  scale: float | jax.Array = 1.0,
  max_scale: float | None = None,
  mode: str = "constant",
  fill: float = 0.0,
) -> jax.Array:
  """Turns one image counter-clockwise in one bilinear pass; `jax.vmap` it.

  Args:
    image: `[H, W, C]`, uint8 or floating.
    angle_deg: scalar, degrees, counter-clockwise as seen on the screen.
    center: `(y, x)` in source pixels that lands on the canvas's centre;
      ((H-1)/2, (W-1)/2) when None.
    size: `(height, width)` of the output canvas; the image's own when None.
    shift: `(down, right)` of the result on its canvas, output pixels.
    scale: source pixels in one canvas pixel; 2 shrinks the image to a half
      (without antialiasing), a negative one turns it by half a turn more.
    max_scale: a static bound on the size of `scale`, which is clipped to it;
      that of the scale itself when None, which a traced one cannot be. The
      further the coordinates reach, the fewer bits their fractions have.
    mode: beyond the border "constant" (`fill`), "edge" (nearest pixel) or
      "reflect" (d c b a | a b c d | d c b a); SciPy's grid-constant, nearest
      and reflect.
    fill: the constant, in the image's units; static.

  Returns:
    `[height, width, C]` float32 in the image's units. Differentiable, any
    number of times, in `image` (when floating), `angle_deg`, `shift`, `center`
    and `scale`. All NaN where one of these four is not finite.

  Raises:
    UserError: an unknown `mode`, an image that is not `[H, W, C]`, numbers of
      another shape, a `fill` or a `max_scale` that is not finite, or so large
      a scale, canvas or image that no bits are left.
  """
  errors.choose("border mode", mode, MODES)
  if not math.isfinite(fill):
    raise errors.UserError(f"rotate: fill = {fill} is not a finite number")
  size = geometry.check_sizes(image.shape, size)
  if max_scale is None:
    try:
      max_scale = abs(float(scale))
    except jax.errors.ConcretizationTypeError:
      raise errors.UserError(
        "rotate: a traced scale needs max_scale, a static bound on it"
      ) from None
  placement = geometry.place(
    image.shape, angle_deg, center, shift, scale, max_scale
  )
  # Not lax.platform_dependent: to trace both costs every start .3 s. What is
  # exported for a TPU on another machine gathers there, too.
  by = by_matmul if jax.default_backend() == "tpu" else by_gather
  turned = by(image, placement, size, max_scale, mode, fill)
  return turned * geometry.one_if_finite(placement)


def disc(size: tuple[int, int]) -> jax.Array:
  """`[H, W]` bool: pixels within the largest disc about the canvas's centre."""
  v = 2 * jnp.arange(size[0])[:, None] - (size[0] - 1)
  u = 2 * jnp.arange(size[1])[None, :] - (size[1] - 1)
  # Integer half pixels: the same pixels on every backend, symmetric by rot90.
  return v * v + u * u <= min(size) ** 2
