"""Pages with a bar at the top, and a network that finds it untrained."""

import numpy as np
import PIL.Image
import PIL.ImageDraw

from rotjax.prediction import predictor

SPEC = predictor.Spec(
  size=32,
  channels=1,
  mask="disc",
  pixel_range="unit",
  crop="none",
  source=(32, 32),
  period_deg=360.0,
  tta="none",
  trained_range_deg=(-180.0, 180.0),
)


def page(
  turn_deg=0.0, mode="L", size=(160, 200), ink=0, paper=255, label=""
) -> PIL.Image.Image:
  """White, a bar at the top; turned counter-clockwise by so much.

  Ink that is not dark is what the network is not sure of.
  """
  side = 2 * max(size)
  sheet = PIL.Image.new("L", (side, side), paper)
  draw = PIL.ImageDraw.Draw(sheet)
  x, y = side / 2, side / 2
  draw.rectangle((x - 40, y - 60, x + 40, y - 40), fill=ink)
  draw.text((x - 10, y), label, fill=ink)
  sheet = sheet.rotate(turn_deg, PIL.Image.Resampling.BICUBIC)
  left, top = (side - size[0]) // 2, (side - size[1]) // 2
  return sheet.crop((left, top, left + size[0], top + size[1])).convert(mode)


def network() -> predictor.Predictor:
  """The angle of the ink's centre; sure where the ink is dark."""
  at = np.arange(32) - 15.5
  inside = (at[:, None] ** 2 + at**2) <= 15.5**2
  ring = np.deg2rad(360 * ((np.arange(720) + 0.5) / 720 - 0.5))

  def fn(squares):
    ink = (255.0 - np.asarray(squares, float)[..., 0]) * inside
    x = (ink * at).sum((1, 2))
    y = (ink * at[:, None]).sum((1, 2))
    theta = np.arctan2(-x, -y)
    kappa = np.where(ink.max((1, 2)) > 128, 2000.0, 0.5)[:, None]
    log_density = kappa * (np.cos(ring - theta[:, None]) - 1)
    cells = np.exp(log_density).sum(1, keepdims=True) * (2 * np.pi / 720)
    return theta, log_density - np.log(cells)

  return predictor.Predictor(SPEC, fn)


def told(picture: PIL.Image.Image) -> float:
  """Degrees that a picture is turned by, as NumPy sees its ink."""
  ink = 255.0 - np.asarray(picture.convert("L"), np.float64)
  height, width = ink.shape
  y, x = np.mgrid[:height, :width]
  y, x = y - (height - 1) / 2, x - (width - 1) / 2
  ink[ink < 128] = 0
  return float(np.rad2deg(np.arctan2(-(ink * x).sum(), -(ink * y).sum())))
