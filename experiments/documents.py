r"""How exactly are real pages of text set upright, and by whom?

python experiments/documents.py --data DIR --workdir runs/documents
python experiments/documents.py --data DIR --workdir runs/documents \
  --out experiments/results/documents

DIR holds pages that are upright. Each is turned by 40 random angles, all of it
kept on white: within 15 degrees of upright, and on the full circle. The model
that comes with rotjax answers (--model: another), by itself and with the pages'
lines and letters; so do the lines without it, and `deskew`, `jdeskew`,
`docangle` (its tilt; its other networks are a download) and `docorient` of
PyPI, those that are installed. The second command writes the tables. What the
others said is kept in the work folder and not asked again.
"""

from collections.abc import Callable, Sequence
import importlib.util
import pathlib
import time
from typing import Any

import numpy as np
import PIL.Image

from rotjax import cli
from rotjax.cli import environment
from rotjax.reporting import plain_tables

ANGLES = 40
TILT_DEG = 15.0
# How far a page lies askew itself, as read off it beforehand, degrees.
OWN_DEG = {"eurotext.png": -0.76}
WITHIN_DEG = (0.1, 0.5)

# A picture, grey, to degrees counter-clockwise; nan for no answer.
Method = Callable[[PIL.Image.Image], float]


def turned(page: PIL.Image.Image, angle_deg: float) -> PIL.Image.Image:
  """A page turned counter-clockwise, all of it kept on white, bicubic."""
  return page.rotate(
    angle_deg, PIL.Image.Resampling.BICUBIC, expand=True, fillcolor=255
  )


def wrapped(degrees: np.ndarray) -> np.ndarray:
  """Degrees in [-180, 180)."""
  return (degrees + 180) % 360 - 180


def lines_alone(reach_deg: float) -> Method:
  """The lines of a page that is known to be nearly upright."""
  from rotjax.prediction import lines

  def method(picture):
    found = lines.refine(picture, 0.0, reach_deg)
    return float("nan") if found.reason else found.angle_deg

  return method


def network(model: pathlib.Path, refine: str) -> Method:
  """A model, with the pages' lines and letters or without."""
  from rotjax.prediction import reader

  found = reader.load(model, refine=refine)

  def method(picture):
    answers, _ = found.answer([found.see(picture)])
    return float(answers.angle_deg[0])

  return method


def _deskew(**options: float) -> Method:
  import deskew

  def method(picture):
    skew = deskew.determine_skew(np.asarray(picture), **options)
    # The angle by which to turn the page back.
    return float("nan") if skew is None else -float(skew)

  return method


def _jdeskew() -> Method:
  from jdeskew import estimator

  return lambda picture: -float(estimator.get_angle(np.asarray(picture)))


def _docangle() -> Method:
  from docangle import fftskew

  skew = fftskew.FFTSkew()
  return lambda picture: float(skew.tilt(np.asarray(picture)))


def _docorient() -> Method:
  import docorient

  return lambda picture: -float(docorient.detect_orientation(picture).angle)


def _tuned() -> Method:
  return _deskew(
    min_angle=-TILT_DEG - 1, max_angle=TILT_DEG + 1, min_deviation=0.1
  )


# Name: what makes it, the packages it needs, what it cannot do.
TILT = {
  "deskew, default": (_deskew, "deskew", "tell a half turn; a grid of 1°"),
  "deskew, tuned": (_tuned, "deskew", "tell a half turn"),
  "jdeskew": (_jdeskew, "jdeskew", "tell a half turn; more than 15°"),
  "docangle, tilt": (_docangle, "docangle", "tell a quarter or a half turn"),
}
CIRCLE = {
  "docorient": (_docorient, "docorient", "tell a tilt"),
}


def measured(
  method: Method, pages: dict[str, PIL.Image.Image], angles_deg: np.ndarray
) -> dict[str, np.ndarray]:
  """Signed errors and CPU seconds of a method.

  Args:
    method: see `Method`.
    pages: n of them by name, upright but for OWN_DEG.
    angles_deg: `[n, A]`.

  Returns:
    `error` `[n, A]` degrees, corrected for OWN_DEG; nan where there is no
    answer, and `seconds` `[n, A]` of the process.
  """
  error = np.full(angles_deg.shape, np.nan)
  seconds = np.zeros(angles_deg.shape)
  method(turned(next(iter(pages.values())), 3.0))  # what is only done once
  for i, (name, page) in enumerate(pages.items()):
    for j, angle in enumerate(angles_deg[i].tolist()):
      view = turned(page, angle)
      began = time.process_time()
      answer = method(view)
      seconds[i, j] = time.process_time() - began
      error[i, j] = answer - angle - OWN_DEG.get(name, 0.0)
  return {"error": wrapped(error), "seconds": seconds}


def _summary(values: np.ndarray, of: Callable = np.mean) -> float:
  """Of those that are numbers; nan where none is."""
  known = values[~np.isnan(values)]
  return float(of(known)) if known.size else float("nan")


def tilt_row(name: str, found: Any, cannot: str) -> dict[str, Any]:
  """A row of tilt.csv."""
  error = np.abs(found["error"])
  each = [_summary(row) for row in error]
  return {
    "method": name,
    "MAE (°)": _summary(error),
    "median (°)": _summary(error, np.median),
    "worst page's MAE (°)": _summary(np.array(each), np.max),
    **{f"within {t}°": np.mean(error <= t) for t in WITHIN_DEG},
    "no answer": int(np.isnan(error).sum()),
    "CPU ms a page": round(1000 * np.median(found["seconds"])),
    "cannot": cannot,
  }


def circle_row(name: str, found: Any, cannot: str) -> dict[str, Any]:
  """A row of circle.csv; the right way up is within 45 degrees."""
  error = np.abs(found["error"])
  right = error < 45
  return {
    "method": name,
    "right way up": np.mean(right),
    "worst page": np.min(right.mean(axis=1)),
    "then MAE (°)": _summary(error[right]),
    **{f"within {t}°": np.mean(error <= t) for t in WITHIN_DEG},
    "CPU ms a page": round(1000 * np.median(found["seconds"])),
    "cannot": cannot,
  }


def _shown(key: str, value: Any) -> str:
  if isinstance(value, (str, int)):
    return str(value)
  return f"{value:.3f}" if key.endswith("(°)") else f"{value:.1%}"


def _others(table: dict[str, Any]) -> dict[str, tuple[Method, str]]:
  """The methods whose packages are installed."""
  return {
    name: (make(), cannot)
    for name, (make, package, cannot) in table.items()
    if importlib.util.find_spec(package)
  }


def _kept(
  file: pathlib.Path,
  method: Method,
  pages: dict[str, PIL.Image.Image],
  angles_deg: np.ndarray,
) -> dict[str, np.ndarray]:
  """`measured`, from a file if it is there."""
  if file.exists():
    with np.load(file) as stored:
      found = dict(stored)
    if np.array_equal(found.pop("angles_deg"), angles_deg):
      return found
  found = measured(method, pages, angles_deg)
  file.parent.mkdir(parents=True, exist_ok=True)
  np.savez(file, angles_deg=angles_deg, **found)
  return found


def compare(
  pages: dict[str, PIL.Image.Image],
  model: pathlib.Path,
  count: int,
  kept: pathlib.Path,
) -> dict[str, list[dict[str, Any]]]:
  """The rows of tilt.csv and circle.csv.

  Args:
    pages: by name.
    model: a ready model, or a finished run of configs/documents.py.
    count: angles a page.
    kept: a folder for what others say.
  """
  rng = np.random.default_rng(0)
  tilts = rng.uniform(-TILT_DEG, TILT_DEG, (len(pages), count))
  turns = rng.uniform(-180, 180, (len(pages), count))
  tilt: dict[str, tuple[Method, str]] = {
    "always 0°": (lambda _: 0.0, "anything"),
    "rotjax, lines alone": (lines_alone(TILT_DEG + 1), "tell a half turn"),
  }
  circle: dict[str, tuple[Method, str]] = {}
  alone, refined = network(model, "none"), network(model, "lines")
  circle["rotjax, network"] = (alone, "")
  circle["rotjax, network, lines and letters"] = (refined, "")
  tilt |= circle
  rows: dict[str, list[dict[str, Any]]] = {"tilt": [], "circle": []}
  for table, row, angles, ours, others in (
    ("tilt", tilt_row, tilts, tilt, _others(TILT)),
    ("circle", circle_row, turns, circle, _others(CIRCLE)),
  ):
    for name, (method, cannot) in (ours | others).items():
      if name in others:
        file = kept / f"{table}-{name.replace(', ', '-')}.npz"
        found = _kept(file, method, pages, angles)
      else:
        found = measured(method, pages, angles)
      rows[table].append(row(name, found, cannot))
      print(table, rows[table][-1], flush=True)
  return rows


def main(argv: Sequence[str]) -> int:
  """Measures what is not there yet, writes the tables."""
  p = cli.parser(
    "experiments/documents.py",
    "Measure configs/documents.py and others on real pages of text.",
    "  python experiments/documents.py --data DIR --workdir runs/documents",
  )
  p.add_argument("--data", required=True, metavar="DIR")
  p.add_argument("--workdir", required=True, metavar="DIR")
  p.add_argument("--out", metavar="DIR", help="for the tables")
  p.add_argument("--model", default="documents", metavar="NAME")
  p.add_argument("--angles", type=int, default=ANGLES, metavar="N")
  cli.add_common_flags(p)
  args = p.parse_args(argv)
  environment.use_compile_cache(not args.no_compile_cache)
  from rotjax.prediction import ready

  (model,) = ready.choose(args.model)
  work = pathlib.Path(args.workdir).absolute()
  pages = {
    file.name: PIL.Image.open(file).convert("L")
    for file in sorted(pathlib.Path(args.data).glob("*.png"))
  }
  rows = compare(pages, model, args.angles, work / "others")
  if args.out:
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    for name, table in rows.items():
      if table:
        plain_tables.write(out / name, table, _shown)
  return 0


if __name__ == "__main__":
  cli.run(main)
