"""Draws docs/images/scan-and-photo.png: both models that come with rotjax.

python docs/make_scan_and_photo.py

The page is drawn by rotjax, the photo is matplotlib's sample picture (Grace
Hopper, US Navy, public domain); both are turned here, and turned back by
`python -m rotjax.predict`.
"""

import contextlib
import io
import json
import pathlib
import tempfile

import matplotlib
from matplotlib import figure
import numpy as np
import PIL.Image

from rotjax import predict
from rotjax.data.ingest import fonts, page_layout, page_wear

PICTURE = pathlib.Path(__file__).parent / "images" / "scan-and-photo.png"
_PHOTO = pathlib.Path(matplotlib.get_data_path(), "sample_data")
_PAGE_DEG, _PHOTO_DEG = -163.4, 28.0


def _page() -> PIL.Image.Image:
  rng = np.random.default_rng(22)
  latin = tuple(f for f in fonts.find("") if f.script == "latin")
  page = page_wear.worn(rng, page_layout.page(rng, latin, 900), 2)
  return page.crop((160, 120, 740, 780)).rotate(
    _PAGE_DEG, PIL.Image.Resampling.BICUBIC, expand=True, fillcolor=255
  )


def _photo() -> PIL.Image.Image:
  """Held at a slant: the corners of what was turned are outside."""
  photo = PIL.Image.open(_PHOTO / "grace_hopper.jpg").convert("RGB")
  turned = photo.rotate(_PHOTO_DEG, PIL.Image.Resampling.BICUBIC)
  side = int(0.7 * min(photo.size))
  left, top = ((size - side) // 2 for size in photo.size)
  return turned.crop((left, top, left + side, top + side))


def main() -> None:
  """Draws the picture."""
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    for stem, picture in (("scan", _page()), ("photo", _photo())):
      picture.save(folder / f"{stem}.png")
    paths = [str(folder / f"{stem}.png") for stem in ("scan", "photo")]
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
      predict.main([*paths, "--upright", str(folder / "out"), "--json"])
    rows = [json.loads(line) for line in told.getvalue().splitlines()]
    shown = []
    for path, row, true in zip(paths, rows, (_PAGE_DEG, _PHOTO_DEG)):
      upright = folder / "out" / pathlib.Path(path).name
      shown += [
        (PIL.Image.open(path).convert("RGB"), f"turned by {true:g}°"),
        (
          PIL.Image.open(upright).convert("RGB"),
          f"{row['model']}: {row['angle_deg']:.2f}°",
        ),
      ]
  drawn = figure.Figure((9.6, 2.75))
  for axes, (picture, label) in zip(drawn.subplots(1, 4), shown):
    axes.imshow(picture, interpolation="antialiased")
    axes.set_xlabel(label, fontsize=10)
    axes.set(xticks=[], yticks=[])
  drawn.subplots_adjust(0.005, 0.1, 0.995, 0.995, wspace=0.05)
  drawn.savefig(PICTURE, dpi=100, metadata={"Software": None})


if __name__ == "__main__":
  main()
