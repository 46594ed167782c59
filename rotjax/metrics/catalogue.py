"""How each logged metric is shown: its words, direction, digits and columns.

`METRICS` has one row a metric, in the order of a run's printed table. That
table, the summary's intervals, and the columns and rankings of sweeps read it.
In a name `<t>`, `<p>` and `<k>` stand for numbers. After "recalibrated_" a
metric has its own row where it has a heading, else the row of the plain name.
"""

import dataclasses
import functools
import re

from rotjax.metrics import extent


@dataclasses.dataclass(frozen=True)
class Row:
  """How one metric is shown.

  Attributes:
    title: its heading in a sweep's table; "" for the name itself.
    words: of its line in a run's printed table, `{}` filled by the angles; ""
      for no such line.
    form: of the number in that line.
    better: "lower" or "higher"; "" where neither is plainly better.
    digits: decimals in a sweep's table.
    interval: whether a run's summary has an interval over images, if printed.
    default: whether a sweep's table has the column unasked.
  """

  title: str = ""
  words: str = ""
  form: str = "{:.2f}°"
  better: str = ""
  digits: int = 2
  interval: bool = False
  default: bool = False


METRICS = {
  "mae_deg": Row(
    *("MAE (°)", "mean absolute error"),
    better="lower",
    interval=True,
    default=True,
  ),
  "median_deg": Row(
    *("median (°)", "median error"),
    better="lower",
    interval=True,
    default=True,
  ),
  "rmse_deg": Row("", "root mean square error", better="lower"),
  "p90_deg": Row("", "90th percentile", better="lower"),
  "p95_deg": Row("", "95th percentile", better="lower"),
  "acc_at_<t>": Row(
    *("", "within {}", "{:.1%}", "higher"), digits=3, interval=True
  ),
  "auc_at_<t>": Row(
    *("", "area under accuracy to {}", "{:.3f}", "higher"), digits=3
  ),
  "share_near_90": Row("", "off by {}", "{:.2%}"),
  "share_near_180": Row("", "off by {}", "{:.2%}"),
  "share_over_90": Row(),
  "nll": Row(
    *("NLL", "negative log-likelihood (nats)", "{:.3f}", "lower"),
    interval=True,
    default=True,
  ),
  "recalibrated_nll": Row(
    *("NLL, recalibrated", "NLL, recalibrated (nats)", "{:.3f}", "lower"),
    interval=True,
    default=True,
  ),
  "recalibrated_crps_deg": Row(
    *("CRPS, recalibrated (°)", "CRPS, recalibrated"),
    better="lower",
    interval=True,
    default=True,
  ),
  "coverage_90": Row(
    *("coverage of 90 %", "coverage of its 90% regions", "{:.1%}"),
    digits=3,
    default=True,
  ),
  "recalibrated_coverage_90": Row(
    *("coverage of 90 %, recalibrated", "the same, recalibrated", "{:.1%}"),
    digits=3,
    default=True,
  ),
  # Of these no line is printed.
  "mae_mod_90_deg": Row(),
  "bias_deg": Row(),
  "bias_median_deg": Row(),
  "circular_sd_deg": Row(),
  "correlation_t": Row(),
  "correlation_js": Row(),
  "accuracy": Row(better="higher", digits=3),
  "equivariance_deg": Row(),
  "equivariance_90_deg": Row(),
  "m<k>_excess": Row(digits=3),
  "m<k>_p": Row(digits=3),
  "near_45": Row("near 45°", digits=3),
  "near_90": Row("near 90°", digits=3),
  "occupancy_min": Row(digits=3),
  "occupancy_max": Row(digits=3),
  "saturated_share": Row("saturated", digits=3),
  "tanh_slope": Row(digits=3),
  "mean_abs_output": Row(),
  "kuiper_v": Row(),
  "kuiper_p": Row(digits=3),
  "nll_minus_uniform": Row(),
  "crps_deg": Row(better="lower"),
  "energy_score": Row(better="lower"),
  "entropy": Row(),
  "hpd90_deg": Row(),
  "resultant": Row(),
  "coverage_<p>": Row(digits=3),
  "calibration_error": Row(),
  "aurc_deg": Row(better="lower"),
}
DEFAULT = tuple(name for name, row in METRICS.items() if row.default)


@functools.cache
def row(name: str) -> Row:
  """The row of a metric, or of a column "other_warp.<metric>" of it.

  A name that has none, as a metric added elsewhere, gets a plain `Row`.
  """
  metric = name.removeprefix("other_warp.")
  for wanted in (metric, metric.removeprefix("recalibrated_")):
    if wanted in METRICS:
      return METRICS[wanted]
    for pattern, entry in METRICS.items():
      number = re.sub("<.>", r"[0-9.]+", pattern)
      if re.fullmatch(number, wanted):
        return entry
  return Row()


def printed(width_deg: float, period_deg: float) -> list[tuple[str, str, Row]]:
  """The lines of a run's table on an arc of this width.

  Returns:
    Name, words and row of each metric that means something there, in order.
  """
  thresholds = extent.within_deg(width_deg)
  auc = extent.auc_deg(width_deg)
  names = {
    "acc_at_<t>": {f"acc_at_{t:g}": f"{t:g}°" for t in thresholds},
    "auc_at_<t>": {} if auc is None else {f"auc_at_{auc:g}": f"{auc:g}°"},
  }
  for name, part_deg, turn in (
    ("share_near_90", period_deg / 4, "a quarter turn"),
    ("share_near_180", period_deg / 2, "a half turn"),
  ):
    # Narrower than that, no prediction in the range is off by so much.
    wide = width_deg > part_deg * 8 / 9
    words = turn if period_deg == 360 else f"about {part_deg:g}°"
    names[name] = {name: words} if wide else {}
  return [
    (name, entry.words.format(fill), entry)
    for pattern, entry in METRICS.items()
    if entry.words
    for name, fill in names.get(pattern, {pattern: ""}).items()
  ]
