"""Files of weights: what is read, and all that is refused."""

import collections
import os

import numpy as np
import pytest

from rotjax import errors
from rotjax.models import weight_files
from tests import torch_files
from tests.torch_files import Storage, Tensor


def saved(tmp_path, content, name="weights.pth"):
  path = tmp_path / name
  path.write_bytes(content)
  return path


def refused(path, *words):
  with pytest.raises(errors.UserError) as caught:
    weight_files.read(path)
  message = str(caught.value)
  assert "\n" not in message
  for word in (path.name, *words):
    assert word in message


def test_a_legacy_files_tensors_are_read_with_their_strides(tmp_path):
  values = np.arange(12, dtype=np.float32)
  first, second = Storage("7", values), Storage("3", np.int64([5]))
  made = collections.OrderedDict(
    transposed=Tensor(first, 0, (3, 4), (1, 3)),
    part=Tensor(first, 2, (2,), (4,)),
    counter=Tensor(second, 0, (), ()),
  )
  content = torch_files.legacy(made, (first, second))
  arrays, digest = weight_files.read(saved(tmp_path, content))
  np.testing.assert_array_equal(arrays["transposed"], values.reshape(4, 3).T)
  np.testing.assert_array_equal(arrays["part"], [2, 6])
  assert arrays["counter"] == 5 and len(digest) == 64
  assert all(a.flags.owndata for a in arrays.values())
  for length in range(0, len(content), 17):  # wherever it is cut off
    refused(saved(tmp_path, content[:length]), "weights.pth")


class Shell:
  def __reduce__(self):
    return os.system, ("touch executed",)


@pytest.mark.parametrize(
  "made, word",
  [
    ({"a": Shell()}, "system"),
    (Shell(), "system"),
    ({"a": np.float32(1)}, "numpy"),
    ({"a": 3}, "no tensor"),
    ([1, 2], "list"),
    ({"a": Tensor(None, 0, (2,), (1,))}, "without a storage"),
  ],
)
def test_a_pickle_of_anything_but_tensors_is_refused_and_not_run(
  tmp_path, monkeypatch, made, word
):
  monkeypatch.chdir(tmp_path)
  refused(saved(tmp_path, torch_files.legacy(made)), word)
  assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
  "offset, size, stride",
  [
    (0, (5,), (1,)),
    (1, (4,), (1,)),
    (0, (2, 2), (4, 1)),
    (0, (10**9,), (0,)),
    (-1, (2,), (1,)),
    (0, (2,), (-1,)),
    (0, (2, 2), (1,)),
  ],
)
def test_a_tensor_may_not_reach_past_its_storage(
  tmp_path, offset, size, stride
):
  storage = Storage("0", np.zeros(4, np.float32))
  made = {"a": Tensor(storage, offset, size, stride)}
  refused(saved(tmp_path, torch_files.legacy(made, (storage,))), "a tensor")


def test_a_digest_that_differs_is_told(tmp_path):
  with pytest.raises(errors.UserError, match="SHA-256"):
    weight_files.read(saved(tmp_path, torch_files.legacy({})), sha256="0" * 64)


def test_torchs_zip_and_a_missing_file_are_told(tmp_path):
  refused(saved(tmp_path, b"PK\x03\x04" + bytes(30)), "zip", ".safetensors")
  refused(tmp_path / "nowhere.pth", "cannot be read")


def test_safetensors_are_read_and_damaged_ones_refused(tmp_path):
  safetensors = pytest.importorskip("safetensors.numpy")
  arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3)}
  content = safetensors.save(arrays)
  path = saved(tmp_path, content, "w.safetensors")
  read, _ = weight_files.read(path)
  np.testing.assert_array_equal(read["a"], arrays["a"])
  for damaged in (content[:-1], content[:20], b"", b"\xff" * 64):
    refused(saved(tmp_path, damaged, "w.safetensors"), "damaged")
