"""Views of sources, as the estimators take them: summaries and angles."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from rotjax import angles as angles_lib
from rotjax.image import view as view_lib
from rotjax.leakage import cues, evidence, plants
from rotjax.leakage import sources as sources_lib

# Any angle, whatever the config trains on: a leak is the view's.
UNIFORM = angles_lib.Angles()
_CHUNK = 512


@dataclasses.dataclass(frozen=True)
class Samples:
  """Views of sources.

  Attributes:
    features: cue -> `[n, d]` summaries.
    theta: `[n]` angles, radians.
    cluster: `[n]` originals.
    part: `[n]` index into `evidence.PARTS`.
  """

  features: dict[str, np.ndarray]
  theta: np.ndarray
  cluster: np.ndarray
  part: np.ndarray

  def of(self, part: str, cue: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Summaries `[m, d]` (of one cue, or all) and `[m]` angles of a part."""
    rows = self.part == evidence.PARTS.index(part)
    chosen = [cue] if cue else list(self.features)
    columns = [self.features[name][rows] for name in chosen]
    return np.concatenate(columns, -1), self.theta[rows]


def fine(
  view: view_lib.View, sources: sources_lib.Sources
) -> sources_lib.Sources:
  """Sources as the view turns them; all that is shown passes through here."""
  return dataclasses.replace(sources, images=view.finer(sources.images))


def draw(
  sampler: Any, images: np.ndarray, keys: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """One view of each image: `[n, size, size, C]` and `[n]` degrees."""
  return _program(sampler)(images, keys)


@functools.lru_cache(maxsize=2)
def _program(sampler):
  return jax.jit(
    jax.vmap(lambda image, key: sampler.sample(key, image, UNIFORM))
  )


def observe(
  sampler: Any,
  view: view_lib.View,
  sources: sources_lib.Sources,
  num_draws: int,
  seed: int,
) -> Samples:
  """Draws views of each source and keeps their summaries.

  Args:
    sampler: the view, or one with a leak planted.
    view: the view itself.
    sources: as `fine` gives them.
    num_draws: of each.
    seed: of the draws.
  """
  rows = np.tile(np.arange(len(sources.images)), num_draws)
  keys = jax.random.split(jax.random.key(seed), len(rows))
  top = plants.top_of(view)
  found, angles = [], []
  for start in range(0, len(rows), _CHUNK):
    # The last chunk is filled up, so that there is one program.
    at = np.arange(start, start + _CHUNK) % len(rows)
    views, angle_deg = draw(sampler, sources.images[rows[at]], keys[at])
    count = min(_CHUNK, len(rows) - start)
    found.append(cues.summarize(np.asarray(views)[:count] / top))
    angles.append(np.asarray(angle_deg, np.float64)[:count])
  features = {
    name: np.concatenate([f[name] for f in found]) for name in found[0]
  }
  return Samples(
    features,
    np.deg2rad(np.concatenate(angles)),
    sources.cluster[rows],
    evidence.parts(sources.cluster, 0)[rows],
  )
