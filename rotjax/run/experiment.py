"""The objects that a config describes, bound to its dataset."""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rotjax import angles as angles_lib
from rotjax import errors, heads, models
from rotjax.config import named
from rotjax.data import finer
from rotjax.evaluation import evaluator as evaluator_lib
from rotjax.image import view as view_lib
from rotjax.training import fine_tuning, head_first, optim
from rotjax.training import step as step_lib

# Of a dataset without an option for it, as the others' default.
_MAX_RESIDENT_MB = 1024


@dataclasses.dataclass(frozen=True)
class Experiment:
  """The objects that a config describes, bound to its dataset."""

  config: Any
  dataset: Any
  view: view_lib.View
  angles: angles_lib.Angles
  head: heads.Head
  model: models.Model
  optimizer: optim.Optimizer

  @classmethod
  def from_config(cls, config: Any, split: str = "train") -> "Experiment":
    """Builds everything; loads the training images.

    Args:
      config: resolved and validated.
      split: the split to load: its size and centre are the others', too.

    Raises:
      UserError: a dataset that is not there, values that do not fit.
    """
    dataset = named.build("data", config.data)
    images = dataset.load(split)
    return cls.bound_to(config, images.shape, images.center, dataset)

  @classmethod
  def bound_to(
    cls,
    config: Any,
    shape: tuple[int, int, int],
    center: tuple[float, float] | None = None,
    dataset: Any = None,
  ) -> "Experiment":
    """Builds everything for source images of this size.

    Args:
      config: resolved and validated.
      shape: height, width and channels of the images.
      center: that they are turned about; None for the canvas centre.
      dataset: that they are of; None where only steps are to be made.

    Raises:
      UserError: values that do not fit.
    """
    view = named.build("view", config.view).resolve(center, shape[:2])
    head = named.build("head", config.head)
    angles = named.build("angles", config.angles)
    model = models.build(
      named.build("model", config.model),
      head.num_outputs,
      (view.size, view.size, shape[-1]),
      jnp.dtype(config.dtype),
      config.matmul_precision,
      heads.turning(head, angles.period_deg),
      view.white,
    )
    optimizer = named.build("optim", config.optim)
    fine_tuning.plan(optimizer, model.stages)
    head_first.check(named.build("head_first", config.head_first), model)
    return cls(config, dataset, view, angles, head, model, optimizer)

  def split(self, name: str) -> finer.AnySplit:
    """A split with its images as the view's `render` takes them.

    What another interpolator turns is the dataset's own split.

    Args:
      name: "train", "validation" or "test".
    """
    return finer.of(self.dataset.load(name), self.view, self._resident_mb)

  @property
  def _resident_mb(self) -> int:
    return getattr(self.dataset, "max_resident_mb", _MAX_RESIDENT_MB)

  def training_split(self) -> finer.AnySplit:
    """What is trained on: the training split, or a part of it.

    With its images as in `split`, where they fit; else as the dataset has
    them, and the step resamples them.

    Raises:
      UserError: more images are asked for than there are.
    """
    split = self._training_sources()
    if not finer.fits(split, self.view, self._resident_mb):
      return split
    return finer.of(split, self.view, self._resident_mb)

  def _training_sources(self):
    split, wanted = self.dataset.load("train"), self.config.num_train_images
    if wanted > len(split):
      raise errors.UserError(
        f"num_train_images = {wanted}, but there are {len(split)}"
      )
    if split.angle_deg is not None and self.view.flip:
      raise errors.UserError(
        "view.flip = True mirrors images that are turned already, and their"
        " stored angle would be wrong: set view.flip = False"
      )
    if wanted:
      return split.rows(np.arange(wanted) * len(split) // wanted)
    return split

  def view_leaks(self) -> list[str]:
    """What this view is known to give away, in words."""
    view = named.build("view", self.config.view)
    return view.leaks(self.dataset.center)

  def _training_view(self) -> Any:
    """What samples the images of `training_split`."""
    if self.view.fineness and self.dataset is not None:
      sources = self._training_sources()
      if not finer.fits(sources, self.view, self._resident_mb):
        return finer.FromSource(self.view)
    return self.view

  def make_step(
    self,
    axis_name: str | None = None,
    gather: Callable[[Any], Any] = lambda params: params,
  ) -> step_lib.TrainStep:
    """The pure train step on `training_split`; see `step.make_train_step`.

    Without a dataset its images are those that the view's `finer` makes.
    """
    return step_lib.make_train_step(
      self._training_view(),
      self.angles,
      self.model,
      self.head,
      self.optimizer,
      num_steps=self.config.num_steps,
      axis_name=axis_name,
      metrics_every=self.config.log.every_steps,
      gather=gather,
      microbatches=self.config.microbatches,
    )

  def init_state(
    self, seed: int, pretrained: bool = True
  ) -> step_lib.TrainState:
    """The state before the first step.

    Args:
      seed: of what is drawn.
      pretrained: see `step.init_state`.

    Raises:
      UserError: as that.
    """
    return step_lib.init_state(
      self.model, self.optimizer, self.config.num_steps, seed, pretrained
    )

  def train_head(
    self,
    state: step_lib.TrainState,
    seed: int,
    split: finer.AnySplit,
    told: Callable[[], None],
  ) -> step_lib.TrainState:
    """The state before the first step, its new layers trained if asked for.

    Args:
      state: as `init_state` gives it.
      seed: of its run.
      split: `training_split`.
      told: called often; may raise to stop.
    """
    options = named.build("head_first", self.config.head_first)
    if not options.views:
      return state
    parts = head_first.Parts(
      self._training_view(),
      self.angles,
      self.model,
      self.head,
      self.optimizer,
      self.config.batch_size,
    )
    return head_first.train(options, state, seed, split, parts, told)

  def blank_state(self) -> step_lib.TrainState:
    """A state of zeros on the host, to be filled from a checkpoint."""
    shapes = jax.eval_shape(lambda: self.init_state(0, pretrained=False))
    return jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)

  @functools.cached_property
  def _evaluators(self) -> dict[str, evaluator_lib.Evaluator]:
    """Interpolator -> its evaluator: each traces its programs once."""
    return {}

  def evaluator(self, interpolator: str = "own") -> evaluator_lib.Evaluator:
    """The evaluation that `config.eval` describes."""
    if interpolator not in self._evaluators:
      self._evaluators[interpolator] = self._make_evaluator(interpolator)
    return self._evaluators[interpolator]

  def check_test(self, shape: tuple[int, int, int]) -> None:
    """Traces what the test will run, under each interpolator.

    Args:
      shape: of the images of `split`.

    Raises:
      UserError: what it cannot be built of.
    """
    state, test = self.blank_state(), self.dataset.load("test")
    network = state.eval_params, state.eval_model_state
    self.evaluator().check(*network, shape, len(test))
    if self.config.eval.warp != "own":
      other = self.evaluator(self.config.eval.warp)
      other.check(*network, test.shape, len(test))

  def _make_evaluator(self, interpolator):
    options = self.config.eval
    return evaluator_lib.Evaluator(
      self.view,
      self.angles,
      self.model,
      self.head,
      num_angles=options.num_angles,
      tta=options.tta,
      batch_views=options.batch_views,
      interpolator=interpolator,
    )
