"""The audit of a view: what looks at it, in what order."""

from collections.abc import Callable
import dataclasses
import itertools
import logging
import time
from typing import Any, NamedTuple

import numpy as np

from rotjax import errors, models
from rotjax.config import named
from rotjax.image import view as view_lib
from rotjax.leakage import (
  cues,
  estimators,
  evidence,
  networks,
  plants,
  samples,
  summaries,
  verdict,
)
from rotjax.leakage import sources as sources_lib

# What the sources of an audit may take, as the view turns them: bytes.
_LARGEST = 2**30
# Of the sources, for a kind of synthetic ones.
_SYNTHETIC = 0.5
_FEWEST = 10
_NUM_PLANTS = len(plants.PLANTS) + 1

_log = logging.getLogger("rotjax")


class Budget(NamedTuple):
  """How much an audit looks at.

  Attributes:
    num_sources: differently turned images, about.
    num_steps: of the training of each network.
    num_draws: views of each source for the summaries.
    trainings: the networks.
    to_the_end: goes on where the summaries have found a leak already.
  """

  num_sources: int
  num_steps: int
  num_draws: int
  trainings: tuple[networks.Training, ...]
  to_the_end: bool


_TRAININGS = (
  networks.Training("own", 3e-3, 0),
  networks.Training("own", 1e-3, 1),
  networks.Training("wide", 1e-3, 0),
  networks.Training("local", 3e-3, 0),
)


def budget(
  num_sources: int | None, num_steps: int | None, thorough: bool
) -> Budget:
  """The usual one, or one of hours; None is what goes with it."""
  usual = (12_000, 4000) if thorough else (4000, 600)
  sources, steps = (
    other if given is None else given
    for given, other in zip((num_sources, num_steps), usual)
  )
  if not thorough:
    return Budget(sources, steps, 4, _TRAININGS, False)
  every = itertools.product(("own", "wide", "local"), (3e-3, 1e-3), range(3))
  trainings = tuple(networks.Training(*one) for one in every)
  return Budget(sources, steps, 6, trainings, True)


@dataclasses.dataclass(frozen=True)
class Subject:
  """What is audited.

  Attributes:
    view: with its centre resolved.
    images: `[N, H, W, C]` uint8, the originals.
    center: (y, x) of the objects in them; the middle when None.
    backbone: the config's own.
    wrap: the view -> what draws its views; the view itself.
  """

  view: view_lib.View
  images: np.ndarray
  center: tuple[float, float] | None
  backbone: models.Backbone
  wrap: Callable[[view_lib.View], Any] = lambda view: view


def subject(config: Any, num_sources: int) -> Subject:
  """The view of a config, and training and validation images to show it.

  Args:
    config: resolved and validated.
    num_sources: so many originals at most.

  Raises:
    UserError: too few originals to divide in three.
  """
  dataset = named.build("data", config.data)
  splits = [dataset.load(name) for name in ("train", "validation")]
  total = sum(map(len, splits))
  if total < _FEWEST:
    raise errors.UserError(
      f"{total} training and validation images of {config.data.name} are too"
      f" few for an audit, whose intervals are taken across them: at least"
      f" {_FEWEST}"
    )
  view = named.build("view", config.view)
  view = view.resolve(splits[0].center, splits[0].shape[:2])
  images = []
  for split in splits:
    # Evenly spaced originals where there are more than enough.
    count = max(min(len(split), num_sources * len(split) // total), 1)
    rows = split.rows(np.arange(count) * len(split) // count)
    images.append(rows.__getitems__(np.arange(count))["image"])
  return Subject(
    view,
    np.concatenate(images),
    splits[0].center,
    named.build("model", config.model),
  )


@dataclasses.dataclass
class Examined:
  """What was found.

  Attributes:
    findings: of each family and each kind of sources.
    null: of the summaries' families, with the angles permuted.
    planted: of each kind of plant.
    seen: kind of plant -> whether its leak shows above the view's own.
    told: which cue shows a leak and what removes it; "" without one.
  """

  findings: dict[str, evidence.Finding] = dataclasses.field(
    default_factory=dict
  )
  null: dict[str, evidence.Finding] = dataclasses.field(default_factory=dict)
  planted: dict[str, evidence.Finding] = dataclasses.field(default_factory=dict)
  seen: dict[str, bool] = dataclasses.field(default_factory=dict)
  told: str = ""

  def record(self, name: str, finding: evidence.Finding) -> None:
    """Keeps a finding and tells it."""
    self.findings[name] = finding
    _log.info("audit: %s: %+.4f nats", name, finding.nats)

  def plant(self, kind: str, finding: evidence.Finding, family: str) -> bool:
    """Keeps what a family found of a plant; returns whether that is enough."""
    seen = verdict.found(finding, self.findings[family])
    if kind not in self.planted or seen:
      self.planted[kind] = finding
    self.seen[kind] = seen
    return seen


def _affordable(view, shape, num_sources):
  """So many sources as fit."""
  size = int(np.prod(view.finer_shape(shape)))
  return max(min(num_sources, _LARGEST // size), 1)


def _synthetic(looked_at, count):
  """(kind, its view, its sources), whose border the canvas never sees."""
  side = 2 * (looked_at.view.size // 2 + 2) + max(looked_at.images.shape[1:3])
  shape = (side, side, looked_at.images.shape[-1])
  view = dataclasses.replace(looked_at.view, center="canvas").resolve(
    None, shape[:2]
  )
  count = _affordable(view, shape, count)
  for kind in sources_lib.ISOTROPIC:
    made = sources_lib.isotropic(kind, count, shape, 0)
    yield kind, view, samples.fine(view, made)


def _find_plants(examined, drawn):
  """Every kind of plant, by the first of the summaries' families to see it."""
  for name, kind in plants.PLANTS.items():
    for family in estimators.ESTIMATORS:
      finding = summaries.find(family, drawn[name], _NUM_PLANTS, (kind.k,))
      if examined.plant(name, finding, family):
        break
    nats = examined.planted[name].nats
    _log.info("audit: planted %s: %+.4f nats", name, nats)


def examine(looked_at: Subject, given: Budget) -> Examined:
  """Looks at a view with every family.

  Args:
    looked_at: the view and images to show it.
    given: how much to look at.
  """
  view, sampler = looked_at.view, looked_at.wrap(looked_at.view)
  shape = looked_at.images.shape[1:]
  num_sources = _affordable(view, shape, given.num_sources)
  copies = max(round(num_sources / len(looked_at.images)), 1)
  turned = samples.fine(
    view,
    sources_lib.preturned(looked_at.images, looked_at.center, copies, 0),
  )
  # The findings share one error, and the plants another.
  num_summaries = len(estimators.ESTIMATORS)
  num_findings = (2 + len(sources_lib.ISOTROPIC)) * num_summaries + 1
  examined = Examined()
  drawn = samples.observe(sampler, view, turned, given.num_draws, 3)[""]
  for family in estimators.ESTIMATORS:
    examined.record(family, summaries.find(family, drawn, num_findings))
    mixed = summaries.permuted(drawn, 1)
    examined.null[family] = summaries.find(family, mixed, num_findings)
  examined.told = _told(drawn, examined.findings)
  if examined.told and not given.to_the_end:
    return examined
  planted = samples.observe(
    sampler, view, turned, given.num_draws, 3, plants.PLANTS
  )
  _find_plants(examined, planted)
  for kind, open_view, made in _synthetic(
    looked_at, int(_SYNTHETIC * given.num_sources)
  ):
    opened = looked_at.wrap(open_view)
    shown = samples.observe(opened, open_view, made, 1, 5)[""]
    for family in estimators.ESTIMATORS:
      finding = summaries.find(family, shown, num_findings, (1, 2, 4, 8))
      examined.record(f"{kind}, {family}", finding)

  def trained(shown, num_findings):
    return networks.find(
      shown,
      networks.backbones(looked_at.backbone),
      turned,
      (view.size, view.size, shape[-1]),
      given.trainings,
      given.num_steps,
      num_findings,
      view.white,
    )

  examined.record("networks", trained(sampler, num_findings))
  together = plants.Planted(sampler, view, plants.TOGETHER)
  examined.plant(
    "all at once, networks", trained(together, _NUM_PLANTS), "networks"
  )
  return examined


def _told(drawn, findings):
  """Which cue shows the leak that the summaries found, and what removes it."""
  family = max(estimators.ESTIMATORS, key=lambda name: findings[name].low)
  if findings[family].low <= verdict.LIMIT:
    return ""
  k = int(findings[family].chosen.split()[0])
  cue, alone = summaries.telling(drawn, family, k)
  remedy = cues.CUES[cue].remedy
  return f"the {cue} alone tells {alone.nats:.3f}, removed by {remedy}"


def run(config: Any, given: Budget) -> dict[str, Any]:
  """Audits the view of a config.

  Args:
    config: resolved and validated.
    given: how much to look at.

  Returns:
    What audit.json holds.

  Raises:
    UserError: see `subject`.
  """
  started = time.monotonic()
  looked_at = subject(config, given.num_sources)
  found = examine(looked_at, given)
  outcome, sentence = verdict.decide(found.findings, found.seen, found.told)
  return {
    "version": verdict.VERSION,
    "config_name": config.name,
    "outcome": outcome,
    "verdict": f"{outcome}: {sentence}",
    "limit_nats": verdict.LIMIT,
    "budget": given._asdict()
    | {"trainings": [t._asdict() for t in given.trainings]},
    **{
      table: {
        k: dataclasses.asdict(f) for k, f in getattr(found, table).items()
      }
      for table in ("findings", "null", "planted")
    },
    "seen": found.seen,
    "known_leaks": named.build("view", config.view).leaks(looked_at.center),
    "view": dataclasses.asdict(looked_at.view),
    "seconds": round(time.monotonic() - started, 1),
  }
