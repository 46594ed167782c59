"""The warp against what users would pick instead, in one process.

    pip install -e ".[bench]"
    python experiments/benchmarks/warp.py --out experiments/results/warp.md

Every candidate turns the same batch by the same angles, uint8 or float32 in,
each in the form its own documentation shows; all but OpenCV, which keeps the
input's type, give float32.
"""

from collections.abc import Callable
import os

# Before keras is imported.
os.environ.setdefault("KERAS_BACKEND", "jax")

import cv2
import dm_pix
import harness
import jax
import jax.numpy as jnp
import keras
import kornia
import numpy as np
import peers_jax
import peers_torch
import scipy.ndimage
import torch

from rotjax.image import warp

SIZES = {
  "28x28x1 B256": (256, 28, 1),
  "28x28x1 B4096": (4096, 28, 1),
  "64x64x3 B256": (256, 64, 3),
  "224x224x3 B64": (64, 224, 3),
}
QUICK = {"8x8x1 B4": (4, 8, 1)}
PEERS = (
  "jax",
  "torch",
  "kornia",
  "keras",
  "dm-pix",
  "opencv-python-headless",
  "scipy",
)


def _jax_candidates(images, angles):
  images, angles = jnp.asarray(images), jnp.asarray(angles)
  size = images.shape[1]
  middle = (size - 1) / 2

  def pix(image, degrees):
    return dm_pix.rotate(
      image.astype(jnp.float32), jnp.deg2rad(degrees), mode="constant"
    )

  def keras_affine(images, degrees):
    c, s = jnp.cos(jnp.deg2rad(degrees)), jnp.sin(jnp.deg2rad(degrees))
    zero = jnp.zeros_like(c)
    rows = [
      c, -s, middle - c * middle + s * middle,
      s, c, middle - s * middle - c * middle,
      zero, zero,
    ]  # fmt: skip
    return keras.ops.image.affine_transform(
      images.astype(jnp.float32),
      jnp.stack(rows, axis=-1),
      interpolation="bilinear",
      fill_mode="constant",
      data_format="channels_last",
    )

  def ready(function):
    compiled = jax.jit(function)
    return lambda: jax.block_until_ready(compiled(images, angles))

  return {
    "rotjax": ready(jax.vmap(warp.rotate)),
    "jax map_coordinates, vmap": ready(jax.vmap(peers_jax.map_coordinates)),
    "dm_pix.rotate, vmap": ready(jax.vmap(pix)),
    "keras.ops affine_transform (jax)": ready(keras_affine),
    "limit: jax copy to float32": ready(lambda x, _: x + jnp.float32(1)),
  }


def _torch_candidates(images, angles):
  source = torch.from_numpy(np.moveaxis(images, -1, 1).copy())
  degrees = torch.from_numpy(angles)

  def grid_sample():
    peers_torch.rotate(source.float(), degrees)

  def kornia_rotate():
    kornia.geometry.transform.rotate(source.float(), degrees)

  def without_grad(function):
    def call():
      with torch.no_grad():
        function()

    return call

  return {
    "torch affine_grid + grid_sample": without_grad(grid_sample),
    "kornia rotate": without_grad(kornia_rotate),
  }


def _loop_candidates(images, angles):
  size = images.shape[1]
  middle = (size - 1) / 2
  few = min(len(images), 256)  # SciPy is slow; it is scaled up

  def opencv():
    for image, degrees in zip(images, angles):
      matrix = cv2.getRotationMatrix2D((middle, middle), float(degrees), 1.0)
      cv2.warpAffine(image, matrix, (size, size))

  def scipy_loop():
    for image, degrees in zip(images[:few], angles[:few]):
      c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
      matrix = np.array([[c, s], [-s, c]])
      offset = middle - matrix @ (middle, middle)
      for k in range(image.shape[-1]):
        scipy.ndimage.affine_transform(
          image[..., k], matrix, offset, output=np.float32, order=1
        )

  return (
    {
      "OpenCV warpAffine, loop": opencv,
      "SciPy affine_transform, loop": scipy_loop,
    },
    len(images) / few,
  )


def measure(count: int, size: int, channels: int, dtype: str, rounds: int):
  """Timings of every candidate on one batch, seconds per batch."""
  rng = np.random.default_rng(0)
  images = rng.random((count, size, size, channels), np.float32)
  if dtype == "uint8":
    images = (255 * images).astype(np.uint8)
  angles = rng.uniform(0, 360, count).astype(np.float32)
  loops, scale = _loop_candidates(images, angles)
  candidates: dict[str, Callable[[], None]] = {
    **_jax_candidates(images, angles),
    **_torch_candidates(images, angles),
    **loops,
  }
  rows = harness.interleave(candidates, rounds, 0.02 if count < 8 else 0.3)
  slow = "SciPy affine_transform, loop"
  return rows | {slow: rows[slow].scaled(scale)}


def main():
  """Prints and writes the tables."""
  args = harness.parser(__doc__, rounds=9).parse_args()
  text = [
    "# Warp: images a second, and how many times faster rotjax is",
    f"`python experiments/benchmarks/warp.py --rounds {args.rounds}`;"
    f" {harness.machine()}; jax on {jax.devices()[0].device_kind};"
    f" {harness.versions(*PEERS)}.",
  ]
  for title, shape in QUICK.items() if args.quick else SIZES.items():
    for dtype in ("float32", "uint8"):
      rows = measure(*shape, dtype, args.rounds)
      text.append(f"## {title} {dtype}")
      text.append(harness.table(rows, shape[0], "rotjax"))
      print(text[-2], flush=True)
  harness.publish(text, args.out)


if __name__ == "__main__":
  main()
