"""What a finished run leaves: predictions.npz, summary.json, plots, a table."""

from collections.abc import Mapping
import datetime
import importlib.metadata
import itertools
import json
import pathlib
import platform
import sys
from typing import Any, cast

import jax
import numpy as np

import rotjax
from rotjax import angles as angles_lib
from rotjax import errors, metrics, models, run_folder
from rotjax.metrics import angular, discrete, intervals

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint")

# The rows of the printed table, in its order: metric, words, form.
_ROWS = (
  ("mae_deg", "mean absolute error", "{:.2f}°"),
  ("median_deg", "median error", "{:.2f}°"),
  ("rmse_deg", "root mean square error", "{:.2f}°"),
  ("p90_deg", "90th percentile", "{:.2f}°"),
  ("p95_deg", "95th percentile", "{:.2f}°"),
  ("acc_at_2", "within 2°", "{:.1%}"),
  ("acc_at_5", "within 5°", "{:.1%}"),
  ("acc_at_10", "within 10°", "{:.1%}"),
  ("acc_at_30", "within 30°", "{:.1%}"),
  ("auc_at_10", "area under accuracy to 10°", "{:.3f}"),
  ("share_near_90", "off by a quarter turn", "{:.2%}"),
  ("share_near_180", "off by a half turn", "{:.2%}"),
  ("nll", "negative log-likelihood (nats)", "{:.3f}"),
  ("recalibrated_nll", "NLL, recalibrated (nats)", "{:.3f}"),
  ("recalibrated_crps_deg", "CRPS, recalibrated", "{:.2f}°"),
  ("recalibrated_coverage_90", "coverage of 90% regions", "{:.1%}"),
)


# Metrics that get an interval over images.
_INTERVALS = (
  "mae_deg",
  "median_deg",
  "acc_at_5",
  "acc_at_10",
  "nll",
  "recalibrated_nll",
  "recalibrated_crps_deg",
)


def versions() -> dict[str, str]:
  """Versions of what decides a run's numbers."""
  found = {name: importlib.metadata.version(name) for name in _PACKAGES}
  ours = {"rotjax": rotjax.__version__, "python": platform.python_version()}
  return {**ours, **found}


def save_predictions(path: pathlib.Path, p: metrics.Predictions) -> None:
  """predictions.npz: `theta`, `decoded` `[n, A]` radians of real turn on the
  period's circle, `example`, `label` `[n]`, and the scores of each view."""
  period = 2 * np.pi * p.angles.period_deg / 360
  np.savez_compressed(
    path,
    theta=angles_lib.wrap(np.deg2rad(p.angle_deg), period).astype(np.float32),
    decoded=np.deg2rad(p.decoded_deg).astype(np.float32),
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
  other: metrics.Predictions | None,
) -> None:
  """Writes a run's results into a folder; summary.json, the mark of a
  finished run, last.

  Args:
    experiment: of the run.
    run: its `RunFolder`.
    path: the folder.
    step: of the evaluated state.
    p: predictions on the test set.
    other: the same under another interpolator, where that was asked for.
  """
  from rotjax import plots  # matplotlib: no run is to wait for it at its start

  config = experiment.config
  save_predictions(path / "predictions.npz", p)
  result = metrics.compute(p)
  chance = {f"chance_{k}": v for k, v in metrics.chance(p.angles).items()}
  params, _ = jax.eval_shape(experiment.model.init, jax.random.key(0))
  plots.write_all(path, experiment, p)
  summary = {
    "config_name": config.name,
    "seed": run.seed,
    "step": step,
    "seconds": round(run.seconds, 1),
    "finished": datetime.datetime.now(datetime.UTC).isoformat("T", "seconds"),
    "parameters": models.num_parameters(params),
    "device": jax.devices()[0].device_kind,
    "num_devices": jax.device_count(),
    "versions": versions(),
    "protocol": _protocol(experiment, p),
    "leaks": experiment.view_leaks(),
    "test": {**result, **chance},
    "test_interval": {
      name: [round(end, 6) for end in ends]
      for name in _INTERVALS
      if (ends := intervals.interval(p, name)) is not None
    },
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
  if other is not None:
    summary["test_other_warp"] = metrics.compute(other)
  run_folder.write_json(path / "summary.json", summary)


def _protocol(experiment: Any, p: metrics.Predictions) -> dict[str, Any]:
  view, angles = experiment.view, experiment.angles
  return {
    "data": experiment.dataset.protocol,
    "classes": list(experiment.config.data.get("classes", ())) or "all",
    "test_images": len(p.example),
    "angles_per_image": p.angle_deg.shape[1],
    "angles": angles.distribution,
    "range_deg": list(angles.range_deg),
    "period_deg": angles.period_deg,
    # Height, width, channels: what is predicted later is brought to it.
    "source": list(experiment.dataset.load("test").shape),
    "view": _view_in_words(view),
    "tta": experiment.config.eval.tta,
  }


def _view_in_words(view) -> str:
  words = f"{view.size} px, centre {view.center}, mask {view.mask}"
  unusual = {"crop": "none", "passes": "single", "blur": 0, "threshold": 0}
  for field, usual in unusual.items():
    value = getattr(view, field)
    if value != usual:
      words += f", {field} {value}"
  return words


def read(path: pathlib.Path) -> dict[str, Any]:
  """summary.json of a run or of the seeds of one.

  Raises:
    UserError: it is not there or not JSON.
  """
  file = path / "summary.json"
  try:
    return json.loads(file.read_text())
  except (OSError, ValueError) as error:
    raise errors.UserError(f"{file} cannot be read: {error}") from None


def over_seeds(folder: pathlib.Path, seeds: list[int]) -> dict[str, Any]:
  """Writes and returns the parent's summary.json over its seed-N/ folders."""
  summary = combine({seed: read(folder / f"seed-{seed}") for seed in seeds})
  run_folder.write_json(folder / "summary.json", summary)
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
    **{k: first[k] for k in ("config_name", "parameters", "protocol", "leaks")},
    "seeds": seeds,
    "seconds": round(sum(part["seconds"] for part in parts.values()), 1),
    "versions": first["versions"],
    "test": test,
    "test_sd": spread,
  }
  if "test_other_warp" in first:
    others = [part["test_other_warp"] for part in parts.values()]
    summary["test_other_warp"] = {
      k: float(np.mean([row[k] for row in others])) for k in others[0]
    }
  return summary


def rows(summary: Mapping[str, Any]) -> list[tuple[str, ...]]:
  """The table of test metrics beside the chance level, its heading first."""
  test, spread = summary["test"], summary.get("test_sd", {})
  other = summary.get("test_other_warp", {})
  interval = summary.get("test_interval", {})
  lines: list[tuple[str, ...]] = [
    ("test", "this run", "95% of images", "other warp", "chance")
  ]
  for key, words, form in _ROWS:
    if key not in test:
      continue
    value = form.format(test[key])
    if key in spread:
      value += " ± " + form.format(spread[key])
    ends = " to ".join(form.format(end) for end in interval.get(key, ()))
    beside = [other.get(key), test.get(f"chance_{key}")]
    shown = ["" if x is None else form.format(x) for x in beside]
    lines.append((words, value, ends, *shown))
  # No column for what this run does not have.
  kept = (True, True, bool(interval), bool(other), True)
  return [tuple(itertools.compress(line, kept)) for line in lines]


def table(summary: Mapping[str, Any]) -> str:
  """`rows` as text, with what a reader must know below."""
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
  hint = chance_hint(summary["test"])
  return "\n".join(text + notes + ([hint] if hint else []))


def chance_hint(test: Mapping[str, float]) -> str:
  """What usually stands behind an error at the chance level; else ""."""
  if test["mae_deg"] < 0.9 * test["chance_mae_deg"]:
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
  words = f"{summary['config_name']}: {summary['seconds']:.0f} s"
  if len(seeds) > 1:
    words += f", mean ± sd of {len(seeds)} seeds"
  print(f"\n{words}\n\n{table(summary)}\n\n  {folder}", file=sys.stdout)
