"""Views of sources, as the estimators take them: summaries and angles."""

from collections.abc import Mapping
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
  kinds: Mapping[str, plants.Kind] | None = None,
) -> dict[str, Samples]:
  """Draws views of each source and keeps their summaries.

  Args:
    sampler: what draws the views.
    view: the view itself, for its size, range and mask.
    sources: as `fine` gives them.
    num_draws: of each.
    seed: of the draws.
    kinds: leaks to plant into the same views, one at a time.

  Returns:
    The views' own under "", and those of each kind under its name.
  """
  rows = np.tile(np.arange(len(sources.images)), num_draws)
  keys = jax.random.split(jax.random.key(seed), len(rows))
  top = plants.top_of(view)
  planting = {
    name: jax.jit(jax.vmap(functools.partial(plants.plant, kind, view)))
    for name, kind in (kinds or {}).items()
  }
  found: dict[str, list] = {"": [], **{name: [] for name in planting}}
  angles = []
  for start in range(0, len(rows), _CHUNK):
    # The last chunk is filled up, so that there is one program.
    at = np.arange(start, start + _CHUNK) % len(rows)
    views, angle_deg = draw(sampler, sources.images[rows[at]], keys[at])
    count = min(_CHUNK, len(rows) - start)
    angles.append(np.asarray(angle_deg, np.float64)[:count])
    shown = {"": views}
    for name, planted in planting.items():
      shown[name] = planted(keys[at], views, angle_deg)
    for name, pictures in shown.items():
      found[name].append(cues.summarize(np.asarray(pictures)[:count] / top))
  theta = np.deg2rad(np.concatenate(angles))
  part = evidence.parts(sources.cluster, 0)[rows]
  return {
    name: Samples(
      {cue: np.concatenate([c[cue] for c in chunks]) for cue in cues.CUES},
      theta,
      sources.cluster[rows],
      part,
    )
    for name, chunks in found.items()
  }
