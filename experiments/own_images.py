r"""What is reached on a few real pictures, from scratch at 64 px?

python experiments/own_images.py --data DIR --workdir runs/own_images
python experiments/own_images.py --data DIR --workdir runs/own_images \
  --out experiments/results/own_images

DIR holds the folders `photos`, `street` and `documents`. configs/folder.py is
trained on each, twice on the documents within 10 degrees, and on the street
frames from the photos' network; the views of two are audited; the `deskew` of
PyPI (the extra `bench`) answers for the same pages at the same angles. The
second command writes the tables. What is finished is not done again. `--smoke`
does everything once, to no result.
"""

from collections.abc import Iterator, Sequence
import json
import pathlib
from typing import Any

import numpy as np

from rotjax import cli
from rotjax.cli import environment
from rotjax.reporting import plain_tables

# Of few pictures: more of them to test on, and a network held back.
SHARED = {
  "model.norm": "group",
  "model.dropout": 0.3,
  "model.widths": (16, 32, 48, 64),
  "model.hidden": 64,
  "view.jitter": 4.0,
  "optim.learning_rate": 3e-3,
  "num_steps": 600,
  "eval.every_steps": 100,
  "checkpoint.every_steps": 300,
}
# The audit's networks are to learn what they can, and are many: sources, steps.
PROBES = {"model.norm": "none", "model.dropout": 0.0}
BUDGET = (4000, 600)
# Frames of one drive, and pages of one document, have one name and a number.
_PREFIX = {
  "data.group": "prefix",
  "data.test_share": 0.4,
  "data.validation_share": 0.2,
}
FOLDERS = {
  # Numbers are all that some names are, so that prefixes would join strangers.
  "photos": {"data.test_share": 0.25, "data.validation_share": 0.1},
  "street": _PREFIX,
  "documents": {**_PREFIX, "data.validation_share": 0.1},
}
# Larger pages of which the view shows a part, in training another one each
# time: lines of text instead of a page's outline.
CLOSER = {"data.side": 256, "view.jitter": 32.0}
# Arm: folder, variant of configs/folder.py, the arm that it starts from, more.
ARMS = {
  "photos": ("photos", "", "", {}),
  "street": ("street", "", "", {}),
  "street, from photos": ("street", "", "photos", {}),
  "documents": ("documents", "", "", {}),
  "documents, deskew": ("documents", "deskew", "", {}),
  "documents, deskew, closer": ("documents", "deskew", "", CLOSER),
}
# Content counts for nothing there, so that strange pages may share a split; an
# interval takes two of them.
AUDITED = {
  "photos": {},
  "documents": {
    "data.group": "none",
    "data.test_share": 0.2,
    "data.validation_share": 0.2,
  },
}
PAGES = ("documents, deskew", "documents, deskew, closer")
WITHIN_DEG = (0.5, 1, 2)


def slug(arm: str) -> str:
  """The name of an arm's run folder."""
  return arm.replace(",", "").replace(" ", "-")


def config_of(arm: str, data: pathlib.Path, work: pathlib.Path, smoke: bool):
  """The resolved config of an arm."""
  from rotjax.config import base, load, resolve, validate

  folder, variant, parent, more = ARMS[arm]
  config = load.load(f"configs/folder.py:{variant}")
  own = {"data.dir": str(data / folder), **SHARED, **FOLDERS[folder]} | more
  if parent:
    own["init_from"] = str(work / slug(parent))
  if smoke:
    own |= base.SMOKE
  config = resolve.apply(config, own)
  validate.check(config)
  return config


def names(config: Any) -> list[str]:
  """The file of each test picture, in the split's order."""
  from rotjax.config import named
  from rotjax.data.ingest import folder_files
  from rotjax.image import pictures

  root = folder_files.folder(config.data.dir)
  test = named.build("data", config.data).load("test")
  known = {}
  with pictures.strict():
    for file in folder_files.walk(root).files:
      data = folder_files.contents(root, file.name)
      square = folder_files.square(data, config.data.side, test.shape[2])
      known[np.asarray(square).tobytes()] = file.name
  return [known[image.tobytes()] for image in test.images]


def errors_deg(run: pathlib.Path) -> np.ndarray:
  """`[images, angles]` absolute errors of a run on its test set."""
  found = np.load(run / "predictions.npz")
  difference = np.float64(found["predicted_deg"]) - found["true_deg"]
  return np.abs((difference + 180) % 360 - 180)


def _verdict(report: dict[str, Any]) -> str:
  most = max(f["highest"] for f in report["findings"].values())
  return f"{report['outcome']}: at most {most:.4f} nats"


def arm_row(arm: str, config: Any, work: pathlib.Path) -> dict[str, Any]:
  """A row of results.csv."""
  from rotjax.config import named

  summary = json.loads((work / slug(arm) / "summary.json").read_text())
  data = named.build("data", config.data)
  low, high = summary["test_interval"]["mae_deg"]
  test = summary["test"]
  audit = work / f"audit-{ARMS[arm][0]}" / "audit.json"
  return {
    "arm": arm,
    "train": len(data.load("train")),
    "validation": len(data.load("validation")),
    "test": len(data.load("test")),
    "MAE (°)": test["mae_deg"],
    "low (°)": low,
    "high (°)": high,
    "median (°)": test["median_deg"],
    "chance (°)": test["chance_mae_deg"],
    "MAE / chance": test["mae_deg"] / test["chance_mae_deg"],
    "MAE, other warp (°)": summary.get("test_other_warp", test)["mae_deg"],
    "audit": _verdict(json.loads(audit.read_text())) if audit.exists() else "",
  }


def turned(
  picture: np.ndarray, angles_deg: Sequence[float]
) -> Iterator[np.ndarray]:
  """A white page turned counter-clockwise, all of it kept, bicubic."""
  import PIL.Image

  page = PIL.Image.fromarray(picture)
  for angle in angles_deg:
    yield np.asarray(
      page.rotate(
        float(angle), PIL.Image.Resampling.BICUBIC, expand=True, fillcolor=255
      )
    )


def deskewed(
  pictures: Sequence[np.ndarray], angles_deg: np.ndarray, **options: float
) -> np.ndarray:
  """What `deskew` says of pages that are turned.

  Args:
    pictures: n grey pages, uint8 `[H, W]`.
    angles_deg: `[n, A]`, how far each is turned, counter-clockwise.
    options: of `deskew.determine_skew`.

  Returns:
    `[n, A]` degrees, counter-clockwise; nan where it found no lines.
  """
  import deskew

  answers = np.full(angles_deg.shape, np.nan)
  for i, picture in enumerate(pictures):
    for j, page in enumerate(turned(picture, angles_deg[i])):
      skew = deskew.determine_skew(page, **options)
      # Its angle is the one by which to turn the page back.
      answers[i, j] = np.nan if skew is None else -skew
  return answers


def _row(
  method: str, shown: str, error: np.ndarray, pages: int
) -> dict[str, Any]:
  """A row of deskew.csv, from absolute errors, nan for no answer."""
  return {
    "method": method,
    "sees": shown,
    "pages": pages,
    "views": error.size,
    "MAE (°)": np.nanmean(error),
    "median (°)": np.nanmedian(error),
    **{f"within {t}°": np.mean(error <= t) for t in WITHIN_DEG},
    "no answer": int(np.isnan(error).sum()),
  }


def compare(
  configs: dict[str, Any], work: pathlib.Path
) -> list[dict[str, Any]]:
  """The classical bar: the rows of deskew.csv."""
  import PIL.Image

  from rotjax.config import named
  from rotjax.data.ingest import folder_files

  def grey(name):
    return np.asarray(PIL.Image.open(root / name).convert("L"))

  config = configs[PAGES[0]]
  root = folder_files.folder(config.data.dir)
  files = names(config)
  found = np.load(work / slug(PAGES[0]) / "predictions.npz")
  angles = found["true_deg"].astype(np.float64)
  rows = [_row("always 0°", "nothing", np.abs(angles), len(files))]
  shown = {"page": ([grey(name) for name in files], angles)}
  for arm in PAGES:
    # The same pages at the same angles, by the order of a hash.
    assert names(configs[arm]) == files
    true = np.load(work / slug(arm) / "predictions.npz")["true_deg"]
    np.testing.assert_array_equal(true, found["true_deg"])
    data, size = configs[arm].data, configs[arm].view.size
    sees = f"{size} px of {data.side}"
    rows.append(_row(arm, sees, errors_deg(work / slug(arm)), len(files)))
    test = named.build("data", data).load("test")
    shown[f"square of {data.side} px"] = (test.images[..., 0], angles)
  all_files = [f.name for f in folder_files.walk(root).files]
  grid = named.build("angles", config.angles).evaluation_deg(
    np.arange(len(all_files)), angles.shape[1]
  )
  shown["page, all pages"] = ([grey(name) for name in all_files], grid)
  low, high = config.angles.range_deg
  tuned = {"min_angle": low, "max_angle": high, "min_deviation": 0.1}
  for sees, (pages, truth) in shown.items():
    for method, options in (("defaults", {}), ("tuned", tuned)):
      error = np.abs(deskewed(pages, truth, **options) - truth)
      rows.append(_row(f"deskew, {method}", sees, error, len(pages)))
  return rows


def worst_rows(arm: str, config: Any, work: pathlib.Path):
  """The three worst and the best test picture of an arm, by their mean."""
  mean = errors_deg(work / slug(arm)).mean(axis=1)
  files, order = names(config), np.argsort(-mean)
  chosen = [*order[:3], order[-1]] if len(order) > 3 else order
  for rank in chosen:
    yield {"arm": arm, "picture": files[rank], "MAE (°)": mean[rank]}


def _shown(key: str, value: Any) -> str:
  if isinstance(value, (str, int)):
    return str(value)
  if key.startswith("within"):
    return f"{value:.0%}"
  return f"{value:.2f}"


def main(argv: Sequence[str]) -> int:
  """Trains, audits and compares what is not there yet; writes the tables."""
  p = cli.parser(
    "experiments/own_images.py",
    "Train configs/folder.py on a few photos, street frames and pages.",
    "  python experiments/own_images.py --data DIR --workdir runs/own_images",
  )
  p.add_argument("--data", required=True, metavar="DIR")
  p.add_argument("--workdir", required=True, metavar="DIR")
  p.add_argument("--out", metavar="DIR", help="for the tables")
  p.add_argument("--smoke", action="store_true")
  cli.add_common_flags(p)
  args = p.parse_args(argv)
  environment.use_compile_cache(not args.no_compile_cache)
  from rotjax import files
  from rotjax.config import resolve
  from rotjax.leakage import examine
  from rotjax.leakage import report as report_lib
  from rotjax.run import train

  data, work = (pathlib.Path(d).absolute() for d in (args.data, args.workdir))
  configs = {arm: config_of(arm, data, work, args.smoke) for arm in ARMS}
  for arm, config in configs.items():
    if status := train.train(config, work / slug(arm), False):
      return status
  for arm, own in AUDITED.items():
    file = work / f"audit-{arm}" / "audit.json"
    if not file.exists():
      sources, steps = (64, 20) if args.smoke else BUDGET
      report = examine.run(
        resolve.apply(configs[arm], {**own, **PROBES}),
        examine.budget(sources, steps, thorough=False),
      )
      file.parent.mkdir(exist_ok=True)
      files.write_json(file, report)
      (file.parent / "audit.txt").write_text(report_lib.text(report))
    print(json.loads(file.read_text())["verdict"])
  if args.out:
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    rows = [arm_row(arm, config, work) for arm, config in configs.items()]
    plain_tables.write(out / "results", rows, _shown)
    for arm in AUDITED:
      report = json.loads((work / f"audit-{arm}" / "audit.json").read_text())
      report.pop("seconds")
      files.write_json(out / f"audit-{arm}.json", report)
    rows = [r for a, c in configs.items() for r in worst_rows(a, c, work)]
    plain_tables.write(out / "worst", rows, _shown)
    plain_tables.write(out / "deskew", compare(configs, work), _shown)
  return 0


if __name__ == "__main__":
  cli.run(main)
