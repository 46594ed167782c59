"""The audit of a view: its probes, and what they say together."""

import dataclasses
import logging
import pathlib
import time
from typing import Any

import jax
import numpy as np

from rotjax import errors
from rotjax.config import named
from rotjax.figures import drawing
from rotjax.leakage import cues, plant
from rotjax.leakage import probe as probe_lib
from rotjax.leakage import sources as sources_lib

# The verdict's threshold, and the worth of the planted control: nats.
LIMIT = 0.02
CONFIDENCE = 0.95
EXIT_STATUS = {"passes": 0, "leaks": 3, "undecided": 4}
_ISOTROPIC = ("white", "pink", "radial", "constant")

_log = logging.getLogger("rotjax")


def run(config: Any, num_steps: int, num_sources: int) -> dict[str, Any]:
  """Audits the view of a config.

  Args:
    config: resolved and validated.
    num_steps: of the main probe's training; the isotropic ones take half.
    num_sources: differently turned images that it is trained on, about.

  Returns:
    What audit.json holds: the verdict, and per probe the nats gained with an
    interval and the error of the k-fold angle.

  Raises:
    UserError: one validation image alone, across which there is no interval.
  """
  started = time.monotonic()
  dataset = named.build("data", config.data)
  train, held_out = (dataset.load(s) for s in ("train", "validation"))
  if len(held_out) < 2:
    raise errors.UserError(
      f"one validation image of {config.data.name} is too few for an audit,"
      " whose intervals are taken across them: use more pictures or, for a"
      " folder's, a larger data.validation_share"
    )
  view = named.build("view", config.view)
  view = view.resolve(train.center, train.shape[:2])
  image_shape = (view.size, view.size, train.shape[-1])
  backbone = named.build("model", config.model)
  # One interval for each of the probes below: Bonferroni.
  num_probes = 2 + len(_ISOTROPIC) + len(cues.CUES)
  confidence = 1 - (1 - CONFIDENCE) / num_probes

  def sources(split, count, seed):
    # Evenly spaced originals where there are more than enough.
    keep = np.arange(min(count, len(split))) * len(split)
    rows = split.rows(keep // min(count, len(split)))
    copies = max(round(count / len(rows)), 1)
    images = rows.__getitems__(np.arange(len(rows)))["image"]
    return sources_lib.preturned(images, split.center, copies, seed)

  turned = (
    sources(train, num_sources, 0),
    sources(held_out, num_sources // 4, 1),
  )

  def probe(sampled, steps):
    return probe_lib.Probe(sampled, backbone, image_shape, steps)

  results = {}

  def record(name, information):
    results[name] = information
    _log.info("audit: %s: %+.4f nats", name, information.nats)

  record("pre-turned", probe(view, num_steps)(*turned, 0, CONFIDENCE))
  planted = plant.Planted(view)
  record("control", probe(planted, num_steps)(*turned, 0, CONFIDENCE))
  # So large that the canvas never sees their border: what they show is the
  # interpolation, and a zoom if there is one.
  side = 2 * (view.size // 2 + 2) + max(train.shape[:2])
  shape = (side, side, train.shape[-1])
  open_view = dataclasses.replace(view, center="canvas").resolve(
    None, shape[:2]
  )
  quick = probe(open_view, num_steps // 2)
  for kind in _ISOTROPIC:
    information = quick(
      sources_lib.isotropic(kind, 2048, shape, 0),
      sources_lib.isotropic(kind, 512, shape, 1),
      0,
      confidence,
    )
    record(kind, information)
  views = [
    probe_lib.draw_views(
      view, s.images, jax.random.split(jax.random.key(2 + i), len(s.images))
    )
    for i, s in enumerate(turned)
  ]
  theta = [np.deg2rad(np.asarray(angle, np.float64)) for _, angle in views]
  for name in cues.CUES:
    known, unseen = (cues.summarize(name, pictures) for pictures, _ in views)
    gain = cues.gain(known, theta[0], unseen, theta[1])
    results[name] = probe_lib.Information.from_draws(
      gain, {}, turned[1].cluster, confidence
    )
  return _report(config, view, train, results, planted.nats, started)


def _report(config, view, train, results, planted_nats, started):
  main, control = results["pre-turned"], results["control"]
  # A training as short as this finds a part of what is there. The control
  # tells which part, and the limit shrinks with it.
  share = min(control.nats / planted_nats, 1.0)
  powerful = control.low > max(main.high, 0.0)
  passed = bool(powerful and main.high < LIMIT * share)
  worst = max(cues.CUES, key=lambda name: results[name].low)
  telling = results[worst].low > 0
  if passed:
    verdict = f"no leak above {LIMIT} nats found"
  elif main.low <= 0:
    verdict = (
      f"undecided: at most {main.high:.3f} nats, but of a planted leak of"
      f" {planted_nats:.3f} the probe found {control.nats:.3f}: more"
      " --num_steps, or another --config.model.name"
    )
  else:
    verdict = (
      f"leak: {main.nats:.3f} nats"
      f" ({main.low:.3f} to {main.high:.3f}) without any content"
    )
    if telling:
      verdict += f"; shown by the {worst}, removed by {cues.CUES[worst][1]}"
  return {
    "config_name": config.name,
    "passed": passed,
    "verdict": verdict,
    "limit_nats": LIMIT,
    "planted_nats": planted_nats,
    "found_share_of_planted": round(share, 3),
    "known_leaks": named.build("view", config.view).leaks(train.center),
    "view": dataclasses.asdict(view),
    "seconds": round(time.monotonic() - started, 1),
    "probes": {k: dataclasses.asdict(v) for k, v in results.items()},
  }


def outcome(report: dict[str, Any]) -> str:
  """A key of `EXIT_STATUS`: what an audit's report says, in a word."""
  if report["passed"]:
    return "passes"
  return "leaks" if report["verdict"].startswith("leak:") else "undecided"


def text(report: dict[str, Any]) -> str:
  """The report as a person reads it."""
  lines = [
    f"{report['config_name']}: {report['verdict']}",
    "",
    "  what is shown     nats about the angle     error of k x angle (chance"
    " 90°)",
    "                                             k=1    k=2    k=4",
    "  " + "-" * 66,
  ]
  for name, r in report["probes"].items():
    fold = "  ".join(
      f"{r['fold_error_deg'][k]:4.1f}°" for k in r["fold_error_deg"]
    )
    row = (
      f"  {name:<16}  {r['nats']:+.4f} ({r['low']:+.4f} to {r['high']:+.4f})"
    )
    lines.append(f"{row}   {fold}".rstrip())
  lines += ["", *(f"  known: {leak}" for leak in report["known_leaks"])]
  return "\n".join(lines).rstrip()


def plot(report: dict[str, Any], path: pathlib.Path) -> None:
  """Nats of every probe with intervals, beside the limit, as a PNG."""
  figure = drawing.matplotlib.figure.Figure((7, 4.2), layout="constrained")
  axes = figure.subplots()
  names = list(report["probes"])[::-1]
  for i, name in enumerate(names):
    r = report["probes"][name]
    color = {"control": "#009E73", "pre-turned": "#D55E00"}.get(name, "#0072B2")
    axes.plot([r["low"], r["high"]], [i, i], color=color, linewidth=2)
    axes.plot(r["nats"], i, "o", color=color, markersize=5)
  axes.set_yticks(range(len(names)), names)
  axes.axvline(report["limit_nats"], color="#888888", linestyle="--")
  axes.axvline(0, color="#cccccc", linewidth=0.8)
  axes.set_xscale("symlog", linthresh=0.05)
  axes.set_xticks([0, 0.02, 0.05, 0.2, 1.0])
  axes.xaxis.set_major_formatter("{x:g}")
  axes.minorticks_off()
  axes.set_xlabel("nats about the angle without content (dashed: the limit)")
  axes.set_title(report["verdict"], fontsize=9, loc="left", wrap=True)
  axes.spines[["top", "right"]].set_visible(False)
  drawing.save(figure, path)
