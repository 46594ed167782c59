"""What several heads share: safe norms and losses of an angular difference.

Pure, per example, float32. Everything is finite with finite gradients at the
zero vector, which a network's output layer does reach.
"""

import jax
import jax.numpy as jnp

# Below this squared norm a direction is noise; its gradient is then zero.
_TINY = 1e-12


def target_vector(theta: jax.Array) -> jax.Array:
  """`[...]` radians -> `[..., 2]` (cos, sin)."""
  return jnp.stack([jnp.cos(theta), jnp.sin(theta)], axis=-1)


def dot(a: jax.Array, b: jax.Array) -> jax.Array:
  """`[..., 2]`, `[..., 2]` -> `[...]`, elementwise and so never in bfloat16."""
  return a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1]


def cross(a: jax.Array, b: jax.Array) -> jax.Array:
  """`[..., 2]`, `[..., 2]` -> `[...]`: |a||b| sin of the turn from a to b."""
  return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def norm(u: jax.Array) -> jax.Array:
  """Euclidean norm `[..., 2]` -> `[...]`; its gradient at zero is zero."""
  square = dot(u, u)
  far = square > _TINY
  return jnp.where(far, jnp.sqrt(jnp.where(far, square, 1.0)), 0.0)


def normalize(u: jax.Array) -> jax.Array:
  """The unit vector of `u` `[..., 2]`; zero, with zero gradient, at zero."""
  square = dot(u, u)
  far = square > _TINY
  scale = jnp.where(far, jax.lax.rsqrt(jnp.where(far, square, 1.0)), 0.0)
  return u * scale[..., None]


def east_where(condition: jax.Array, u: jax.Array) -> jax.Array:
  """`u` `[..., 2]`, or (1, 0) where `condition` `[...]` holds."""
  return jnp.stack(
    [
      jnp.where(condition, 1.0, u[..., 0]),
      jnp.where(condition, 0.0, u[..., 1]),
    ],
    axis=-1,
  )


def unit(u: jax.Array) -> jax.Array:
  """As `normalize`, but at zero (1, 0), the angle that `direction` reads.

  A density about it is then a density at the zero vector too.
  """
  return normalize(east_where(dot(u, u) <= _TINY, u))


def turn(cosine: jax.Array, sine: jax.Array) -> jax.Array:
  """The angle in [-pi, pi) of (cosine, sine), both `[...]`, of any length.

  Zero, with zero gradient, where both vanish: arctan2's is NaN there.
  """
  far = cosine * cosine + sine * sine > _TINY
  theta = jnp.arctan2(jnp.where(far, sine, 0.0), jnp.where(far, cosine, 1.0))
  return jnp.where(theta >= jnp.pi, -jnp.pi, theta)


def direction(u: jax.Array) -> jax.Array:
  """Angle of `u` `[..., 2]`, radians in [-pi, pi); 0 for the zero vector."""
  return turn(u[..., 0], u[..., 1])


def arc(cosine: jax.Array, sine: jax.Array) -> jax.Array:
  """|D| in [0, pi] from |u| cos D and |u| sin D, both `[...]`.

  Never through arccos, whose derivative is infinite at D = 0.
  """
  return jnp.abs(turn(cosine, sine))


def logsumexp(x: jax.Array) -> jax.Array:
  """log sum exp over the last axis, safe for large computed numbers.

  A compiler may compute x once for its maximum and again for the sum, rounded
  differently (fused multiply-add); at 1e12 the two differ by thousands, and
  exp(x - max) overflows. What cannot be is therefore cut off.
  """
  top = jax.lax.stop_gradient(x.max(axis=-1, keepdims=True))
  gap = x - top
  total = jnp.exp(jnp.where(gap > 0, 0.0, gap)).sum(axis=-1)
  return top[..., 0] + jnp.log(jnp.where(total < 1, 1.0, total))


def huber(d: jax.Array, delta: float) -> jax.Array:
  """d^2 / 2 up to |d| = delta, then a straight line (Huber 1964)."""
  size = jnp.abs(d)
  near = jnp.minimum(size, delta)
  return near * (size - 0.5 * near)


def chord(d: jax.Array) -> jax.Array:
  """2 |sin(D/2)|, the straight line between two points of the circle.

  Largest slope at D = 0, none at the antipode.
  """
  return 2 * jnp.abs(jnp.sin(d / 2))


def one_minus_cos(d: jax.Array) -> jax.Array:
  """1 - cos D = 2 sin^2(D/2), without cancellation near D = 0."""
  return 2 * jnp.square(jnp.sin(d / 2))


def exp_cos(d: jax.Array, kappa: float = 1.0) -> jax.Array:
  """1 - exp(kappa (cos D - 1)), the "von Mises criterion".

  Beyer, Hermans, Leibe 2015, "Biternion nets", eq. 6, divided by e^(2 kappa).
  """
  return -jnp.expm1(-kappa * one_minus_cos(d))
