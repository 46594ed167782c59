r"""The bilinear warp: turn one image about a point, on the device.

Convention. The angle is the counter-clockwise turn, as seen on the screen,
that is applied to the image; pixel centres are on integers and y points down.
The output pixel (Y, X), at (v, u) = (Y, X) - canvas centre - shift, reads the
source at

    x = cos(a) u - sin(a) v + center_x,    y = sin(a) u + cos(a) v + center_y

so that the source's `center` lands on the canvas's centre ((H-1)/2, (W-1)/2)
plus `shift`. `rotate(image, 90)` is `np.rot90(image, 1)` bit for bit.

Coordinates are fixed-point integers. With float coordinates XLA may compute
the sampling index in one fusion and the weight in another, where a contracted
multiply-add rounds to the other side of an integer: a silent error of up to
the full range in a few values per million. Integers agree in every fusion. The
derivative (piecewise bilinear, one-sided on the pixel grid) is therefore
stated by hand, as a JVP; it serves forward and reverse mode alike.

CPUs and GPUs gather the four neighbours; a TPU, whose gathers are slow, sums
the same products as matrix products (`warp_matmul`).
"""

import functools
import math
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp

from rotjax import errors, warp_matmul

MODES = ("constant", "edge", "reflect")
# A shift is rounded to 2^-16 pixel, so that its products are exact integers.
_SHIFT_BITS = 16


def unit_vector(angle_deg: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Cosine and sine of degrees, exact at multiples of 90.

  The quadrant is taken off first: pi is not a float32, so radians would leave
  cos(90 degrees) at -4e-8.
  """
  quadrant = jnp.round(angle_deg / 90)
  rest = jnp.deg2rad(angle_deg - 90 * quadrant)
  c, s = jnp.cos(rest), jnp.sin(rest)
  q = jnp.mod(quadrant, 4).astype(jnp.int32)
  cosine = jnp.where(q == 0, c, jnp.where(q == 1, -s, jnp.where(q == 2, -c, s)))
  sine = jnp.where(q == 0, s, jnp.where(q == 1, c, jnp.where(q == 2, -s, -c)))
  return cosine, sine


class Placement(NamedTuple):
  """Where the source lies on the canvas; differentiable numbers.

  Attributes:
    angle_deg: counter-clockwise turn.
    shift: `[2]` (down, right) on the canvas, in its pixels.
    center: `[2]` (y, x) in source pixels that lands on the canvas's centre.
    scale: source pixels in one canvas pixel; 2 shrinks the image to a half.
  """

  angle_deg: jax.Array
  shift: jax.Array
  center: jax.Array
  scale: jax.Array


def _source_coordinates(placement, size):
  """Source (y, x), each float `[H, W]`: the definition, and its derivative."""
  cosine, sine = unit_vector(placement.angle_deg)
  cosine, sine = cosine * placement.scale, sine * placement.scale
  v = jnp.arange(size[0])[:, None] - (size[0] - 1) / 2 - placement.shift[0]
  u = jnp.arange(size[1])[None, :] - (size[1] - 1) / 2 - placement.shift[1]
  y = sine * u + cosine * v + placement.center[0]
  return y, cosine * u - sine * v + placement.center[1]


def fraction_bits(
  source: tuple[int, int], size: tuple[int, int], max_scale: float
) -> int:
  """Bits behind the point that leave no coordinate outside an int32."""
  reach = max_scale * (math.hypot(*size) + max(size) / 2) + max(source)
  return int(math.floor(math.log2((2**31 - 1) / reach)))


def fixed_coordinates(
  placement: Placement, size: tuple[int, int], bits: int
) -> tuple[jax.Array, jax.Array]:
  """Source (y, x), each int32 `[H, W]` with `bits` fractional bits.

  Every float below is only scaled by a power of two and rounded once, which
  no fusion can do differently; sums and products are integer.
  """
  cosine, sine = (
    jnp.round(t * placement.scale * 2.0 ** (bits - 1)).astype(jnp.int32)
    for t in unit_vector(placement.angle_deg)  # per half pixel
  )
  limit = jnp.asarray(size) / 2
  shift = jnp.round(jnp.clip(placement.shift, -limit, limit) * 2.0**_SHIFT_BITS)
  ty, tx = shift.astype(jnp.int32)
  cy, cx = jnp.round(placement.center * 2.0**bits).astype(jnp.int32)

  def times(factor, t):
    # 2 * factor * t / 2^16 within 32 bits: whole pixels, then the fraction
    # times the factor's high and low half.
    whole, part = t >> _SHIFT_BITS, t & (2**_SHIFT_BITS - 1)
    high, low = factor >> _SHIFT_BITS, factor & (2**_SHIFT_BITS - 1)
    low = (low.astype(jnp.uint32) * part.astype(jnp.uint32)) >> _SHIFT_BITS
    return 2 * (factor * whole + high * part + low.astype(jnp.int32))

  v2 = (2 * jnp.arange(size[0], dtype=jnp.int32) - (size[0] - 1))[:, None]
  u2 = (2 * jnp.arange(size[1], dtype=jnp.int32) - (size[1] - 1))[None, :]
  y0 = cy - times(sine, tx) - times(cosine, ty)
  x0 = cx - times(cosine, tx) + times(sine, ty)
  return sine * u2 + cosine * v2 + y0, cosine * u2 - sine * v2 + x0


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


def _axis(coordinate, length, bits, mode):
  """Two neighbours of each coordinate, their weights and these' derivatives.

  Weights and derivatives are zero outside the image in mode "constant".
  """
  low = coordinate >> bits
  weight = (coordinate & (2**bits - 1)).astype(jnp.float32) * 2.0**-bits
  weights, slopes = (1 - weight, weight), (-1.0, 1.0)
  ends = (low, low + 1)
  if mode == "constant":
    inside = [i.astype(jnp.uint32) < length for i in ends]
    weights = [jnp.where(m, w, 0.0) for m, w in zip(inside, weights)]
    slopes = [jnp.where(m, s, 0.0)[..., None] for m, s in zip(inside, slopes)]
  return [border_index(i, length, mode) for i in ends], weights, slopes


def _axes(image, placement, size, max_scale, mode):
  """`_axis` along y and along x."""
  height, width, _ = image.shape
  bits = fraction_bits((height, width), size, max_scale)
  y, x = fixed_coordinates(placement, size, bits)
  return _axis(y, height, bits, mode), _axis(x, width, bits, mode)


def _taps(image, placement, size, max_scale, mode, fill):
  """What the interpolation sums, and what its derivative sums.

  Returns:
    The four neighbours `[H, W, C]` of each output pixel (less `fill`), row by
    row; for y and for x the pair of weights `[H, W, 1]` and the pair of their
    derivatives.
  """
  height, width, channels = image.shape
  pixels = image.reshape(height * width, channels)
  along_y, along_x = _axes(image, placement, size, max_scale, mode)
  (y0, y1), weights_y, slopes_y = along_y
  (x0, x1), weights_x, slopes_x = along_x
  taps = [
    gather_pixels(pixels, row * width + column)
    for row, column in ((y0, x0), (y0, x1), (y1, x0), (y1, x1))
  ]
  if fill != 0:
    taps = [tap - fill for tap in taps]
  weights_y, weights_x = (
    [w[..., None] for w in weights] for weights in (weights_y, weights_x)
  )
  return taps, weights_y, slopes_y, weights_x, slopes_x


def _combine(taps, along_y, along_x):
  top = along_x[0] * taps[0] + along_x[1] * taps[1]
  bottom = along_x[0] * taps[2] + along_x[1] * taps[3]
  return along_y[0] * top + along_y[1] * bottom


def by_gather(
  image: jax.Array,
  placement: Placement,
  size: tuple[int, int],
  max_scale: float,
  mode: str,
  fill: float,
) -> jax.Array:
  """`rotate` by four gathers; its arguments, none left out."""
  taps, weights_y, _, weights_x, _ = _taps(
    image, placement, size, max_scale, mode, fill
  )
  out = _combine(taps, weights_y, weights_x)
  return out + fill if fill != 0 else out


def by_matmul(
  image: jax.Array,
  placement: Placement,
  size: tuple[int, int],
  max_scale: float,
  mode: str,
  fill: float,
) -> jax.Array:
  """The same by `warp_matmul`."""
  along_y, along_x = (
    warp_matmul.Stencil(jnp.stack(index), jnp.stack(weights))
    for index, weights, _ in _axes(image, placement, size, max_scale, mode)
  )
  image = image.astype(jnp.float32) - fill
  return warp_matmul.interpolate(image, along_y, along_x, max_scale) + fill


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3, 4, 5))
def _rotate(image, placement, size, max_scale, mode, fill):
  # Not lax.platform_dependent: to trace both costs every start .3 s. What is
  # exported for a TPU on another machine gathers there, too.
  by = by_matmul if jax.default_backend() == "tpu" else by_gather
  return by(image, placement, size, max_scale, mode, fill)


@_rotate.defjvp
def _rotate_jvp(size, max_scale, mode, fill, primals, tangents):
  (image, placement), (image_dot, placement_dot) = primals, tangents
  taps, weights_y, slopes_y, weights_x, slopes_x = _taps(
    image, placement, size, max_scale, mode, fill
  )
  _, (y_dot, x_dot) = jax.jvp(
    functools.partial(_source_coordinates, size=size),
    (placement,),
    (placement_dot,),
  )
  out = _combine(taps, weights_y, weights_x)
  out_dot = (
    _combine(taps, slopes_y, weights_x) * y_dot[..., None]
    + _combine(taps, weights_y, slopes_x) * x_dot[..., None]
  )
  if jnp.issubdtype(image.dtype, jnp.floating):  # uint8 has no tangent
    # Linear in the image, whose fill has no tangent.
    out_dot += _rotate(image_dot, placement, size, max_scale, mode, 0.0)
  return out + fill if fill != 0 else out, out_dot


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
    shift: `(down, right)` of the result on its canvas, output pixels; clipped
      to half the canvas.
    scale: source pixels in one canvas pixel; 2 shrinks the image to a half
      (without antialiasing).
    max_scale: a static bound on `scale`, which is clipped to it; the scale
      itself when None, which a traced one cannot be. The further the
      coordinates reach, the fewer bits their fractions have.
    mode: beyond the border "constant" (`fill`), "edge" (nearest pixel) or
      "reflect" (d c b a | a b c d | d c b a); SciPy's grid-constant, nearest
      and reflect.
    fill: the constant, in the image's units.

  Returns:
    `[height, width, C]` float32 in the image's units. Differentiable in
    `image` (when floating), `angle_deg`, `shift`, `center` and `scale`.

  Raises:
    UserError: an unknown `mode`, or an image that is not `[H, W, C]`.
  """
  if mode not in MODES:
    raise errors.unknown("border mode", mode, MODES)
  if image.ndim != 3:
    raise errors.UserError(
      f"rotate takes one image [H, W, C], got shape {image.shape}: use"
      " jax.vmap for a batch"
    )
  if max_scale is None:
    max_scale = float(scale)
  return _rotate(
    image,
    place(image.shape, angle_deg, center, shift, scale, max_scale),
    image.shape[:2] if size is None else tuple(size),
    max_scale,
    mode,
    fill,
  )


def place(
  image_shape: tuple[int, ...],
  angle_deg: jax.typing.ArrayLike,
  center: tuple[float, float] | jax.Array | None,
  shift: tuple[float, float] | jax.Array,
  scale: jax.typing.ArrayLike,
  max_scale: float,
) -> Placement:
  """The arguments of `rotate` as float32, its defaults filled in."""
  if center is None:
    center = ((image_shape[0] - 1) / 2, (image_shape[1] - 1) / 2)
  scale = jnp.asarray(scale, jnp.float32)
  return Placement(
    jnp.asarray(angle_deg, jnp.float32),
    jnp.asarray(shift, jnp.float32),
    jnp.asarray(center, jnp.float32),
    # Not minimum(), whose derivative at a tie is a half.
    jnp.where(scale > max_scale, max_scale, scale),
  )


def disc(size: tuple[int, int]) -> jax.Array:
  """`[H, W]` bool: pixels within the largest disc about the canvas's centre."""
  v = 2 * jnp.arange(size[0])[:, None] - (size[0] - 1)
  u = 2 * jnp.arange(size[1])[None, :] - (size[1] - 1)
  # Integer half pixels: the same pixels on every backend, symmetric by rot90.
  return v * v + u * u <= min(size) ** 2
