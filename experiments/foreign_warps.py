r"""How well does a network know images that something else has turned?

python experiments/foreign_warps.py runs/a runs/b --out DIR

Each finished run's own test images (or, by `--split validation`, those that
choices are made on) are turned by interpolators that no run trains with: SciPy
by splines of order five, Pillow bicubic, OpenCV cubic and linear (of the extra
`bench`). They are rounded to 8 bits, as in a file, and go the way of a picture
that is given to `rotjax.predict`. The table has the mean error beside that
under the run's own warp, and the share of predictions within a degree of a
quarter turn (2.2% if even), which an interpolator's traces raise.
"""

from collections.abc import Callable, Iterable, Sequence
import pathlib
from typing import Any

import numpy as np

from rotjax import cli, errors
from rotjax.cli import environment


def _matrix(
  degrees: float, center: Sequence[float], zoom: float, size: int
) -> np.ndarray:
  """`[2, 3]`: (x, y, 1) of a canvas's pixel to (x, y) in the source."""
  turn = np.deg2rad(degrees)
  cosine, sine = np.cos(turn) / zoom, np.sin(turn) / zoom
  matrix = np.array([[cosine, -sine, center[1]], [sine, cosine, center[0]]])
  matrix[:, 2] -= matrix[:, :2].sum(1) * (size - 1) / 2
  return matrix


def _scipy_spline(plane, matrix, size):
  import scipy.ndimage

  y, x = np.mgrid[:size, :size]
  at = matrix @ np.stack([x.ravel(), y.ravel(), np.ones(size * size)])
  turned = scipy.ndimage.map_coordinates(np.float64(plane), at[::-1], order=5)
  return turned.reshape(size, size)


def _pillow_bicubic(plane, matrix, size):
  import PIL.Image

  # Pillow's coordinates are those of corners: a pixel's centre is at a half.
  corner = matrix[:, 2] + 0.5 - 0.5 * matrix[:, :2].sum(1)
  row_by_row = np.column_stack([matrix[:, :2], corner]).ravel()
  return np.asarray(
    PIL.Image.fromarray(plane).transform(
      (size, size),
      PIL.Image.Transform.AFFINE,
      tuple(row_by_row),
      PIL.Image.Resampling.BICUBIC,
    )
  )


def _opencv(plane, matrix, size, kind):
  import cv2

  flags = getattr(cv2, kind) | cv2.WARP_INVERSE_MAP
  return cv2.warpAffine(plane, matrix, (size, size), flags=flags)


WARPS: dict[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = {
  "SciPy spline 5": _scipy_spline,
  "Pillow bicubic": _pillow_bicubic,
  "OpenCV cubic": lambda *plane: _opencv(*plane, kind="INTER_CUBIC"),
  "OpenCV linear": lambda *plane: _opencv(*plane, kind="INTER_LINEAR"),
}


def turned(
  view: Any, images: np.ndarray, degrees: np.ndarray, name: str
) -> np.ndarray:
  """Images turned by one of `WARPS`.

  Args:
    view: with its centre resolved; it states centre, zoom and size.
    images: `[n, H, W, C]` uint8, as the dataset has them.
    degrees: `[n, A]`.
    name: of the warp.

  Returns:
    `[n A, size, size, C]` uint8.
  """
  pictures = []
  for image, row in zip(images, degrees):
    center = np.asarray(view.center_of(image), np.float64)
    for angle in row:
      matrix = _matrix(angle, center, view.zoom, view.size)
      planes = [
        WARPS[name](np.ascontiguousarray(plane), matrix, view.size)
        for plane in np.moveaxis(image, -1, 0)
      ]
      pictures.append(np.rint(np.stack(planes, -1)).clip(0, 255))
  return np.asarray(pictures, np.uint8)


def row(folder: pathlib.Path, split: str, num_angles: int) -> dict[str, Any]:
  """A run's errors and shares, under its own warp and under each of `WARPS`."""
  import jax

  from rotjax.config import named
  from rotjax.image import view as view_lib
  from rotjax.run import finished

  run = finished.open_run(folder)
  experiment = run.experiment()
  view, angles, state = experiment.view, experiment.angles, run.best(experiment)
  if view.crop in ("inscribed", "expand"):
    raise errors.UserError(f"{folder}: view.crop = {view.crop!r} is not known")
  images = named.build("data", run.config.data).load(split)
  degrees = angles.evaluation_deg(images.indices, num_angles)
  pixels = images.__getitems__(np.arange(len(images)))["image"]

  @jax.jit
  def predict(inputs):
    params, model_state = state.eval_params, state.eval_model_state
    outputs = experiment.model.apply(params, model_state, inputs)[0]
    return angles.to_degrees(experiment.head.decode(outputs))

  @jax.jit
  def own(image, degrees):
    return jax.vmap(lambda a: view.render(image, view_lib.Draw(a)))(degrees)

  finer = view.finer(pixels)
  shown = {"own": [own(i, np.float32(d)) for i, d in zip(finer, degrees)]}
  receive = jax.jit(jax.vmap(view.receive))
  for name in WARPS:
    made = turned(view, pixels, degrees, name)
    shown[name] = [receive(part) for part in np.split(made, len(images))]
  result: dict[str, Any] = {"run": folder.name}
  for name, inputs in shown.items():
    predicted = np.stack([np.asarray(predict(x), np.float64) for x in inputs])
    half = angles.period_deg / 2
    error = np.abs((predicted - degrees + half) % (2 * half) - half)
    near = np.abs((predicted + 45) % 90 - 45) <= 1
    result[f"{name} (°)"] = f"{error.mean():.2f}"
    result[f"{name}, near 90°"] = f"{near.mean():.1%}"
  return result


def _table(rows: Iterable[dict[str, Any]]) -> str:
  rows = list(rows)
  lines = [list(rows[0]), ["---"] * len(rows[0]), *(r.values() for r in rows)]
  return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main(argv: Sequence[str]) -> int:
  """Prints the table of some runs, and writes it where that is asked for."""
  p = cli.parser(
    "experiments/foreign_warps.py",
    "Score finished runs on test images that other libraries have turned.",
    "  python experiments/foreign_warps.py runs/vonmises --out results",
  )
  p.add_argument("runs", nargs="+", type=pathlib.Path, metavar="RUN")
  p.add_argument("--split", default="test", choices=("test", "validation"))
  p.add_argument("--num_angles", type=int, default=12, metavar="N")
  p.add_argument("--out", type=pathlib.Path, metavar="DIR", help="for table.md")
  cli.add_common_flags(p)
  args = p.parse_args(argv)
  environment.use_compile_cache(not args.no_compile_cache)
  text = _table(row(r, args.split, args.num_angles) for r in args.runs)
  print(text, end="")
  if args.out:
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "table.md").write_text(text)
  return 0


if __name__ == "__main__":
  cli.run(main)
