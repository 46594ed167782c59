"""What a finished run leaves: predictions.npz, summary.json, plots, a table."""

from collections.abc import Mapping
import datetime
import importlib.metadata
import itertools
import logging
import math
import pathlib
import platform
import sys
from typing import Any, cast

import jax
import numpy as np

import rotjax
from rotjax import angles as angles_lib
from rotjax import files, metrics, models
from rotjax.metrics import angular, catalogue, discrete, extent, intervals
from rotjax.run import layout

_log = logging.getLogger("rotjax")

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint")

# What the summary over seeds takes from the first.
_SHARED = ("config_name", "parameters", "protocol", "leaks", "versions")


def versions() -> dict[str, str]:
  """Versions of what decides a run's numbers."""
  packages = {name: importlib.metadata.version(name) for name in _PACKAGES}
  ours = {"rotjax": rotjax.__version__, "python": platform.python_version()}
  return {**ours, **packages}


def save_predictions(path: pathlib.Path, p: metrics.Predictions) -> None:
  """Writes predictions.npz.

  It holds `true_deg`, `predicted_deg` `[n, A]` on the period's circle,
  `example`, `label` `[n]`, and the scores of each view.
  """
  np.savez_compressed(
    path,
    true_deg=np.float32(angles_lib.wrap(p.true_deg, p.angles.period_deg)),
    predicted_deg=p.predicted_deg.astype(np.float32),
    example=p.example,
    label=p.label,
    **cast(Any, {k: v.astype(np.float32) for k, v in p.scores.items()}),
  )


def write(
  experiment: Any,
  run: Any,
  path: pathlib.Path,
  step: int,
  p: metrics.Predictions,
  pending: bool,
) -> None:
  """Writes a run's results into a folder, summary.json last.

  Args:
    experiment: of the run.
    run: its `RunFolder`.
    path: the folder.
    step: of the evaluated state.
    p: predictions on the test set.
    pending: whether those under another interpolator are still to come, by
      `add_other_warp`; until then the run is not finished.
  """
  config = experiment.config
  save_predictions(path / "predictions.npz", p)
  result = metrics.compute(p)
  chance = {f"chance_{k}": v for k, v in metrics.chance(p.angles).items()}
  params, _ = jax.eval_shape(experiment.model.init, jax.random.key(0))
  summary = {
    "config_name": config.name,
    "seed": run.seed,
    "step": step,
    "seconds": round(run.seconds, 1),
    "finished": datetime.datetime.now(datetime.UTC).isoformat("T", "seconds"),
    "parameters": models.num_parameters(params),
    "device": jax.devices()[0].device_kind,
    "dtype": config.dtype,
    "matmul_precision": config.matmul_precision,
    "num_devices": jax.device_count(),
    "versions": versions(),
    "protocol": _protocol(experiment, p),
    "leaks": experiment.view_leaks(),
    "test": {**result, **chance},
    "test_interval": _intervals(p),
  }
  classes = angular.by_class(p)
  if len(classes) > 1:
    summary["by_class"] = {str(c): values for c, values in classes.items()}
  if discrete.values(p.angles) is not None:
    angles_deg, counts = discrete.confusion(p)
    summary["confusion"] = {
      "angles_deg": angles_deg.tolist(),
      "counts": counts.tolist(),  # rows: the true angle
    }
  before = [int(p.stem.split("-")[2]) for p in path.glob(layout.EXTENDED)]
  if before:  # steps after which it was finished before, by other schedules
    summary["extended_from"] = sorted(before)
  if pending:
    summary[layout.PENDING] = "test_other_warp"
  _draw(experiment, path, p)
  files.write_json(path / layout.SUMMARY, summary)


def add_other_warp(path: pathlib.Path, other: metrics.Predictions) -> None:
  """Adds the test under another interpolator to a run's summary.json.

  Args:
    path: the folder, as `write` left it.
    other: predictions on the test set.
  """
  summary = read(path)
  summary.pop(layout.PENDING, None)
  summary["test_other_warp"] = metrics.compute(other)
  files.write_json(path / layout.SUMMARY, summary)


def _draw(experiment, path, p):
  """Draws plots/*.png; what cannot be drawn is told, and costs no result."""
  try:
    # matplotlib: no run is to wait for it at its start.
    from rotjax.figures import plots

    failed = plots.write_all(path, experiment, p)
  except Exception as error:
    failed = {"plots": error}
  for name, why in failed.items():
    reason = " ".join(str(why).split()) or type(why).__name__
    _log.warning(
      "%s of %s could not be drawn (%s); the results are whole, and --mode"
      " eval draws anew",
      *(name, path, reason),
    )


def with_interval(angles: angles_lib.Angles) -> list[str]:
  """The printed metrics that have an interval, where they are known."""
  low, high = extent.arc_deg(angles)
  lines = catalogue.printed(high - low, angles.period_deg)
  return [name for name, _, row in lines if row.interval]


def _intervals(p: metrics.Predictions) -> dict[str, list[float]]:
  """Metric -> ends of its interval, of those that have one."""
  ends_of = {}
  for name in with_interval(p.angles):
    ends = intervals.interval(p, name) if intervals.known(name, p) else None
    if ends is not None and np.isfinite(ends).all():
      ends_of[name] = [round(float(end), 6) for end in ends]
  return ends_of


def _protocol(experiment: Any, p: metrics.Predictions) -> dict[str, Any]:
  view, angles = experiment.view, experiment.angles
  return {
    "data": experiment.dataset.protocol,
    "classes": list(experiment.config.data.get("classes", ())) or "all",
    "test_images": len(p.example),
    "angles_per_image": p.true_deg.shape[1],
    "angles": angles.distribution,
    "range_deg": list(angles.range_deg),
    # Where the angles asked about lie: what is worth a row follows from it.
    "arc_deg": list(extent.arc_deg(p.angles)),
    "period_deg": angles.period_deg,
    # Height, width, channels: what is predicted later is brought to it.
    "source": list(experiment.dataset.load("test").shape),
    "view": _view_in_words(view),
    "tta": experiment.config.eval.tta,
  }


def _view_in_words(view) -> str:
  words = f"{view.size} px, centre {view.center}, mask {view.mask}"
  unusual = {
    "crop": "none",
    "passes": "single",
    "blur": 0,
    "fineness": 0,
    "threshold": 0,
  }
  for field, usual in unusual.items():
    value = getattr(view, field)
    if value != usual:
      words += f", {field} {value}"
  return words


def read(path: pathlib.Path) -> dict[str, Any]:
  """Reads summary.json of a run or of the seeds of one.

  Raises:
    UserError: it is not there or not JSON.
  """
  return files.read_json(path / layout.SUMMARY)


def over_seeds(
  workdir: pathlib.Path, folders: Mapping[int, pathlib.Path]
) -> dict[str, Any]:
  """Writes and returns the parent's summary.json over its seed-N/ folders, with
  what their ensemble reached."""
  summary = combine({seed: read(f) for seed, f in folders.items()})
  # Of a run from before there were ensembles there is none.
  if layout.is_tested(workdir / layout.ENSEMBLE):
    ensemble = read(workdir / layout.ENSEMBLE)
    kept = ("test", "test_interval", "test_other_warp")
    summary["ensemble"] = {k: ensemble[k] for k in kept if k in ensemble}
  files.write_json(workdir / layout.SUMMARY, summary)
  return summary


def combine(parts: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
  """The summary over seeds, from the summary of each.

  Mean and standard deviation (ddof 1; none of one seed) over the seeds. Errors
  in degrees are lengths, not directions, so their plain mean is meant.
  """
  seeds = list(parts)
  first = parts[seeds[0]]
  tests = [part["test"] for part in parts.values()]
  shared = [k for k in tests[0] if all(k in t for t in tests)]
  test = {k: float(np.mean([t[k] for t in tests])) for k in shared}
  spread = {}
  if len(tests) > 1:
    spread = {k: float(np.std([t[k] for t in tests], ddof=1)) for k in shared}
  summary = {
    **{k: first[k] for k in _SHARED if k in first},
    "seeds": seeds,
    "seconds": round(sum(part.get("seconds", 0) for part in parts.values()), 1),
    "test": test,
    "test_sd": spread,
  }
  if len(parts) == 1 and "test_interval" in first:
    summary["test_interval"] = first["test_interval"]
  others = [part.get("test_other_warp", {}) for part in parts.values()]
  shared = [k for k in others[0] if all(k in row for row in others)]
  if shared:
    summary["test_other_warp"] = {
      k: float(np.mean([row[k] for row in others])) for k in shared
    }
  return summary


def rows(summary: Mapping[str, Any]) -> list[tuple[str, ...]]:
  """The table of test metrics beside the chance level, its heading first."""
  test, spread = summary["test"], summary.get("test_sd", {})
  other = summary.get("test_other_warp", {})
  interval = summary.get("test_interval", {})
  ensemble = summary.get("ensemble", {}).get("test", {})
  own = (
    ("mean of seeds", "95% of seeds, images")
    if spread
    else (
      "this run",
      "95% of images",
    )
  )
  lines: list[tuple[str, ...]] = [
    ("test", *own, "their ensemble", "other warp", "chance")
  ]
  protocol = summary.get("protocol", {})
  low, high = extent.arc_of(protocol)
  period_deg = protocol.get("period_deg", 360.0)
  for key, words, row in catalogue.printed(high - low, period_deg):
    if test.get(key) is None:
      continue
    form = row.form
    value = form.format(test[key]) if _known(test[key]) else "not finite"
    if _known(spread.get(key)):
      value += " ± " + form.format(spread[key])
    ends = " to ".join(form.format(x) for x in interval.get(key) or ())
    beside = [
      source.get(name)
      for source, name in (
        (ensemble, key),
        (other, key),
        (test, f"chance_{key}"),
      )
    ]
    formatted = [form.format(x) if _known(x) else "" for x in beside]
    lines.append((words, value, ends, *formatted))
  # No column for what this run does not have.
  kept = (True, True, bool(interval), bool(ensemble), bool(other), True)
  return [tuple(itertools.compress(line, kept)) for line in lines]


def _known(value: Any) -> bool:
  return isinstance(value, (int, float)) and np.isfinite(value)


def table(summary: Mapping[str, Any]) -> str:
  """The table of a summary as text, what a reader must know below."""
  lines = rows(summary)
  widths = [max(map(len, column)) for column in zip(*lines)]
  text = [
    "  "
    + "  ".join(
      f"{cell:<{w}}" if i == 0 else f"{cell:>{w}}"
      for i, (cell, w) in enumerate(zip(line, widths))
    ).rstrip()
    for line in lines
  ]
  text.insert(1, "  " + "-" * (sum(widths) + 2 * len(widths) - 2))
  notes = [f"  leaking view: {leak}" for leak in summary.get("leaks", [])]
  words = angles_in_words(summary.get("protocol", {}))
  if words:
    notes.insert(0, f"  {words}")
  hint = chance_hint(summary["test"])
  return "\n".join(text + notes + ([hint] if hint else []))


def angles_in_words(protocol: Mapping[str, Any]) -> str:
  """Which angles the numbers are about; "" for the whole circle of 360."""
  low, high = extent.arc_of(protocol)
  period = protocol.get("period_deg", 360.0)
  words = []
  if high - low < period:
    words.append(f"angles from {low:g}° to {high:g}°")
  if period != 360:
    words.append(f"{period:g}° are one turn")
  return ", ".join(words)


def chance_hint(test: Mapping[str, float]) -> str:
  """What usually stands behind an error at the chance level; else ""."""
  if not test["mae_deg"] >= 0.9 * test.get("chance_mae_deg", math.inf):
    return ""
  return (
    "  The error is at the chance level. Usual causes: too few steps, too few"
    " images (learnt by\n  heart where the training error alone is small), a"
    " learning rate far off, content without\n  an upright direction (the"
    " digits 0, 1, 8: try angles.period_deg=180), saturated tanh\n  outputs"
    " (head.activation=linear), pixels left at 0..255."
  )


def show(folder: pathlib.Path, summary: Mapping[str, Any]) -> None:
  """Prints a finished run's table and where to look further."""
  seeds = summary.get("seeds", [summary.get("seed")])
  name, seconds = summary.get("config_name", ""), summary.get("seconds", 0)
  words = f"{name}: {seconds:.0f} s"
  if len(seeds) > 1:
    words += f", mean ± sd of {len(seeds)} seeds"
  print(f"\n{words}\n\n{table(summary)}\n\n  {folder}", file=sys.stdout)
