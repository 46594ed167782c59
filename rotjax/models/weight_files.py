"""Files of foreign weights -> {name: array}, without running what they hold.

Two kinds are read: .safetensors, and the legacy kind of torch (.pth, before
torch 1.6), which is a pickle: of that only tensors, their storages and ordered
dicts are made, by our own code, and anything else in it is refused.
"""

import collections
from collections.abc import Mapping
import hashlib
import io
import math
import pathlib
import pickle
from typing import Any

import numpy as np

from rotjax import errors

SUFFIXES = (".safetensors", ".pth")

# The first pickle of a legacy file, and the second.
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_STORAGES = {
  "FloatStorage": np.dtype("<f4"),
  "DoubleStorage": np.dtype("<f8"),
  "HalfStorage": np.dtype("<f2"),
  "LongStorage": np.dtype("<i8"),
  "IntStorage": np.dtype("<i4"),
}


class _Foreign(Exception):
  """What a file holds that is no tensor."""


class _Storage:
  """Numbers that lie further back in the file than the pickle."""

  def __init__(self, dtype: np.dtype, size: int):
    self.dtype, self.size = dtype, size
    self.values = np.zeros(0, dtype)


class _Tensor:
  """A view of a storage: what torch's own rebuilding is called with."""

  def __init__(self, storage, offset, size, stride, *_: Any):
    numbers = (offset, *size, *stride)
    if not isinstance(storage, _Storage) or len(size) != len(stride):
      raise _Foreign("a tensor without a storage")
    if not all(isinstance(n, int) and n >= 0 for n in numbers):
      raise _Foreign("a tensor of impossible size")
    reach = sum((n - 1) * step for n, step in zip(size, stride))
    # No weight repeats its numbers: strides of 0 would only fill the memory.
    if math.prod(size) > storage.size or offset + reach >= storage.size:
      raise _Foreign("a tensor larger than its storage")
    self.storage, self.offset = storage, offset
    self.size, self.stride = tuple(size), tuple(stride)

  def array(self) -> np.ndarray:
    """The numbers, contiguous and of their own."""
    values, width = self.storage.values, self.storage.dtype.itemsize
    return np.lib.stride_tricks.as_strided(
      values[self.offset :], self.size, [width * s for s in self.stride]
    ).copy()


class _Unpickler(pickle.Unpickler):
  """Makes nothing but ordered dicts, tensors and storages."""

  def __init__(self, file: io.BytesIO):
    super().__init__(file, encoding="utf-8")
    self.storages: dict[str, _Storage] = {}

  def find_class(self, module: str, name: str) -> Any:
    """A stand-in of ours for one of the few allowed names."""
    if (module, name) == ("collections", "OrderedDict"):
      return collections.OrderedDict
    if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
      return _Tensor
    if module == "torch" and name in _STORAGES:
      return _STORAGES[name]
    raise _Foreign(f"{module}.{name}")

  def persistent_load(self, pid: Any) -> _Storage:
    """A storage, by its key; a view of a storage is not read."""
    kind, dtype, key, _, size, view = pid
    if kind != "storage" or not isinstance(dtype, np.dtype) or view is not None:
      raise _Foreign("a storage of another kind")
    return self.storages.setdefault(str(key), _Storage(dtype, int(size)))


def _legacy(content: bytes) -> dict[str, np.ndarray]:
  """The tensors of a legacy torch file.

  Raises:
    _Foreign: it holds something else; or whatever a pickle's end raises.
  """
  file = io.BytesIO(content)
  for expected in (_MAGIC, _PROTOCOL):
    if _Unpickler(file).load() != expected:
      raise _Foreign("no magic number of torch")
  _Unpickler(file).load()  # of the machine: byte order, sizes
  reader = _Unpickler(file)
  made = reader.load()
  if not isinstance(made, dict):
    raise _Foreign(f"a {type(made).__name__} in place of named tensors")
  for key in _Unpickler(file).load():
    storage = reader.storages[key]
    (size,) = np.frombuffer(file.read(8), "<i8")
    raw = file.read(storage.size * storage.dtype.itemsize)
    if size != storage.size or len(raw) != size * storage.dtype.itemsize:
      raise EOFError("its numbers end too early")
    storage.values = np.frombuffer(raw, storage.dtype)
  wrong = [n for n, value in made.items() if not isinstance(value, _Tensor)]
  if wrong:
    raise _Foreign(f"{wrong[0]!r}, which is no tensor")
  return {str(name): tensor.array() for name, tensor in made.items()}


def _parse(path: pathlib.Path, content: bytes) -> Mapping[str, np.ndarray]:
  if path.suffix == ".pth":
    if content[:4] == b"PK\x03\x04":
      raise errors.UserError(
        f"{path} is of torch's newer kind, a zip, which is not read: save it as"
        " .safetensors (safetensors.torch.save_file)"
      )
    return _legacy(content)
  import safetensors.numpy  # whoever has no such file needs it not

  return safetensors.numpy.load(content)


def read(
  path: pathlib.Path, sha256: str = ""
) -> tuple[dict[str, np.ndarray], str]:
  """Names and arrays of a file, and the SHA-256 of its bytes.

  Args:
    path: a .safetensors or a legacy .pth.
    sha256: what its digest has to be; "" where nobody has stated it.

  Raises:
    UserError: no such file, a damaged one, another kind, or one that holds
      anything but tensors.
  """
  try:
    content = path.read_bytes()
  except OSError as error:
    raise errors.UserError(
      f"model.weights: {path} cannot be read ({error.strerror})"
    ) from None
  digest = hashlib.sha256(content).hexdigest()
  if sha256 and digest != sha256:
    raise errors.UserError(
      f"model.weights: {path} is damaged or another file: its SHA-256 begins"
      f" {digest[:12]} and not {sha256[:12]}; install its package again"
    )
  try:
    return dict(_parse(path, content)), digest
  except errors.UserError:
    raise
  except _Foreign as error:
    raise errors.UserError(
      f"model.weights: {path} is refused: it holds {error}; only files of named"
      " tensors are read"
    ) from None
  # A damaged pickle or header raises whatever its bytes lead to.
  except Exception as error:
    raise errors.UserError(
      f"model.weights: {path} is damaged or no {path.suffix} file of tensors"
      f" ({type(error).__name__}: {error})"
    ) from None
