"""What a Keras user would run: RotNet's OpenCV generator and `train_on_batch`.

The backend is $KERAS_BACKEND's and fixed when keras is imported, so a program
compares one backend a process.
"""

from collections.abc import Callable
import dataclasses

import cv2
import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class View:
  """How a source image becomes an input, with OpenCV.

  Attributes:
    center: (y, x) in source pixels that lands on the canvas's centre.
    jitter: largest shift afterwards, pixels each way.
    disc: whether to blacken what lies outside the canvas's largest disc.
  """

  center: tuple[float, float]
  jitter: float = 0.0
  disc: bool = False

  def render(
    self, image: np.ndarray, degrees: float, shift=(0.0, 0.0)
  ) -> np.ndarray:
    """Turns one image.

    Args:
      image: `[H, W, 1]` uint8.
      degrees: counter-clockwise.
      shift: (down, right), pixels.

    Returns:
      `[H, W, 1]` float32 in 0..1.
    """
    height, width = image.shape[:2]
    y, x = self.center
    matrix = cv2.getRotationMatrix2D((x, y), float(degrees), 1.0)
    matrix[:, 2] += (
      (width - 1) / 2 - x + shift[1],
      (height - 1) / 2 - y + shift[0],
    )
    turned = cv2.warpAffine(image, matrix, (width, height))
    turned = turned.reshape(image.shape).astype(np.float32) / 255
    if self.disc:
      turned *= _disc(height, width)
    return turned

  def batch(
    self, images: np.ndarray, degrees: np.ndarray, rng: np.random.Generator
  ) -> np.ndarray:
    """`[N, H, W, 1]` uint8, `[N]` degrees -> `[N, H, W, 1]` inputs."""
    shifts = rng.uniform(-self.jitter, self.jitter, (len(images), 2))
    return np.stack([self.render(*row) for row in zip(images, degrees, shifts)])


def _disc(height: int, width: int) -> np.ndarray:
  y = np.arange(height)[:, None, None] - (height - 1) / 2
  x = np.arange(width)[None, :, None] - (width - 1) / 2
  return (y * y + x * x <= (min(height, width) / 2) ** 2).astype(np.float32)


def _network(size, widths, dropout, last):
  return keras.Sequential(
    [
      keras.Input((size, size, 1)),
      keras.layers.Conv2D(widths[0], 3, activation="relu"),
      keras.layers.Conv2D(widths[1], 3, activation="relu"),
      keras.layers.MaxPooling2D(),
      keras.layers.Dropout(0.25),
      keras.layers.Flatten(),
      keras.layers.Dense(128, activation="relu"),
      keras.layers.Dropout(dropout),
      last,
    ]
  )


def unit_vectors(degrees: np.ndarray) -> np.ndarray:
  """`[N]` -> `[N, 2]`: (cos, sin)."""
  radians = np.deg2rad(degrees)
  return np.stack([np.cos(radians), np.sin(radians)], -1).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Recipe:
  """A compiled network, what it is told and how it answers.

  Attributes:
    model: compiled.
    draw: `rng, N` -> `[N]` degrees to train on.
    targets: `[N]` degrees -> what the loss takes.
    decode: `[N, K]` outputs -> degrees.
  """

  model: keras.Model
  draw: Callable[[np.random.Generator, int], np.ndarray]
  targets: Callable[[np.ndarray], np.ndarray]
  decode: Callable[[np.ndarray], np.ndarray]


def forum(size: int = 28) -> Recipe:
  """The forum post's network with what cures it: linear outputs, Adam.

  As asked (tanh, raw pixels, Adadelta) it stays near 30 degrees and would
  reach no target.
  """
  model = _network(size, (32, 64), 0.5, keras.layers.Dense(2))
  model.compile(
    keras.optimizers.Adam(1e-3), loss=keras.losses.CosineSimilarity()
  )
  return Recipe(
    model,
    lambda rng, n: rng.uniform(0, 360, n),
    unit_vectors,
    lambda v: np.rad2deg(np.arctan2(v[:, 1], v[:, 0])),
  )


def rotnet(size: int = 28) -> Recipe:
  """RotNet's network for MNIST: 360 classes, whole degrees, Adam, argmax."""
  last = keras.layers.Dense(360, activation="softmax")
  model = _network(size, (64, 64), 0.25, last)
  model.compile(
    keras.optimizers.Adam(1e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(),
  )
  return Recipe(
    model,
    lambda rng, n: rng.integers(0, 360, n).astype(np.float64),
    lambda degrees: degrees.astype(np.int32),
    lambda p: np.argmax(p, -1).astype(np.float64),
  )


def stepper(
  recipe: Recipe,
  view: View,
  images: np.ndarray,
  batch_size: int,
  steps: int = 1,
) -> Callable[[], None]:
  """A call that trains for `steps` batches out of the generator."""
  rng = np.random.default_rng(0)

  def call():
    for _ in range(steps):
      rows = rng.integers(0, len(images), batch_size)
      degrees = recipe.draw(rng, batch_size)
      inputs = view.batch(images[rows], degrees, rng)
      recipe.model.train_on_batch(inputs, recipe.targets(degrees))

  return call
