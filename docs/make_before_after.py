r"""Draws docs/images/before-after.png: test threes as turned, and turned back.

python -m rotjax.main --config configs/vonmises.py --workdir runs/vonmises
python docs/make_before_after.py runs/vonmises

Nothing is chosen by eye: images and angles are evenly spaced over the test set.
"""

import pathlib
import sys

from matplotlib import figure
import numpy as np

from rotjax.config import load, named
from rotjax.image import view, warp

PICTURE = pathlib.Path(__file__).parent / "images" / "before-after.png"
_COLUMNS = 8


def main(workdir: pathlib.Path) -> None:
  """Draws the picture from the folder of a finished run."""
  config = load.read(workdir / "config.json")
  test = named.build("data", config.data).load("test")
  shown = named.build("view", config.view)
  shown = shown.resolve(test.center, test.images.shape[1:3])
  stored = np.load(workdir / "predictions.npz")
  true_deg, predicted_deg = stored["true_deg"], stored["predicted_deg"]
  drawn = figure.Figure((_COLUMNS * 1.2, 2.85))
  axes = drawn.subplots(2, _COLUMNS)
  for column in range(_COLUMNS):
    image, angle = (
      (2 * column + 1) * size // (2 * _COLUMNS) for size in true_deg.shape
    )
    true, predicted = true_deg[image, angle], predicted_deg[image, angle]
    (finer,) = shown.finer(test.images[image : image + 1])
    turned = shown.render(finer, view.Draw(true))
    back = warp.rotate(turned, -predicted)
    for row, pixels, label in (
      (0, turned, f"turned by {true:.0f}°"),
      (1, back, f"predicted {predicted:.0f}°"),
    ):
      axes[row, column].imshow(
        pixels[..., 0], "gray", interpolation="bicubic", vmin=0, vmax=1
      )
      axes[row, column].set_xlabel(label, fontsize=9, labelpad=3)
      axes[row, column].set(xticks=[], yticks=[])
  drawn.subplots_adjust(0.005, 0.08, 0.995, 0.995, wspace=0.06, hspace=0.15)
  drawn.savefig(PICTURE, dpi=100, metadata={"Software": None})


if __name__ == "__main__":
  main(pathlib.Path(sys.argv[1]))
