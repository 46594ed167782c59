"""A ready model: a finished run made small, in a folder that can be passed on.

    config.json         of the run, without the places that it named
    summary.json        its results
    calibration.json    of its densities
    weights.safetensors the network's numbers, in 16 bits
    card.md             what it is, for people
    NOTICE              terms of use, where there are any beside the code's
    digest              SHA-256 of each of these, as `sha256sum` writes them

The network is rebuilt by our own code and filled by name and shape: nothing in
the folder is run, and it can be read for as long as there is safetensors.
"""

from collections.abc import Iterable
import hashlib
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rotjax import errors, files
from rotjax.run import layout
from rotjax.training import step as step_lib

WEIGHTS, CARD, NOTICE = "weights.safetensors", "card.md", "NOTICE"
DIGEST = "digest"
# The digest is of these, and of NOTICE where there is one.
FILES = (layout.CONFIG, layout.SUMMARY, layout.CALIBRATION, WEIGHTS, CARD)


def is_one(folder: pathlib.Path) -> bool:
  """Whether a folder is a ready model, and no run's."""
  return (folder / WEIGHTS).is_file() or (folder / DIGEST).is_file()


def write_digest(folder: pathlib.Path) -> None:
  """Writes `digest`: the last file of a ready model that is made.

  Raises:
    OSError: it cannot be written.
  """
  there = [name for name in (*FILES, NOTICE) if (folder / name).exists()]
  lines = [f"{_sha256(folder / name)}  {name}\n" for name in there]
  files.write(folder / DIGEST, "".join(lines))


def _sha256(path: pathlib.Path) -> str:
  return hashlib.sha256(path.read_bytes()).hexdigest()


def check(folder: pathlib.Path) -> None:
  """Compares every file of a ready model with its digest.

  Raises:
    UserError: one is missing, cannot be read, or is not as it was written.
  """
  try:
    lines = (folder / DIGEST).read_text("utf-8").splitlines()
    stated = {name: sha for sha, _, name in (x.partition("  ") for x in lines)}
    valid = {*FILES} <= stated.keys() <= {*FILES, NOTICE}
    # A notice that nobody vouches for would be taken for its maker's.
    valid &= (NOTICE in stated) == (folder / NOTICE).exists()
    if not valid:
      _refuse(folder, f"its {DIGEST} does not list the files of a ready model")
    for name, sha in stated.items():
      if _sha256(folder / name) != sha:
        _refuse(folder, f"{name} is not as it was written")
  except FileNotFoundError as error:
    missing = pathlib.Path(error.filename).name
    _refuse(folder, f"{missing} is missing")
  except (OSError, UnicodeDecodeError) as error:
    _refuse(folder, str(error))


def _refuse(folder: pathlib.Path, why: str) -> None:
  raise errors.UserError(
    f"{folder} is damaged: {why}; copy it anew, or make it again with python -m"
    " rotjax.export --format ready"
  )


def _named(state: dict[str, Any]) -> Iterable[tuple[str, Any]]:
  for path, leaf in jax.tree_util.tree_leaves_with_path(state):
    yield jax.tree_util.keystr(path, simple=True, separator="."), leaf


def save_weights(path: pathlib.Path, state: step_lib.TrainState) -> None:
  """Writes what evaluation uses of a state.

  Parameters are rounded to 16 bits, unless one of them is too large for that.
  Batch statistics keep their 32: they are few, and a variance may be as large
  as the square of a pixel and as small as the square of nothing much.

  Args:
    path: of the file.
    state: leaves on the host.

  Raises:
    OSError: it cannot be written.
  """
  import safetensors.numpy  # whoever has no such model needs it not

  tree = {"params": state.eval_params, "state": state.eval_model_state}
  arrays = {}
  for name, leaf in _named(tree):
    array = np.asarray(leaf)
    if name.startswith("params.") and array.dtype == np.float32:
      if np.abs(array).max(initial=0) <= np.finfo(np.float16).max:
        array = array.astype(np.float16)
    arrays[name] = np.ascontiguousarray(array)
  files.write(path, safetensors.numpy.save(arrays))


def read_state(folder: pathlib.Path, experiment: Any) -> step_lib.TrainState:
  """The network's state, NumPy leaves of the network's own types.

  Args:
    folder: of a ready model.
    experiment: that its config describes.

  Raises:
    UserError: the file cannot be read, or it is another network's.
  """
  import safetensors.numpy

  path = folder / WEIGHTS
  try:
    stored = safetensors.numpy.load(path.read_bytes())
  except (OSError, ValueError, safetensors.SafetensorError) as error:
    raise errors.UserError(f"{path} cannot be read: {error}") from None
  params, model_state = jax.eval_shape(experiment.model.init, jax.random.key(0))
  tree = {"params": params, "state": model_state}
  wanted = {name: leaf.shape for name, leaf in _named(tree)}
  there = {name: array.shape for name, array in stored.items()}
  if there != wanted:
    odd = sorted(dict(wanted.items() ^ there.items()))
    raise errors.UserError(
      f"{path} is not of the network in its {layout.CONFIG}: {odd[0]} is"
      f" {there.get(odd[0], 'missing')} there, and should be"
      f" {wanted.get(odd[0], 'absent')}"
    )
  leaves = [np.asarray(stored[n], leaf.dtype) for n, leaf in _named(tree)]
  filled = jax.tree.unflatten(jax.tree.structure(tree), leaves)
  return step_lib.TrainState(
    step=jnp.zeros((), jnp.int32),  # that of its run is in the summary
    params=filled["params"],
    model_state=filled["state"],
    opt_state=(),
  )
