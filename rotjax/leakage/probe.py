"""How much a view tells about the angle when the content tells nothing.

Most leaks fix the angle only modulo 90 or 180 degrees. The mean absolute error
of any estimator then stays at 90, and yet content (coarse) plus leak (fine)
makes a published number false. So information is measured: the nats that a
multi-modal density, trained to read artefacts, gains over the uniform one on
held-out images, which is a lower bound of the mutual information.
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from rotjax import angles as angles_lib
from rotjax import heads, models
from rotjax.data import batches
from rotjax.image import view as view_lib
from rotjax.leakage import sources
from rotjax.metrics import probabilistic
from rotjax.training import optim
from rotjax.training import step as step_lib

# Any angle, whatever the config trains on: a leak is the view's.
UNIFORM = angles_lib.Angles()

# Views of each held-out source that are scored.
_DRAWS = 8


@dataclasses.dataclass(frozen=True)
class Information:
  """What one probe found.

  Attributes:
    nats: gained over the uniform density, mean over held-out images.
    low: lower end of its confidence interval.
    high: upper end.
    fold_error_deg: k -> mean error of k times the angle, degrees; 90 is chance.
    num_images: independent held-out images.
  """

  nats: float
  low: float
  high: float
  fold_error_deg: dict[int, float]
  num_images: int

  @classmethod
  def from_draws(
    cls,
    gain: np.ndarray,
    fold_error_deg: dict[int, float],
    cluster: np.ndarray,
    confidence: float,
  ) -> "Information":
    """Means over images and a t interval across them.

    Args:
      gain: `[n]` nats of each draw over the uniform density.
      fold_error_deg: see the class.
      cluster: `[n]` image of each draw.
      confidence: of the two-sided interval.
    """
    _, number = np.unique(cluster, return_inverse=True)
    per_image = np.bincount(number, gain) / np.bincount(number)
    n = len(per_image)
    error = per_image.std(ddof=1) / math.sqrt(n)
    reach = scipy.stats.t.ppf((1 + confidence) / 2, n - 1) * error
    mean = float(per_image.mean())
    return cls(mean, mean - reach, mean + reach, fold_error_deg, n)


class Probe:
  """Trains a network to read the angle off a view, and scores what it reads.

  One object for several sets of sources of the same shape: the program is
  compiled once.
  """

  def __init__(
    self,
    view: Any,
    backbone: models.Backbone,
    image_shape: tuple[int, int, int],
    num_steps: int,
    batch_size: int = 128,
    learning_rate: float = 3e-3,
  ):
    self._view, self._num_steps, self._batch_size = view, num_steps, batch_size
    # Eight harmonics hold any cue that is periodic in 90 or 45 degrees.
    self._head = heads.HEADS["fourier"](num_frequencies=8, grid_size=180)
    self._model = models.build(backbone, self._head.num_outputs, image_shape)
    self._optimizer = optim.Adam(learning_rate=learning_rate)
    step = step_lib.make_train_step(
      view, UNIFORM, self._model, self._head, self._optimizer, num_steps
    )

    def program(state, images, batch):
      batch = dict(batch)
      return step(state, dict(batch, image=images[batch.pop("index")]))[0]

    self._step = jax.jit(program, donate_argnums=0)
    self._score = jax.jit(self._score_draws)

  def _score_draws(self, state, images, keys):
    """Gain in nats and k-fold errors of one draw of each image."""
    pictures, angle_deg = jax.vmap(
      lambda key, image: self._view.sample(key, image, UNIFORM)
    )(keys, images)
    outputs, _ = self._model.apply(state.params, state.model_state, pictures)
    theta = UNIFORM.to_theta(angle_deg)
    gain = self._head.log_density(outputs, theta) + math.log(2 * math.pi)
    grid = probabilistic.grid()
    density = jax.nn.softmax(
      probabilistic.tabulate(self._head, outputs, grid), axis=-1
    )
    errors = {}
    for k in (1, 2, 4):
      moment = [
        (density * f(k * grid)[None, :]).sum(-1) for f in (jnp.cos, jnp.sin)
      ]
      predicted = jnp.arctan2(moment[1], moment[0])
      error = angles_lib.difference(predicted, k * theta)
      errors[k] = jnp.rad2deg(jnp.abs(error))
    return gain, errors

  def __call__(
    self,
    train: sources.Sources,
    held_out: sources.Sources,
    seed: int,
    confidence: float,
  ) -> Information:
    """Trains on some sources and measures on others.

    Args:
      train: seen in training.
      held_out: of other originals.
      seed: of parameters, order and draws.
      confidence: of the interval.
    """
    state = step_lib.init_state(
      self._model, self._optimizer, self._num_steps, seed
    )
    images = jnp.asarray(train.images)
    for step in range(self._num_steps):
      batch = batches.batch(
        len(train.images), self._batch_size, [seed], step, 1
      )
      batch = {k: v[0, 0] for k, v in batch.items()}
      state = self._step(state, images, {**batch, "seed": np.uint32(seed)})
    gains, errors, clusters = [], [], []
    key = jax.random.key(seed + 1)  # not the one of the training draws
    for draw in range(_DRAWS):
      draw_key = jax.random.fold_in(key, draw)
      for start in range(0, len(held_out.images), 512):
        part = slice(start, start + 512)
        # The last part is shorter: one more program, a second.
        keys = jax.random.split(
          jax.random.fold_in(draw_key, start), len(held_out.images[part])
        )
        gain, error = self._score(state, held_out.images[part], keys)
        gains.append(np.asarray(gain, np.float64))
        errors.append(jax.device_get(error))
        clusters.append(held_out.cluster[part])
    fold = {
      k: float(np.concatenate([e[k] for e in errors]).mean()) for k in (1, 2, 4)
    }
    return Information.from_draws(
      np.concatenate(gains), fold, np.concatenate(clusters), confidence
    )


@functools.partial(jax.jit, static_argnums=(0,))
def draw_views(
  view: view_lib.View, images: jax.Array, keys: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """One draw of each image: `[n, size, size, C]` views and `[n]` degrees."""
  return jax.vmap(lambda key, image: view.sample(key, image, UNIFORM))(
    keys, images
  )
