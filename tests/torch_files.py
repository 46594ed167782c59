"""Files of torch's legacy kind, written without torch."""

import io
import pickle
import struct
import sys
import types
from unittest import mock

import numpy as np


class Storage:
  """Stands for a storage: numbers that lie behind the pickle."""

  def __init__(self, key, values):
    self.key, self.values = key, values


class Tensor:
  """Stands for a tensor: a view of a storage."""

  def __init__(self, storage, offset, size, stride):
    self.arguments = (storage, offset, size, stride, False, {})

  def __reduce__(self):
    return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


class _Pickler(pickle.Pickler):
  def persistent_id(self, value):
    if not isinstance(value, Storage):
      return None
    torch = sys.modules["torch"]
    kinds = {"f": torch.FloatStorage, "i": torch.LongStorage}
    dtype = kinds[value.values.dtype.kind]
    return "storage", dtype, value.key, "cpu", value.values.size, None


def _names():
  """Modules with the names that such a file holds."""
  modules = {name: types.ModuleType(name) for name in ("torch", "torch._utils")}
  modules["torch"]._utils = modules["torch._utils"]
  for module, name in (
    ("torch", "FloatStorage"),
    ("torch", "LongStorage"),
    ("torch._utils", "_rebuild_tensor_v2"),
  ):
    made = type(name, (), {"__module__": module})
    setattr(modules[module], name, made)
  return modules


def legacy(made, storages=()):
  """The bytes of a file that holds `made`, with the storages it names."""
  file = io.BytesIO()
  for header in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
    pickle.dump(header, file, protocol=2)
  with mock.patch.dict(sys.modules, _names()):
    _Pickler(file, protocol=2).dump(made)
  pickle.dump([s.key for s in storages], file, protocol=2)
  for s in storages:
    file.write(struct.pack("<q", s.values.size) + s.values.tobytes())
  return file.getvalue()


def write(path, arrays):
  """A file of contiguous float32 arrays by name; returns its path as text."""
  storages, tensors = [], {}
  for key, (name, array) in enumerate(arrays.items()):
    values = np.ascontiguousarray(array, np.float32)
    storages.append(Storage(str(key), values.ravel()))
    strides = tuple(s // 4 for s in values.strides)
    tensors[name] = Tensor(storages[-1], 0, values.shape, strides)
  path.write_bytes(legacy(tensors, storages))
  return str(path)
