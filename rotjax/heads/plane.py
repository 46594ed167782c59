"""Vectors of the plane: products, safe norms and directions.

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
