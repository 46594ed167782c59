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
  """One view of each source.

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
  """Sources as the view turns them: what is shown of any passes through here."""
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
  seed: int,
) -> Samples:
  """Draws one view of each source and keeps its summaries.

  Args:
    sampler: the view, or one with a leak planted.
    view: the view itself.
    sources: as `fine` gives them.
    seed: of the draws and of the parts.
  """
  images, top = sources.images, plants.top_of(view)
  keys = jax.random.split(jax.random.key(seed), len(images))
  found, angles = [], []
  for start in range(0, len(images), _CHUNK):
    rows = np.arange(start, start + _CHUNK)
    # The last chunk is filled up, so that there is one program.
    full = rows % len(images)
    views, angle_deg = draw(sampler, images[full], keys[full])
    count = min(_CHUNK, len(images) - start)
    found.append(cues.summarize(np.asarray(views)[:count] / top))
    angles.append(np.asarray(angle_deg, np.float64)[:count])
  features = {name: np.concatenate([f[name] for f in found]) for name in found[0]}
  return Samples(
    features,
    np.deg2rad(np.concatenate(angles)),
    sources.cluster,
    evidence.parts(sources.cluster, 0),
  )
