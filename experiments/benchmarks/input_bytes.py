"""What storage, processors and network must give to N accelerators.

    python experiments/benchmarks/input_bytes.py                   # the tables
    python experiments/benchmarks/input_bytes.py --measure PHOTOS  # what of

ResNet-50 at 224 px under this project's view: images are stored upright at
317 px (224 times the root of 2, so that no turn shows a corner) and turned on
the device. The tables are arithmetic on the constants below; docs/
input-at-scale.md holds them.
"""

import argparse
from collections.abc import Sequence
import io
import pathlib
import time

import numpy as np
from PIL import Image

SIDE = 317
# Measured by --measure on 250 photos (short side 256 px, tf_flowers and COCO):
# JPEG of quality 90 and PNG by Pillow 13.0 (libjpeg-turbo); decoding in CPU
# time of one Xeon core of a shared machine.
JPEG_BYTES = 39_358
PNG_BYTES = 178_576
JPEG_DECODE_MS = 0.49
PNG_DECODE_MS = 2.76
# Training files of ImageNet as distributed, about.
IMAGENET_BYTES = 110_000
IMAGENET_IMAGES = 1_281_167
# uint8, as it goes to a device.
RAW_BYTES = SIDE * SIDE * 3
PARAMETERS = 25_600_000

DEVICES = (8, 32, 128, 512)
# Images a second and device that the input must keep up with; explicit,
# because they depend on the device and on nothing here.
RATES = (1000, 2500)
# Images a step and device.
BATCH = 128
# GB/s that one device sends: 100 and 400 Gb/s network, a link between GPUs.
LINKS = {"12.5 (100 Gb/s)": 12.5, "50 (400 Gb/s)": 50.0, "450": 450.0}


def image_table() -> str:
  """Markdown: what an image, a step's share of a device and the set take."""
  rows = {
    "ImageNet's files (about)": (IMAGENET_BYTES, "not measured"),
    "317 px JPEG, quality 90": (JPEG_BYTES, f"{JPEG_DECODE_MS:.2f}"),
    "317 px PNG": (PNG_BYTES, f"{PNG_DECODE_MS:.2f}"),
    "317 px uint8": (RAW_BYTES, "0"),
  }
  lines = [
    f"| stored as | bytes an image | MB a step and device, {BATCH} images |"
    f" ms of a core to decode one | GB of all {IMAGENET_IMAGES:,} |",
    "|---|---|---|---|---|",
  ]
  for name, (size, decode_ms) in rows.items():
    step, whole = BATCH * size / 1e6, IMAGENET_IMAGES * size / 1e9
    lines.append(
      f"| {name} | {size:,} | {step:.1f} | {decode_ms} | {whole:.0f} |"
    )
  return "\n".join(lines)


def input_table() -> str:
  """Markdown: GB/s from storage and cores that decode."""
  lines = [
    "| accelerators | images/s each | images/s | ImageNet files GB/s | 317 px"
    " JPEG GB/s | 317 px PNG GB/s | cores, JPEG | cores, PNG |",
    "|---|---|---|---|---|---|---|---|",
  ]
  for rate in RATES:
    for n in DEVICES:
      images = n * rate
      gigabytes = [
        f"{images * size / 1e9:.2f}"
        for size in (IMAGENET_BYTES, JPEG_BYTES, PNG_BYTES)
      ]
      cores = [
        f"{images * ms / 1e3:,.0f}" for ms in (JPEG_DECODE_MS, PNG_DECODE_MS)
      ]
      cells = [f"{n}", f"{rate:,}", f"{images:,}", *gigabytes, *cores]
      lines.append(f"| {' | '.join(cells)} |")
  return "\n".join(lines)


def gradient_bytes(n: int) -> float:
  """Bytes that each of n devices sends in a ring all-reduce of a step."""
  return PARAMETERS * 4 * 2 * (n - 1) / n


def network_table() -> str:
  """Markdown: the all-reduce of a step, and its share of the step."""
  heads = [f"ms at {name} GB/s" for name in LINKS]
  heads += [f"share of a step at {rate:,} images/s" for rate in RATES]
  lines = [
    f"| accelerators | MB a step | {' | '.join(heads)} |",
    "|---" * (2 + len(heads)) + "|",
  ]
  for n in DEVICES:
    sent = gradient_bytes(n)
    times = [f"{sent / (link * 1e9) * 1e3:.1f}" for link in LINKS.values()]
    shares = []
    for rate in RATES:
      step = BATCH / rate
      each = [sent / (link * 1e9) / step for link in LINKS.values()]
      shares.append(", ".join(f"{share:.0%}" for share in each))
    cells = [f"{n}", f"{sent / 1e6:.0f}", *times, *shares]
    lines.append(f"| {' | '.join(cells)} |")
  return "\n".join(lines)


def _square(file: pathlib.Path) -> Image.Image:
  """The centre square, brought to SIDE px without resampling.

  Resampling would change the bytes a pixel: a small photo is continued by its
  mirror image, a large one cut.
  """
  pixels = np.asarray(Image.open(file).convert("RGB"))
  side = min(SIDE, *pixels.shape[:2])
  top, left = ((size - side) // 2 for size in pixels.shape[:2])
  pixels = pixels[top : top + side, left : left + side]
  pad = SIDE - side
  width = ((pad // 2, pad - pad // 2),) * 2
  return Image.fromarray(np.pad(pixels, (*width, (0, 0)), "symmetric"))


def measure(folder: pathlib.Path, rounds: int = 5) -> dict[str, float]:
  """Bytes a file and CPU milliseconds a decoding, means over photos.

  The least of some rounds, in the process's own time: what others use of the
  machine counts as little as can be.
  """
  files = sorted(folder.rglob("*.jpg"))
  if not files:
    raise SystemExit(f"{folder} holds no .jpg files")
  squares = [_square(file) for file in files]
  found = {}
  for name, options in {"JPEG": {"quality": 90}, "PNG": {}}.items():
    encoded = []
    for square in squares:
      file = io.BytesIO()
      square.save(file, name, **options)
      encoded.append(file.getvalue())
    times = []
    for _ in range(rounds):
      start = time.process_time()
      for data in encoded:
        Image.open(io.BytesIO(data)).load()
      times.append((time.process_time() - start) / len(encoded))
    found[f"{name}_BYTES"] = round(np.mean([len(data) for data in encoded]))
    found[f"{name}_DECODE_MS"] = round(min(times) * 1e3, 2)
  return found


def main(argv: Sequence[str] | None = None) -> None:
  """Prints the tables, or what they are made of."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--measure", type=pathlib.Path, metavar="FOLDER")
  args = parser.parse_args(argv)
  if args.measure:
    for name, value in measure(args.measure).items():
      print(f"{name} = {value:_}")
    return
  print("\n\n".join([image_table(), input_table(), network_table()]))


if __name__ == "__main__":
  main()
