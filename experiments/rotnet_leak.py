r"""Why did RotNet report 6 to 7 degrees on MNIST, and later 26 to 30?

python -m rotjax.ablate --sweep experiments/rotnet_leak.py \
  --workdir runs/rotnet_leak
python -m rotjax.ablate --sweep experiments/rotnet_leak.py:smoke
python experiments/rotnet_leak.py --workdir runs/rotnet_leak \
  --out experiments/results/rotnet_leak

RotNet's recipe for MNIST (all digits, 360 classes, integer angles, binarised at
0.1, its network, Adam) under its old rotation, about the middle of the canvas;
its current one, which expands the canvas and resizes it; and the honest view.
The same three with our default backbone, which is ten times faster and so
trained for longer. The last command adds what the ink's centroid alone tells,
and the errors by digit.
"""

from collections.abc import Sequence

from rotjax import cli
from rotjax.config import base, named

BASELINE = "honest-rotnet"
COLUMNS = (
  "mae_deg",
  "median_deg",
  "mae_mod_90_deg",
  "share_near_180",
  "seconds",
  "seeds",
)
ROTATIONS = [
  ("old", {"view.center": "canvas", "view.mask": "none", "view.jitter": 0.0}),
  ("current", {"view.crop": "expand", "view.mask": "none", "view.jitter": 0.0}),
  ("honest", {}),
]
NETWORKS = [
  (
    "strided",
    {"num_steps": 4000, "optim.schedule": "cosine", "eval.every_steps": 2000},
  ),
  (
    "rotnet",
    {
      "model.name": "keras_mnist",
      "model.widths": (64, 64),
      "model.dropout": 0.25,
      "num_steps": 300,
      "eval.every_steps": 300,
    },
  ),
]


def get_config(variant: str = ""):
  return base.make(
    variant,
    {
      "data.name": "mnist",
      "data.classes": (),
      "head.name": "bins",
      "head.num_bins": 360,
      "head.decode": "argmax",
      "optim.schedule": "constant",
      "optim.warmup": 0.0,
      "angles.distribution": "grid",
      "angles.step_deg": 1.0,
      "view.threshold": 0.1,
      "view.fineness": 0.0,
      "eval.num_angles": 2,
      "eval.warp": "own",
    },
  )


def sweep():
  return (
    (f"{rotation}-{network}", {**turned, **trained})
    for network, trained in NETWORKS
    for rotation, turned in ROTATIONS
  )


def centroid_only(settings) -> dict[str, float]:
  """Errors of the centroid's direction plus one offset, fitted on training.

  Args:
    settings: the resolved config of an arm.

  Returns:
    `mae_deg` and `median_deg` over the test set at `eval.num_angles` each.
  """
  import jax
  import numpy as np

  from rotjax import angles as angles_lib
  from rotjax.image import view as view_lib
  from rotjax.leakage import cues

  dataset = named.build("data", settings.data)
  angles = named.build("angles", settings.angles)
  turn = []
  for name in ("train", "test"):
    split = dataset.load(name)
    view = named.build("view", settings.view).resolve(
      split.center, split.images.shape[1:3]
    )
    count = settings.eval.num_angles
    degrees = np.float32(angles.evaluation_deg(split.indices, count))
    show = jax.jit(
      jax.vmap(lambda i, a, view=view: view.render(i, view_lib.Draw(a)))
    )
    centroid = np.concatenate(
      [
        cues.centroid(np.asarray(show(split.images, column))[..., 0])
        for column in degrees.T
      ]
    )
    direction = np.arctan2(-centroid[:, 0], centroid[:, 1])
    turn.append(angles_lib.wrap(np.deg2rad(degrees.T.ravel()) - direction))
  offset = angles_lib.circular_mean(turn[0], axis=0)
  error = np.abs(np.rad2deg(angles_lib.wrap(turn[1] - np.asarray(offset))))
  return {"mae_deg": float(error.mean()), "median_deg": float(np.median(error))}


def _by_digit(plan, workdir) -> list[str]:
  """Markdown: the error of every arm's first seed, by digit."""
  from rotjax.ablation import manifest
  from rotjax.run import summary

  lines = ["| arm | " + " | ".join("0123456789") + " |", "|---" * 11 + "|"]
  for arm in plan.arms:
    for folder in list(manifest.finished(workdir, arm).values())[:1]:
      digits = summary.read(folder)["by_class"]
      errors = [f"{digits[str(k)]['mae_deg']:.1f}" for k in range(10)]
      lines.append(f"| {arm.name} | " + " | ".join(errors) + " |")
  return lines


def main(argv: Sequence[str]) -> None:
  """Writes centroid.md and by_digit.md."""
  import pathlib

  from rotjax.ablation import manifest

  p = cli.parser(
    "experiments/rotnet_leak.py",
    "What the ink's centroid alone tells under each rotation of the sweep, and"
    " every arm's error by digit.",
    "  python experiments/rotnet_leak.py --workdir runs/rotnet_leak"
    " --out experiments/results/rotnet_leak",
  )
  p.add_argument("--workdir", required=True, metavar="DIR")
  p.add_argument("--out", required=True, metavar="DIR")
  args = p.parse_args(argv)
  workdir, out = pathlib.Path(args.workdir), pathlib.Path(args.out)
  plan = manifest.read(workdir)
  found = {}
  for arm in plan.arms:
    rotation = arm.name.partition("-")[0]
    if rotation not in found:
      found[rotation] = centroid_only(arm.config)
  lines = ["| rotation | error of the centroid alone (°) | median (°) |"]
  lines.append("|---|---|---|")
  lines += [
    f"| {name} | {e['mae_deg']:.1f} | {e['median_deg']:.1f} |"
    for name, e in found.items()
  ]
  out.mkdir(parents=True, exist_ok=True)
  (out / "centroid.md").write_text("\n".join(lines) + "\n")
  by_digit = _by_digit(plan, workdir)
  (out / "by_digit.md").write_text("\n".join(by_digit) + "\n")
  print("\n".join([*lines, "", *by_digit]))


if __name__ == "__main__":
  cli.run(main)
