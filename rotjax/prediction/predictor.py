"""Predictions for any picture, from a run folder or an exported model file.

    from rotjax.prediction import predictor
    p = predictor.load("runs/vonmises")
    p(["photo.jpg"]).angle_deg

Both kinds are one function: uint8 squares -> angles and densities. A run builds
it here; a model file brings it along compiled, and then neither flax nor orbax
is imported. The training images are needed by neither.
"""

from collections.abc import Callable, Iterable
import dataclasses
import os
import pathlib
from typing import Any

import jax
import numpy as np
import PIL.Image

from rotjax import errors
from rotjax.image import picture_files, pictures
from rotjax.prediction import answers as answers_lib
from rotjax.prediction import ready

# Squares in one call; fewer are padded to one of these, each one a program.
SIZES = (1, 8, 64)
BATCH = SIZES[-1]
EVERY_TURN = "every turn"
# Of more trained turns only the range is told.
_LISTED = 36

# `[b, S, S, C]` uint8 -> `[b]` radians of real turn, `[b, G]` nats per radian.
AnswerFn = Callable[[jax.typing.ArrayLike], tuple[jax.Array, jax.Array]]


@dataclasses.dataclass(frozen=True)
class Spec:
  """What a network takes, and on which circle it answers.

  Attributes:
    size: side of its square input, pixels.
    channels: 1 (grey) or 3 (red, green, blue).
    mask, pixel_range, crop: of the run's view, see `view.View`.
    source: height and width of the images it was trained on, in pixels of
      that square.
    period_deg: angles are known modulo this.
    tta: "none", "rot90" or "rot8", see `evaluator.Evaluator`.
    trained_range_deg: the least and the largest turn that it was trained on,
      degrees; None where that is not known.
    trained_values_deg: the turns, where they are a short list.
    threshold: of the run's view, too.
    data: `data.name` of the run; "" where that is not known.
  """

  size: int
  channels: int
  mask: str
  pixel_range: str
  crop: str
  source: tuple[int, int]
  period_deg: float
  tta: str
  trained_range_deg: tuple[float, float] | None = None
  trained_values_deg: tuple[float, ...] | None = None
  threshold: float = 0.0
  data: str = ""

  @property
  def every_turn(self) -> bool:
    """Whether it answers for all of a full circle."""
    return self.period_deg == 360 and self.trained == EVERY_TURN

  @property
  def trained(self) -> str:
    """The turns that it was trained on, in words: "turns of -10° to 10°"."""
    if self.trained_range_deg is None:
      return "turns that are not recorded"
    if self.trained_values_deg is not None:
      values = sorted(self.trained_values_deg)
      return f"turns of {', '.join(f'{value:g}°' for value in values)} alone"
    low, high = self.trained_range_deg
    if high - low >= self.period_deg:
      return EVERY_TURN
    return f"turns of {low:g}° to {high:g}°"


@dataclasses.dataclass(frozen=True)
class Predictor:
  """Tells how far pictures have been turned.

  Attributes:
    spec: what it takes.
    fn: from uint8 squares to angles and recalibrated densities.
  """

  spec: Spec
  fn: AnswerFn

  def answer(self, squares: np.ndarray) -> answers_lib.Answers:
    """Answers to uint8 `[n, size, size, channels]`, as `pictures.square` gives.

    Raises:
      ValueError: another shape or type.
    """
    spec = self.spec
    shape = (spec.size, spec.size, spec.channels)
    if squares.shape[1:] != shape or squares.dtype != np.uint8:
      raise ValueError(
        f"squares are {squares.dtype} {squares.shape}, not uint8 [n, *{shape}]"
      )
    parts = []
    # One size for all, so that a last few do not cost another program.
    batch = next(s for s in SIZES if s >= min(len(squares), BATCH))
    for start in range(0, len(squares), batch):
      part = squares[start : start + batch]
      padding = np.zeros((batch - len(part), *shape), np.uint8)
      results = jax.device_get(self.fn(np.concatenate([part, padding])))
      parts.append([x[: len(part)] for x in results])
    if not parts:
      parts = [[np.zeros(0), np.zeros((0, answers_lib.RING_SIZE))]]
    theta, log_density = (np.concatenate(x) for x in zip(*parts))
    return answers_lib.Answers(
      np.rad2deg(theta.astype(np.float64)),
      log_density.astype(np.float64),
      spec.period_deg,
      answers_lib.is_blank(squares, spec.mask == "disc", spec.threshold),
      spec.trained,
    )

  def __call__(self, images: Iterable[Any]) -> answers_lib.Answers:
    """Answers to pictures.

    Args:
      images: file names, Pillow images, or arrays `[H, W]`, `[H, W, 1 | 3 | 4]`
        of uint8 or `[H, W]` of uint16 or bool, of any sizes; or one of these;
        an array `[n, H, W]` or `[n, H, W, C]` is n pictures.

    Returns:
      The answers, in that order.

    Raises:
      UserError: one of them is not a picture.
    """
    if _is_one(images):
      images = [images]
    elif not isinstance(images, Iterable):
      raise errors.UserError(
        f"{type(images).__name__} is neither a picture nor a list of them:"
        " pictures are file names, Pillow images and arrays"
      )
    squares = []
    for n, image in enumerate(images):
      named = isinstance(image, (str, os.PathLike))
      try:
        picture = (
          pictures.read(picture_files.expanded(os.fsdecode(image)))
          if named
          else pictures.of(image)
        )
        squares.append(pictures.square(picture, self.spec))
      except pictures.Unusable as error:
        name = image if named else f"picture {n}"
        raise errors.UserError(f"{name}: {error}") from None
    shape = (0, self.spec.size, self.spec.size, self.spec.channels)
    return self.answer(np.stack(squares) if squares else np.zeros(shape, "u1"))


def _is_one(images: Any) -> bool:
  """Whether this is one picture; of arrays, by its rank and its channels."""
  rank = getattr(images, "ndim", None)
  if rank is None:
    return isinstance(images, (str, bytes, os.PathLike, PIL.Image.Image))
  # No picture is four pixels wide; `pictures.of` refuses two channels.
  return rank in (0, 2) or (rank == 3 and images.shape[-1] <= 4)


def load(path: str | os.PathLike, tta: str | None = None) -> Predictor:
  """The predictor of a run folder, of a model file or of a ready model.

  Args:
    path: a model that comes with rotjax, by its name ("./NAME" is a path
      whatever it is called); a finished run's folder, of several seeds too,
      whose densities are then averaged; or what `rotjax.export` wrote.
    tta: "none", "rot90" or "rot8"; None is the run's own `eval.tta`. A model
      file holds one of them.

  Raises:
    UserError: neither of them, or damaged.
  """
  path = ready.place(pathlib.Path(path), path)
  if not path.is_file():
    return from_run(path, tta)
  from rotjax.prediction import model_file

  spec, fn = model_file.load(path)
  if tta not in (None, spec["tta"]):
    raise errors.UserError(
      f'{path} was exported with tta = "{spec["tta"]}": export the run again'
      f" with --tta {tta}, or predict from its folder"
    )
  # JSON has no tuples.
  spec = {k: tuple(v) if isinstance(v, list) else v for k, v in spec.items()}
  return Predictor(Spec(**spec), fn)


def from_run(workdir: pathlib.Path, tta: str | None = None) -> Predictor:
  """The predictor of a finished run, of a run's seeds together, or of a ready
  model; see `load`."""
  spec, fn = describe_run(workdir, tta)
  return Predictor(spec, jax.jit(fn))


def describe_run(
  workdir: pathlib.Path, tta: str | None = None
) -> tuple[Spec, AnswerFn]:
  """What a finished run's network takes, and its answers, not yet compiled.

  Raises:
    UserError: no run, an unfinished one, or a damaged one.
  """
  from rotjax.evaluation import averaging
  from rotjax.run import ensemble, layout

  run = ensemble.open_any(workdir)
  try:
    experiment = run.experiment()
    tta = tta or run.config.eval.tta
    averaging.check(tta, experiment.angles, experiment.view.mask)
    trained_on = _trained_on(experiment.angles, run.config.data.name)
  except (KeyError, AttributeError) as error:
    raise errors.UserError(
      f"{workdir / layout.CONFIG} is not the config of a run of this version:"
      f" {error}"
    ) from None
  view, (height, width, channels) = experiment.view, run.source
  spec = Spec(
    size=view.size,
    channels=channels,
    mask=view.mask,
    pixel_range=view.pixel_range,
    crop=view.crop,
    source=(round(height * view.zoom), round(width * view.zoom)),
    period_deg=experiment.angles.period_deg,
    tta=tta,
    **trained_on,
    threshold=view.threshold,
    data=run.config.data.name,
  )
  state = run.best(experiment)

  def network(inputs):
    model, network_state = experiment.model, state.eval_model_state
    return model.apply(state.eval_params, network_state, inputs)[0]

  fn = _answer_fn(
    view, experiment.angles, experiment.head, network, run.calibration, tta
  )
  return spec, fn


def _trained_on(angles, data_name: str) -> dict[str, Any]:
  """The fields of `Spec` that say which turns a network was trained on."""
  from rotjax import data

  # Pictures that were turned already: by what, only they say.
  known = data.DATASETS.get(data_name)
  if getattr(known, "turned", False) and not angles.covers_the_circle:
    return {}
  values = angles.discrete_deg
  if values is None:
    return {"trained_range_deg": tuple(map(float, angles.range_deg))}
  spread = (float(values.min()), float(values.max()))
  if len(values) > _LISTED:
    return {"trained_range_deg": spread}
  return {
    "trained_range_deg": spread,
    "trained_values_deg": tuple(values.tolist()),
  }


def _answer_fn(view, angles, head, network, calibration, tta) -> AnswerFn:
  """The whole way from uint8 squares to angles and densities of real turn."""
  from rotjax.evaluation import calibration as calibration_lib
  from rotjax.evaluation import evaluator
  from rotjax.metrics import probabilistic

  per_radian = angles.period_deg / 360

  def fn(squares):
    inputs = jax.vmap(view.receive)(squares)
    scored = evaluator.predict(network, head, angles, inputs, tta)
    fine = calibration_lib.on_grid(
      calibration,
      head,
      angles,
      predicted_theta=scored["predicted_theta"],
      outputs=scored["outputs"],
    )
    cells = probabilistic.cell_means(fine, answers_lib.RING_SIZE)
    return scored["predicted_theta"] * per_radian, cells + angles.log_jacobian

  return fn
