"""Test-time averaging: a picture in several turns, their answers turned back.

Of P passes, pass k shows the picture turned on by k/P of a whole turn.
"""

import jax
import jax.numpy as jnp
import numpy as np

from rotjax import angles as angles_lib
from rotjax import errors, heads
from rotjax.evaluation import density
from rotjax.heads import grid
from rotjax.image import warp

PASSES = angles_lib.TTA_PASSES


def check(tta: str, angles: angles_lib.Angles, mask: str) -> None:
  """Checks that a network may be averaged so.

  Args:
    tta: `eval.tta`.
    angles: that it was trained on.
    mask: of its view.

  Raises:
    UserError: it was never shown such turns.
  """
  angles.check_tta(tta)
  if tta == "rot8" and mask != "disc":
    raise errors.UserError(
      f'tta = "rot8" turns each picture by 45 degrees, too, and view.mask ='
      f" {mask!r} shows corners that such a turn cuts off: use"
      ' tta = "rot90", or train with view.mask = "disc"'
    )


def turned(inputs: jax.Array, k: int, passes: int) -> jax.Array:
  """The pictures of pass k.

  Quarter turns are exact; between them the finished picture is turned in one
  bilinear pass and what lies outside its disc is black, as it was.

  Args:
    inputs: `[N, S, S, C]` as `view.View.render` makes them.
    k: from 0 to below `passes`.
    passes: P, 1, 4 or 8.
  """
  quarters, rest = divmod(4 * k, passes)
  inputs = jnp.rot90(inputs, quarters, axes=(1, 2))
  if not rest:
    return inputs
  height, width = inputs.shape[1:3]
  between = jax.vmap(lambda x: warp.rotate(x, 90.0 * rest / passes))(inputs)
  return jnp.where(warp.disc((height, width))[..., None], between, 0.0)


def decode(
  head: heads.Head,
  angles: angles_lib.Angles,
  thetas: jax.Array,
  outputs: jax.Array,
) -> jax.Array:
  """One prediction of several passes.

  Quarter turns are averaged as vectors. Of more turns, and where the head
  states a density, it is the circular median of the averaged one: an answer
  that is half a turn off pulls a mean along, and a median not at all.

  Args:
    head: the meaning of the outputs.
    angles: states the period.
    thetas: `[P, N]` radians, of each pass, turned back.
    outputs: `[N, P, num_outputs]`.

  Returns:
    `[N]` radians in [-pi, pi).
  """
  passes = len(thetas)
  if passes > 4:
    size = density.grid_size(head)
    table = density.tabulate(head, angles, outputs, size)
    if table is not None:
      # Its points lie half a step off those that `grid` counts from.
      first = np.pi / size - np.pi
      return angles_lib.wrap(grid.median(table) + first)
  return angles_lib.wrap(angles_lib.circular_mean(thetas, axis=0))
