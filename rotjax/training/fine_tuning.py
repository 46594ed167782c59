"""What of a network is trained, and how fast: frozen stages, their own rates.

Parameters are split by their first names, which a pretrained backbone calls its
stages. What is frozen is a constant of the step: it is not differentiated, and
has no place in the optimizer's state.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

import optax

from rotjax import errors
from rotjax.training import optim

ALL = "all"


@dataclasses.dataclass(frozen=True)
class Plan:
  """How the parts of one network are trained.

  Attributes:
    optimizer: its options.
    frozen: first names of what stays as it is.
    factors: first name -> factor of the learning rate, where it is not 1.
  """

  optimizer: optim.Optimizer
  frozen: tuple[str, ...] = ()
  factors: Mapping[str, float] = dataclasses.field(default_factory=dict)

  def trained(self, tree: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a tree, such as the parameters, that is trained."""
    return {k: v for k, v in tree.items() if k not in self.frozen}

  def whole(
    self, trained: Mapping[str, Any], like: Mapping[str, Any]
  ) -> dict[str, Any]:
    """The tree `like` with another trained part."""
    return {k: trained.get(k, v) for k, v in like.items()}

  def transformation(self, num_steps: int) -> optax.GradientTransformation:
    """The optimizer's, of the trained part alone, with its parts' rates."""
    rule = self.optimizer.transformation(num_steps)
    if not self.factors:
      return rule

    # After the rule: its decay of weights is a part of the step, too.
    def scale(updates, params=None):
      del params
      return {
        name: optax.tree.scale(self.factors.get(name, 1.0), part)
        for name, part in updates.items()
      }

    return optax.chain(rule, optax.stateless(scale))


def plan(optimizer: optim.Optimizer, stages: tuple[str, ...]) -> Plan:
  """Reads `optim.freeze`, `optim.backbone_rate` and `optim.layer_decay`.

  Args:
    optimizer: its options; one without these fields trains everything alike.
    stages: first names of the pretrained parameters, in order of depth; () for
      a backbone without any.

  Raises:
    UserError: a stage that is none, or an option that needs stages.
  """
  freeze = getattr(optimizer, "freeze", "")
  rate = getattr(optimizer, "backbone_rate", 1.0)
  decay = getattr(optimizer, "layer_decay", 1.0)
  if not stages:
    given = {"freeze": freeze != "", "backbone_rate": rate != 1}
    given["layer_decay"] = decay != 1
    for field in (name for name, is_given in given.items() if is_given):
      raise errors.UserError(
        f"optim.{field} = {getattr(optimizer, field)!r} is about the stages of"
        " a pretrained backbone, and this model.name has none: leave it, or"
        " take model.name=efficientnet_lite0 or convnext_tiny"
      )
    return Plan(optimizer)
  if freeze:
    errors.choose("stage in optim.freeze", freeze, (ALL, *stages))
  depth = len(stages) if freeze == ALL else 0
  if freeze and freeze != ALL:
    depth = stages.index(freeze) + 1
  last = len(stages) - 1
  factors = {
    stage: rate * decay ** (last - i)
    for i, stage in enumerate(stages)
    if i >= depth
  }
  return Plan(
    optimizer,
    stages[:depth],
    {name: factor for name, factor in factors.items() if factor != 1},
  )
