"""Networks that read the angle off the views themselves."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rotjax import heads, models
from rotjax.data import batches
from rotjax.leakage import evidence, samples
from rotjax.leakage import sources as sources_lib
from rotjax.training import optim
from rotjax.training import step as step_lib

# Cues that repeat 36 times in a turn are told by the 36th harmonic.
_HARMONICS = 36
_BATCH = 128
_CHUNK = 512
# Views of each source that is scored.
_DRAWS = 2


class Training(NamedTuple):
  """One training of a network.

  Attributes:
    name: of its backbone, see `backbones`.
    learning_rate: the highest of its schedule.
    seed: of parameters, order and draws.
  """

  name: str
  learning_rate: float
  seed: int


def backbones(own: models.Backbone) -> dict[str, models.Backbone]:
  """The networks of an audit: the config's own and two more."""
  return {
    "own": own,
    "wide": models.MODELS["strided"](
      widths=(48, 96, 192), kernels=(5, 3, 3), hidden=256
    ),
    "local": models.MODELS["local_statistics"](),
  }


def _head(backbone: models.Backbone) -> heads.Head:
  """A density with as many harmonics as a backbone can tell."""
  most = _HARMONICS
  if isinstance(backbone, models.TurningBackbone):
    most = min(most, backbone.most_turns)
  return heads.HEADS["fourier"](num_frequencies=most, grid_size=10 * _HARMONICS)


class Network:
  """A backbone with a density over the angle, trained on views of sources."""

  def __init__(
    self,
    sampler: Any,
    backbone: models.Backbone,
    image_shape: tuple[int, int, int],
    num_steps: int,
    learning_rate: float,
    white: float,
  ):
    self._sampler, self._num_steps = sampler, num_steps
    self._head = _head(backbone)
    self._model = models.build(
      backbone,
      self._head.num_outputs,
      image_shape,
      turning=heads.turning(self._head, samples.UNIFORM.period_deg),
      white=white,
    )
    self._optimizer = optim.Adam(learning_rate=learning_rate)
    step = step_lib.make_train_step(
      sampler,
      samples.UNIFORM,
      self._model,
      self._head,
      self._optimizer,
      num_steps,
      metrics_every=num_steps + 1,  # its error is not looked at
    )

    def program(state, images, batch):
      batch = dict(batch)
      return step(state, dict(batch, image=images[batch.pop("index")]))[0]

    self._step = jax.jit(program, donate_argnums=0)
    self._score = jax.jit(self._gains)

  def fit(self, images: np.ndarray, seed: int) -> "Network":
    """Trains on fresh views of these sources, as `samples.fine` gives them."""
    state = step_lib.init_state(
      self._model, self._optimizer, self._num_steps, seed
    )
    on_device = jnp.asarray(images)
    for step in range(self._num_steps):
      batch = batches.batch(len(images), _BATCH, [seed], step, 1)
      batch = {k: v[0, 0] for k, v in batch.items()}
      state = self._step(state, on_device, {**batch, "seed": np.uint32(seed)})
    self._state = state
    return self

  def _gains(self, state, images, keys):
    pictures, angle_deg = jax.vmap(
      lambda key, image: self._sampler.sample(key, image, samples.UNIFORM)
    )(keys, images)
    outputs, _ = self._model.apply(state.params, state.model_state, pictures)
    theta = samples.UNIFORM.to_theta(angle_deg)
    return self._head.log_density(outputs, theta) + math.log(2 * math.pi)

  def gain(self, images: np.ndarray, seed: int) -> np.ndarray:
    """`[draws * n]` nats over the uniform density, on unseen sources."""
    rows = np.tile(np.arange(len(images)), _DRAWS)
    keys = jax.random.split(jax.random.key(seed), len(rows))
    found = []
    for start in range(0, len(rows), _CHUNK):
      # The last chunk is filled up, so that there is one program.
      at = np.arange(start, start + _CHUNK) % len(rows)
      found.append(
        np.asarray(self._score(self._state, images[rows[at]], keys[at]))
      )
    return np.concatenate(found)[: len(rows)].astype(np.float64)


def find(
  sampler: Any,
  networks: dict[str, models.Backbone],
  sources: sources_lib.Sources,
  image_shape: tuple[int, int, int],
  trainings: tuple[Training, ...],
  num_steps: int,
  num_findings: int,
  white: float,
) -> evidence.Finding:
  """Trains networks on one part of the sources and bounds what they found.

  Args:
    sampler: the view, or one with a leak planted.
    networks: see `backbones`.
    sources: as `samples.fine` gives them.
    image_shape: of the view.
    trainings: which to train.
    num_steps: of each training.
    num_findings: see `evidence.find`.
    white: of the view, see `models.build`.
  """
  part = evidence.parts(sources.cluster, 0)
  images = [sources.images[part == i] for i in range(len(evidence.PARTS))]
  select, report = {}, {}
  for training in trainings:
    network = Network(
      sampler,
      networks[training.name],
      image_shape,
      num_steps,
      training.learning_rate,
      white,
    ).fit(images[0], training.seed)
    name = f"{training.name} {training.learning_rate:g} {training.seed}"
    select[name] = network.gain(images[1], 1)
    report[name] = network.gain(images[2], 2)
  cluster = np.tile(sources.cluster[part == 2], _DRAWS)
  return evidence.find(select, report, cluster, num_findings)
