"""A picture's bytes -> what the page shows of it."""

import base64
import io
from typing import Any

import numpy as np
import PIL.Image

from rotjax.figures import ring
from rotjax.image import pictures
from rotjax.prediction import answers as answers_lib
from rotjax.prediction import choice, predictor, upright

# Longest side of the pictures that are shown, pixels.
_SHOWN = 900
_WITHIN = (2.0, 5.0, 15.0)


def answer(choose: choice.Choice, data: bytes) -> dict[str, Any]:
  """What is told of one picture.

  Args:
    choose: the model that answers.
    data: a picture file of a format that Pillow reads.

  Returns:
    JSON-able: "words", "lines" of text, "ring" an <svg> element, and "before"
    and "after", addresses that hold a picture each.

  Raises:
    Unusable: not a picture.
  """
  with pictures.strict():
    stream = io.BytesIO(data)
    picture = pictures.decode(stream, pictures.formats())
    frames = pictures.count_frames(stream, pictures.formats())
    reader, unsure = choose(picture)
    told, (found,) = reader.answer([reader.see(picture)])
    angle_deg = float(told.angle_deg[0])
    if not np.isfinite(angle_deg):
      raise pictures.Unusable("the network's answer is not a number")
    shown = pictures.flat(picture, 1 if picture.mode in ("1", "L") else 3)
    shown.thumbnail((_SHOWN, _SHOWN))
    turned = upright.turn_back(shown.convert("RGBA"), angle_deg)
  return {
    "words": answers_lib.in_words(angle_deg),
    "lines": _lines(told, reader, found, unsure, frames),
    "ring": ring.ring(np.exp(told.log_density[0]), angle_deg, told.period_deg),
    "before": _address(shown),
    "after": _address(turned),
  }


def _lines(told, reader, found, unsure, frames) -> list[str]:
  spec = reader.predictor.spec
  lines = [
    f"within {degrees:g}°: {told.within(degrees)[0]:.0%}" for degrees in _WITHIN
  ]
  if found and not found.reason:
    lines.append(f"By the page's lines, {found.moved_deg:+.2f}° from there.")
  (also,), (share,) = told.second_mode()
  if not np.isnan(also):
    lines.append(f"or else {also:+.1f}°: {share:.0%} within 15° of it")
  if unsure:
    lines.append(f"{unsure[0].upper()}{unsure[1:]}.")
  if told.blank[0]:
    lines.append("One colour where the network looks: nothing tells the turn.")
  if frames > 1:
    lines.append(f"Only the first of its {frames} frames or pages is seen.")
  if spec.period_deg < 360:
    lines.append(f"Angles are known modulo {spec.period_deg:g}°.")
  lines.append(
    "Trained on every turn."
    if spec.trained == predictor.EVERY_TURN
    else f"Trained on {spec.trained}: of others an answer means nothing."
  )
  return lines


def _address(picture: PIL.Image.Image) -> str:
  out = io.BytesIO()
  picture.save(out, "PNG", compress_level=1)
  return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
