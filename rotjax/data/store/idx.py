"""The four original files of MNIST and its like, and their format."""

import gzip
import pathlib

import numpy as np

# Train images, train labels, test images, test labels: the order in which
# tfds_builders.py unpacks them.
FILES = (
  "train-images-idx3-ubyte.gz",
  "train-labels-idx1-ubyte.gz",
  "t10k-images-idx3-ubyte.gz",
  "t10k-labels-idx1-ubyte.gz",
)


def read(path: pathlib.Path) -> np.ndarray:
  """Reads a gzipped IDX file of bytes: `[N]` or `[N, H, W]`, uint8."""
  data = gzip.decompress(pathlib.Path(path).read_bytes())
  rank = data[3]
  shape = np.frombuffer(data, ">u4", count=rank, offset=4)
  return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)
