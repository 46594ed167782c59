"""Datasets: what `data.name` may be.

A dataset is a frozen dataclass whose fields are its config options. It has

- `load(split) -> Split`, or a Streamed, which is its like for sets that do not
  fit into memory; split in "train", "validation", "test";
- what it loads may state `angle_deg`, how far each image is turned already;
- `center`: (y, x) in pixels about which its images are to be turned, or None
  for the canvas centre;
- `name`, `overlaps` (datasets whose training examples are among its own: a run
  on one of those is not to be scored on it), and `protocol`, its split in a
  sentence.

A new one is a class in a file of this folder and a line in DATASETS.
"""

from collections.abc import Callable
import functools

from rotjax.data import csv, folder, mnist, mnist_5k, pages, tfds
from rotjax.data.split import SPLITS, Split
from rotjax.data.streamed import Streamed

DATASETS = {
  "mnist_5k": mnist_5k.Mnist5k,
  "mnist": mnist.Mnist,
  "fashion_mnist": mnist.FashionMnist,
  "folder": folder.Folder,
  "csv": csv.Csv,
  "pages": pages.Pages,
}
tfds.Tfds.others = tuple(DATASETS)

__all__ = ["DATASETS", "SPLITS", "Split", "Streamed", "find"]


def find(name: str) -> Callable:
  """Returns what makes the dataset of a name, from its options.

  Whether a name that is not in DATASETS stands for a prepared dataset is known
  only once `dir` is: then `load` says so.

  Args:
    name: a key of DATASETS, or a dataset that TFDS has prepared.

  Returns:
    A class, or `tfds.Tfds` with its first field given. The signature of
    either (inspect.signature) holds the options and their defaults.
  """
  if name in DATASETS:
    return DATASETS[name]
  return functools.partial(tfds.Tfds, name)
