"""Evaluation: every image at a grid of angles, the same for every run.

`vmap` over angles inside `vmap` over images, a bounded number of views a call;
the calls are a host loop, so that a run told to stop can stop between two. The
last call is padded and its padding cut off again.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rotjax import angles as angles_lib
from rotjax import heads
from rotjax import metrics
from rotjax import models
from rotjax import view as view_lib
from rotjax.data import Split


@dataclasses.dataclass(frozen=True)
class Evaluator:
  """Turns a network and a split into predictions.

  Attributes:
    view: with its centre resolved.
    angles: the distribution; its evaluation grid is used.
    model: the network.
    head: the meaning of its outputs.
    num_angles: A, views of one image.
    tta: "none", or "rot90": the four quarter turns of each input are decoded,
      turned back and averaged as vectors, the densities as probabilities.
    batch_views: views in one call.
    num_devices: the call's images are spread over so many.
  """

  view: view_lib.View
  angles: angles_lib.Angles
  model: models.Model
  head: heads.Head
  num_angles: int
  tta: str = "none"
  batch_views: int = 2048
  num_devices: int = 1

  def __post_init__(self):
    object.__setattr__(self, "_score", jax.jit(self._score_views))

  def outputs(
      self, params: Any, model_state: Any, inputs: jax.Array
  ) -> jax.Array:
    """`[N, size, size, C]` network inputs -> `[N, num_outputs]` float32."""
    out, _ = self.model.apply(params, model_state, inputs)
    return out.astype(jnp.float32)

  def _score_views(self, params, model_state, images, angle_deg):
    """`[n, H, W, C]`, `[n, A]` -> decoded theta and scores, each `[n, A]`."""
    inputs = jax.vmap(jax.vmap(self.view.render, (None, 0)))(images, angle_deg)
    shape = angle_deg.shape
    inputs = inputs.reshape(-1, *inputs.shape[2:])
    theta = self.angles.to_theta(angle_deg).reshape(-1)
    decoded, log_density = [], []
    for k in range(4 if self.tta == "rot90" else 1):
      turn = self.angles.to_theta(jnp.float32(90.0 * k))
      outputs = self.outputs(
          params, model_state, jnp.rot90(inputs, k, axes=(1, 2))
      )
      decoded.append(self.head.decode(outputs) - turn)
      log_density.append(
          self.head.log_density(outputs, angles_lib.wrap(theta + turn))
      )
    answer = decoded[0]
    if len(decoded) > 1:
      answer = angles_lib.circular_mean(jnp.stack(decoded), axis=0)
    result = {"decoded": angles_lib.wrap(answer).reshape(shape)}
    if log_density[0] is not None:
      pooled = jax.scipy.special.logsumexp(jnp.stack(log_density), axis=0)
      pooled -= jnp.log(len(log_density))
      result["log_density"] = pooled.reshape(shape)
    return result

  def __call__(
      self,
      params: Any,
      model_state: Any,
      split: Split,
      between_calls: Callable[[], None] = lambda: None,
  ) -> metrics.Predictions:
    """Predicts a whole split.

    Args:
      params: of the model.
      model_state: of the model.
      split: n images.
      between_calls: called before each call; may raise to stop.

    Returns:
      `[n, A]` predictions; `scores["log_density"]` in nats per radian of real
      turn where the head states a density.
    """
    index = split.indices
    # float32 first: what was applied is what is scored.
    angle_deg = np.float32(self.angles.evaluation_deg(index, self.num_angles))
    rows = max(self.batch_views // angle_deg.shape[1], 1)
    rows = -(-min(rows, len(split)) // self.num_devices) * self.num_devices
    parts = []
    for start in range(0, len(split), rows):
      between_calls()
      stop = min(start + rows, len(split))
      padding = rows - (stop - start)
      images = _pad(split.images[start:stop], padding)
      angles = _pad(angle_deg[start:stop], padding)
      part = self._score(params, model_state, images, angles)
      parts.append(jax.tree.map(lambda x, n=stop - start: x[:n], part))
    parts = jax.device_get(parts)
    result = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    scores = {}
    if "log_density" in result:
      scores["log_density"] = (
          result["log_density"].astype(np.float64) + self.angles.log_jacobian
      )
    return metrics.Predictions(
        angle_deg=angle_deg.astype(np.float64),
        decoded_deg=self.angles.to_degrees(result["decoded"].astype(np.float64)),
        example=np.asarray(index),
        label=np.asarray(split.labels),
        angles=self.angles,
        scores=scores,
    )


def _pad(rows: np.ndarray, count: int) -> np.ndarray:
  return np.concatenate([rows, np.repeat(rows[:1], count, axis=0)])
