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
from rotjax import cubic, heads, models, optim
from rotjax import step as step_lib
from rotjax import view as view_lib
from rotjax.data import batches
from rotjax.metrics import probabilistic

# Any angle, whatever the config trains on: a leak is the view's.
UNIFORM = angles_lib.Angles()
# Views of each held-out source that are scored.
_DRAWS = 8


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
    turned = cubic.rotate(
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
    kind: "white" or "pink" (1/f) noise, "radial" (symmetric about the middle)
      or "constant".
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
    images = 0.5 + 0.5 * np.cos(wave * np.hypot(y, x) + phase)
  else:
    images = np.broadcast_to(
      rng.uniform(0.2, 1, (count, 1, 1)), (count, height, width)
    )
  pixels = np.round(255 * np.clip(images, 0, 1)).astype(np.uint8)
  pixels = np.repeat(pixels[..., None], channels, axis=-1)
  return Sources(pixels, np.arange(count))


@dataclasses.dataclass(frozen=True)
class Planted:
  """A view with a known leak added: the positive control.

  A dot at the rim, in a direction that is the angle plus cardioid noise of
  density (1 + 2 rho cos d) / 2 pi. It tells exactly `nats` about the angle.

  Attributes:
    view: what it is added to.
    rho: strength.
  """

  view: view_lib.View
  rho: float = 0.1407

  @property
  def nats(self) -> float:
    """Mutual information of the dot's direction and the angle."""
    s = math.sqrt(1 - 4 * self.rho**2)
    return math.log((1 + s) / 2) + 1 - s

  def sample(
    self, key: jax.Array, image: jax.Array, angles: angles_lib.Angles
  ) -> tuple[jax.Array, jax.Array]:
    """As `View.sample`."""
    dot_key, flip_key, view_key = jax.random.split(key, 3)
    picture, angle_deg = self.view.sample(view_key, image, angles)
    # d is uniform, and turned by pi with probability (1 - 2 rho cos d)/2:
    # that leaves the cardioid density.
    d = jax.random.uniform(dot_key, (), minval=-jnp.pi, maxval=jnp.pi)
    keep = jax.random.uniform(flip_key) < 0.5 + self.rho * jnp.cos(d)
    direction = jnp.deg2rad(angle_deg) + jnp.where(keep, d, d + jnp.pi)
    middle, radius = (self.view.size - 1) / 2, 0.42 * self.view.size
    y = jnp.arange(self.view.size) - middle + radius * jnp.cos(direction)
    x = jnp.arange(self.view.size) - middle + radius * jnp.sin(direction)
    square = y[:, None] ** 2 + x[None, :] ** 2
    top = 1.0 if self.view.pixel_range == "unit" else 255.0
    return picture + top * jnp.exp(-square / 2)[..., None], angle_deg


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
    ring = probabilistic.grid()
    density = jax.nn.softmax(
      probabilistic.tabulate(self._head, outputs, ring), axis=-1
    )
    errors = {}
    for k in (1, 2, 4):
      moment = [
        (density * f(k * ring)[None, :]).sum(-1) for f in (jnp.cos, jnp.sin)
      ]
      answer = jnp.arctan2(moment[1], moment[0])
      turn = angles_lib.difference(answer, k * theta)
      errors[k] = jnp.rad2deg(jnp.abs(turn))
    return gain, errors

  def __call__(
    self, train: Sources, held_out: Sources, seed: int, confidence: float
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
