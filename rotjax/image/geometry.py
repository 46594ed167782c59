r"""Where a canvas's pixels look in the source: the geometry of every warp.

Convention. The angle is the counter-clockwise turn, as seen on the screen,
that is applied to the image; pixel centres are on integers and y points down.
The output pixel (Y, X), at (v, u) = (Y, X) - canvas centre - shift, reads the
source at

    x = cos(a) u - sin(a) v + center_x,    y = sin(a) u + cos(a) v + center_y

so that the source's `center` lands on the canvas's centre ((H-1)/2, (W-1)/2)
plus `shift`. `warp.rotate(image, 90)` is `np.rot90(image, 1)` bit for bit.

Coordinates are fixed-point integers. With float coordinates XLA may compute
the sampling index in one fusion and the weight in another, where a contracted
multiply-add rounds to the other side of an integer: a silent error of up to
the full range in a few values per million. Integers agree in every fusion. An
integer has no derivative, so the weights, its fractions, state that of the
float coordinates (`_differentiated_as`); all else is left to jax. Derivatives
of any order, forward and reverse, are those of a piecewise bilinear function,
one-sided on the pixel grid.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rotjax import errors

# A shift is rounded to 2^-16 pixel: what draws it may be computed twice, too.
_SHIFT_BITS = 16
# Pixels that float32 can still multiply by all that follows.
_FAR = 2.0**60
# Fewer bits behind the point would show.
_LEAST_BITS = 12


def unit_vector(angle_deg: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Cosine and sine of degrees, exact at multiples of 90.

  The quadrant is taken off first: pi is not a float32, so radians would leave
  cos(90 degrees) at -4e-8.
  """
  angle_deg = jnp.fmod(angle_deg, 360.0)  # exact, however many turns
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
  v, u = (jnp.arange(side, dtype=jnp.float32) - (side - 1) / 2 for side in size)
  v, u = v[:, None] - placement.shift[0], u[None, :] - placement.shift[1]
  y = sine * u + cosine * v + placement.center[0]
  return y, cosine * u - sine * v + placement.center[1]


def _half_diagonal(size, max_scale):
  """Source pixels from the canvas's centre to its corner, at most."""
  return max_scale * math.hypot(*size) / 2


def fraction_bits(
  source: tuple[int, int], size: tuple[int, int], max_scale: float
) -> int:
  """Bits behind the point that leave no coordinate outside an int32.

  Raises:
    UserError: there would be too few.
  """
  half, side = _half_diagonal(size, max_scale), max(source)
  # See `_origin`: beside the source, or in its first two mirror images.
  reach = max(side + 2 * half, 2 * side + half) + 12
  bits = math.floor(math.log2((2**31 - 1) / reach))
  if bits < _LEAST_BITS:
    raise errors.UserError(
      f"a canvas of {size[0]} x {size[1]} at {max_scale:g} source pixels a"
      f" pixel, or a source of {source[0]} x {source[1]}, is too large for the"
      f" warp: it must reach no further than {2 ** (31 - _LEAST_BITS):,} source"
      " pixels"
    )
  return bits


def _origin(terms, length, half, bits, mode):
  """The sum of float pixels, int32 with `bits` fractional bits.

  Where it is so far from the source that it makes no difference, it comes
  nearer: no finite number is too large.
  """
  whole, rest = [], []
  for term in terms:
    units = jnp.round(term * 2.0**bits)
    whole.append(jnp.trunc(units * 2.0**-bits))
    rest.append((units - whole[-1] * 2.0**bits).astype(jnp.int32))
  if mode == "reflect":  # of a period of two images
    total = sum(jnp.fmod(w, 2.0 * length) for w in whole).astype(jnp.int32)
    total = jnp.mod(total, 2 * length)
  else:
    beyond = math.ceil(half) + 8.0
    total = jnp.clip(sum(whole), -beyond, length + beyond).astype(jnp.int32)
  return (total << bits) + sum(rest)


def _fixed_coordinates(placement, source, size, max_scale, mode):
  """Source (y, x), each int32 `[H, W]`, and the bits behind their points.

  Every float below is a product that is scaled by a power of two and rounded
  once, which no fusion can do differently; all sums are of integers.
  """
  bits = fraction_bits(source, size, max_scale)
  half = _half_diagonal(size, max_scale)
  unit = [t * placement.scale for t in unit_vector(placement.angle_deg)]
  cosine, sine = unit
  shift = jnp.clip(placement.shift, -_FAR, _FAR)
  ty, tx = jnp.round(shift * 2.0**_SHIFT_BITS) * 2.0**-_SHIFT_BITS
  cy, cx = jnp.clip(placement.center, -_FAR, _FAR)
  y_terms = (cy, -sine * tx, -cosine * ty)
  x_terms = (cx, -cosine * tx, sine * ty)
  y0 = _origin(y_terms, source[0], half, bits, mode)
  x0 = _origin(x_terms, source[1], half, bits, mode)
  cosine, sine = (  # per half pixel
    jnp.round(t * 2.0 ** (bits - 1)).astype(jnp.int32) for t in unit
  )
  v2 = (2 * jnp.arange(size[0], dtype=jnp.int32) - (size[0] - 1))[:, None]
  u2 = (2 * jnp.arange(size[1], dtype=jnp.int32) - (size[1] - 1))[None, :]
  return sine * u2 + cosine * v2 + y0, cosine * u2 - sine * v2 + x0, bits


@jax.custom_jvp
def _differentiated_as(value, other):
  """`value`, with all the derivatives of `other`."""
  del other
  return value


@_differentiated_as.defjvp
def _differentiated_as_jvp(primals, tangents):
  # By itself again: the derivative's derivative is the other's as well.
  return _differentiated_as(*primals), tangents[1]


def sample_points(
  placement: Placement,
  source: tuple[int, int],
  size: tuple[int, int],
  max_scale: float,
  mode: str,
) -> list[tuple[jax.Array, jax.Array]]:
  """Where each canvas pixel looks, along y and along x.

  Returns:
    Twice: int32 `[H, W]`, the pixel at or before that place, and float32
    `[H, W]` in [0, 1), how far it is behind that pixel, with the derivative of
    the place in `placement`.

  Raises:
    UserError: the canvas reaches too far.
  """
  *fixed, bits = _fixed_coordinates(placement, source, size, max_scale, mode)
  points = []
  for at, exact in zip(fixed, _source_coordinates(placement, size)):
    fraction = (at & (2**bits - 1)).astype(jnp.float32) * 2.0**-bits
    points.append((at >> bits, _differentiated_as(fraction, exact)))
  return points


def one_if_finite(placement: Placement) -> jax.Array:
  """1, or NaN where any of the numbers is not finite: integers hide it."""
  return sum(
    (jnp.sum(0 * x) for x in placement), start=jnp.ones((), jnp.float32)
  )


def check_sizes(
  image_shape: tuple[int, ...], size: tuple[int, int] | None
) -> tuple[int, int]:
  """The canvas's height and width, the image's own where `size` is None.

  Raises:
    UserError: not one image `[H, W, C]`, or a side without a pixel.
  """
  if len(image_shape) != 3:
    raise errors.UserError(
      f"rotate takes one image [H, W, C], got shape {image_shape}: use"
      " jax.vmap for a batch"
    )
  height, width = image_shape[:2] if size is None else size
  if min(*image_shape, height, width) < 1:
    raise errors.UserError(
      f"rotate: an image of {image_shape} on a canvas of {height} x {width}"
      " has no pixels"
    )
  return height, width


def place(
  image_shape: tuple[int, ...],
  angle_deg: jax.typing.ArrayLike,
  center: tuple[float, float] | jax.Array | None,
  shift: tuple[float, float] | jax.Array,
  scale: jax.typing.ArrayLike,
  max_scale: float,
) -> Placement:
  """The arguments of `rotate` as float32, its defaults filled in.

  Raises:
    UserError: one of another shape, or a `max_scale` that is no bound.
  """
  if not 0 <= max_scale < math.inf:
    raise errors.UserError(
      f"rotate: max_scale = {max_scale} is not a finite bound on the scale"
    )
  if center is None:
    center = ((image_shape[0] - 1) / 2, (image_shape[1] - 1) / 2)
  given = Placement(
    *(jnp.asarray(x, jnp.float32) for x in (angle_deg, shift, center, scale))
  )
  for name, x, shape in zip(given._fields, given, ((), (2,), (2,), ())):
    if x.shape != shape:
      raise errors.UserError(
        f"rotate: {name} has shape {x.shape}, not {shape}: use jax.vmap for a"
        " batch"
      )
  # Not clip(), whose derivative at a tie is a half.
  scale = given.scale
  within = jnp.where(
    jnp.abs(scale) > max_scale, jnp.sign(scale) * max_scale, scale
  )
  return given._replace(scale=within + 0 * scale)  # infinite is not clipped
