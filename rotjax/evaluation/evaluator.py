"""Evaluation: every image at a grid of angles, the same for every run.

`vmap` over angles inside `vmap` over images, a bounded number of views a call;
the calls are a host loop, so that a run told to stop can stop between two. The
last call is padded and its padding cut off again.
"""

from collections.abc import Callable
import dataclasses
import functools
import logging
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rotjax import angles as angles_lib
from rotjax import distributed, heads, metrics, models
from rotjax.data import Split
from rotjax.evaluation import averaging, density
from rotjax.evaluation import calibration as calibration_lib
from rotjax.evaluation import rows as rows_lib
from rotjax.image import view as view_lib
from rotjax.metrics import probabilistic

_log = logging.getLogger("rotjax")


def predict(
  network: Callable[[jax.Array], jax.Array],
  head: heads.Head,
  angles: angles_lib.Angles,
  inputs: jax.Array,
  tta: str = "none",
) -> dict[str, jax.Array]:
  """Predictions of a network and its head for pictures.

  Args:
    network: `[N, S, S, C]` -> `[N, num_outputs]`.
    head: the meaning of its outputs.
    angles: states the period.
    inputs: `[N, S, S, C]` as `view.View.render` makes them.
    tta: a key of `averaging.PASSES`, see `Evaluator`.

  Returns:
    "predicted_theta" `[N]` radians in [-pi, pi), "outputs" `[N, P,
    num_outputs]` of each pass, see `density`, and "diagnostics", a dict of
    `[N]`.
  """
  count = averaging.PASSES[tta]
  thetas, diagnostics, passes = [], [], []
  for k in range(count):
    turn = angles.to_theta(jnp.float32(360 / count * k))
    outputs = network(averaging.turned(inputs, k, count))
    passes.append(outputs)
    thetas.append(head.decode(outputs) - turn)
    diagnostics.append(heads.diagnostics(head, outputs))
  outputs = jnp.stack(passes, axis=1)
  predicted = angles_lib.wrap(thetas[0])
  if count > 1:
    predicted = averaging.decode(head, angles, jnp.stack(thetas), outputs)
  return {
    "predicted_theta": predicted,
    "outputs": outputs,
    "diagnostics": jax.tree.map(lambda *x: sum(x) / len(x), *diagnostics),
  }


class Views(NamedTuple):
  """What a call takes: n images, A views of each.

  Attributes:
    images: `[n, H, W, C]` uint8, or views that the host has rendered.
    known_deg: `[n, 1]` by how much each is turned already.
    angle_deg: `[n, A]` by how much it is turned on.
    uniform: `[n, A]` in [0, 1), a hash of the view's number.
  """

  images: Any
  known_deg: Any
  angle_deg: Any
  uniform: Any


@dataclasses.dataclass(frozen=True)
class Evaluator:
  """Turns a network and a split into predictions.

  Attributes:
    view: with its centre resolved.
    angles: the distribution; its evaluation grid is used.
    model: the network.
    head: the meaning of its outputs.
    num_angles: A, views of one image.
    tta: "none"; "rot90", the four quarter turns of each input, or "rot8", its
      eight eighths of a turn; see `averaging` and `angles.Angles.check_tta`.
    batch_views: views in one call.
    interpolator: see `view.View.render`; "scipy" renders on the host, see
      `view_scipy`.
  """

  view: view_lib.View
  angles: angles_lib.Angles
  model: models.Model
  head: heads.Head
  num_angles: int
  tta: str = "none"
  batch_views: int = 1024
  interpolator: str = "own"

  @functools.cached_property
  def _score(self):
    return jax.jit(self._score_views)

  @functools.cached_property
  def _predict(self):
    return jax.jit(self._predict_views)

  def _predictions(self, params, model_state, views):
    """The n A predictions as `predict` has them, and "theta", the truth."""
    images, known_deg, angle_deg, uniform = views

    def render(image, angle_deg, uniform):
      # A first turn, where the view makes two, as little related to the angle
      # as in training.
      draw = view_lib.Draw(angle_deg, via_deg=360 * uniform)
      return self.view.render(image, draw, self.interpolator)

    inputs = images
    if self.interpolator != "scipy":
      inputs = jax.vmap(jax.vmap(render, (None, 0, 0)))(
        images, angle_deg, uniform
      )
    inputs = inputs.reshape(-1, *inputs.shape[2:])
    theta = self.angles.to_theta(angle_deg + known_deg).reshape(-1)
    predictions = predict(
      lambda x: self.model.apply(params, model_state, x)[0],
      self.head,
      self.angles,
      inputs,
      self.tta,
    )
    return {"theta": theta, **predictions}

  def _predict_views(self, params, model_state, views):
    """What a calibration is fitted to, each leaf `[n, A, ...]`."""
    predictions = self._predictions(params, model_state, views)
    predictions.pop("diagnostics")
    shape = views.angle_deg.shape
    return jax.tree.map(lambda x: x.reshape(*shape, *x.shape[1:]), predictions)

  def _score_views(self, params, model_state, views, calibration):
    """Predicted theta `[n, A]`, and scores `[n, A]` by prefix and name."""
    predictions = self._predictions(params, model_state, views)
    scores = {"": predictions.pop("diagnostics")}
    theta, outputs = predictions["theta"], predictions["outputs"]
    spec = self.head, self.angles
    densities = {"": (density.at(*spec, outputs, theta), None)}
    if calibration is not None:
      raw = density.tabulate(*spec, outputs, calibration.num_points)
      densities[""] = (densities[""][0], raw)
      densities["recalibrated_"] = calibration_lib.apply(
        calibration, *spec, **predictions
      )
    for prefix, (at, table) in densities.items():
      if at is not None:
        scores[prefix] = scores.get(prefix, {}) | {"log_density": at}
      if table is not None:
        scores[prefix] |= probabilistic.density_scores(
          table, theta, views.uniform.reshape(-1)
        )
    return jax.tree.map(
      lambda x: x.reshape(views.angle_deg.shape),
      (predictions["predicted_theta"], scores),
    )

  def _calls(self, split, between_calls):
    """Yields the rows and the padded `Views` of each call of this process.

    The processes of a job take turns and ask `between_calls` equally often:
    whoever has no call left in the last turn makes the last one, too.
    """
    # float32 first: what is applied is what is scored.
    angle_deg = np.float32(
      self.angles.evaluation_deg(split.indices, self.num_angles)
    )
    rows = self._rows(len(split))
    last = (len(split) - 1) // rows
    for turn in range(0, last + 1, distributed.count()):
      between_calls()
      start = min(turn + distributed.index(), last) * rows
      stop = min(start + rows, len(split))
      padding = rows - (stop - start)
      angles = rows_lib.pad(angle_deg[start:stop], padding)
      number = start * angles.shape[1] + np.arange(angles.size)
      uniform = np.float32(angles_lib.hashed_uniform(number))
      images = split.__getitems__(np.arange(start, stop))["image"]
      images = rows_lib.pad(images, padding)
      if self.interpolator == "scipy":
        from rotjax.image import view_scipy  # scipy.ndimage, rarely needed

        images = view_scipy.render(self.view, images, angles)
      known = rows_lib.pad(rows_lib.known_deg(split)[start:stop], padding)
      views = Views(images, known, angles, uniform.reshape(angles.shape))
      yield slice(start, stop), rows_lib.spread(views)

  def _rows(self, count) -> int:
    """Images in one call: a multiple of the devices that share it."""
    rows = min(max(self.batch_views // self.num_angles, 1), count)
    devices = jax.local_device_count()
    return -(-rows // devices) * devices

  def _over(self, score, split, between_calls) -> Any:
    """What `score` says of all views, on every process: NumPy `[n, A, ...]`."""
    whole = None
    for rows, views in self._calls(split, between_calls):
      part = jax.device_get(score(views))
      if whole is None:
        whole = jax.tree.map(
          lambda x: np.zeros((len(split), *x.shape[1:]), x.dtype), part
        )
      for all_rows, some in zip(jax.tree.leaves(whole), jax.tree.leaves(part)):
        all_rows[rows] = some[: rows.stop - rows.start]
    image = np.arange(len(split))
    process = image // self._rows(len(split)) % distributed.count()
    return jax.tree.map(lambda x: x[process, image], distributed.gather(whole))

  def __call__(
    self,
    params: Any,
    model_state: Any,
    split: Split,
    calibration: calibration_lib.Calibration | None = None,
    between_calls: Callable[[], None] = lambda: None,
  ) -> metrics.Predictions:
    """Predicts a whole split, with all devices of all processes.

    Args:
      params: of the model.
      model_state: of the model.
      split: n images.
      calibration: fitted on validation. With it every score of the densities,
        raw and recalibrated, is computed; without, the log-density alone.
      between_calls: called before each call; may raise to stop.

    Returns:
      `[n, A]` predictions, the same on every process.
    """
    predicted_theta, scores = self._over(
      lambda views: self._score(params, model_state, views, calibration),
      split,
      between_calls,
    )
    turned = self.angles.evaluation_deg(split.indices, self.num_angles)
    angle_deg = (np.float32(turned) + rows_lib.known_deg(split)).astype(
      np.float64
    )
    angles = self.angles
    if split.angle_deg is not None and not angles.covers_the_circle:
      # Of images that are turned already, chance is known from the truth.
      values = tuple(np.unique(angle_deg).tolist())
      angles = dataclasses.replace(
        angles, distribution="values", values_deg=values
      )
    return metrics.Predictions(
      true_deg=angle_deg,
      predicted_deg=angles.to_degrees(predicted_theta.astype(np.float64)),
      example=np.asarray(split.indices),
      label=np.asarray(split.labels),
      angles=angles,
      scores={
        prefix + name: value
        for prefix, raw in scores.items()
        for name, value in probabilistic.in_degrees(raw, self.angles).items()
      },
    )

  def check(
    self, params: Any, model_state: Any, shape: tuple[int, ...], count: int
  ) -> None:
    """Traces what scores a recalibrated test, and computes nothing.

    Args:
      params: of the model.
      model_state: of the model.
      shape: of an image of the split.
      count: how many there are.

    Raises:
      UserError: it cannot be built; or whatever a head of one's own raises.
    """
    outputs = jax.eval_shape(
      lambda x: self.model.apply(params, model_state, x)[0],
      jax.ShapeDtypeStruct((1, *self._view_shape(shape)), np.float32),
    )
    theta = jax.ShapeDtypeStruct((1,), np.float32)
    stated = jax.eval_shape(self.head.log_density, outputs, theta) is not None
    fitted = calibration_lib.Calibration(
      "temper" if stated else "vonmises", 1.0
    )
    each = self.angles.evaluation_deg(np.arange(1), self.num_angles)
    angle_deg = np.zeros((self._rows(count), each.shape[1]), np.float32)
    images = np.zeros((len(angle_deg), *shape), np.uint8)
    if self.interpolator == "scipy":
      rendered = (*angle_deg.shape, *self._view_shape(shape))
      images = np.zeros(rendered, np.float32)
    views = Views(images, angle_deg[:, :1], angle_deg, angle_deg)
    self._score.eval_shape(params, model_state, views, fitted)

  def _view_shape(self, shape):
    return self.view.size, self.view.size, shape[-1]

  def calibrate(
    self,
    params: Any,
    model_state: Any,
    split: Split,
    between_calls: Callable[[], None] = lambda: None,
  ) -> calibration_lib.Calibration:
    """Fits the recalibration of predictions to a split, the validation set.

    Of a large split only as many evenly spaced images are used as make
    `calibration.ENOUGH_VIEWS` views.
    """
    wanted = max(calibration_lib.ENOUGH_VIEWS // self.num_angles, 1)
    wanted = min(wanted, len(split))
    split = split.rows(np.arange(wanted) * len(split) // wanted)
    if wanted < calibration_lib.FEW_IMAGES:
      _log.warning(
        "the recalibration is fitted on %d validation image%s: below %d it says"
        " little of others",
        wanted,
        "s" * (wanted != 1),
        calibration_lib.FEW_IMAGES,
      )
    predictions = self._over(
      lambda views: self._predict(params, model_state, views),
      split,
      between_calls,
    )
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), predictions)
    return calibration_lib.fit(self.head, self.angles, **flat)
