"""Small datasets on disk; nothing outside pytest's temporary folders."""

import gzip
import hashlib
import io
import pathlib
import struct
import subprocess
import sys
import types

import numpy as np
import PIL.Image
import pytest

from rotjax import data
from rotjax.data import folder
from rotjax.data.store import idx, read, records

REPO = pathlib.Path(data.__file__).parents[2]


@pytest.fixture(autouse=True)
def isolated(tmp_path, monkeypatch):
  """Every test has its own home, cache and data directory."""
  monkeypatch.setenv("HOME", str(tmp_path / "home"))
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
  forget()


def forget():
  """Empties what the process remembers, as a new process would."""
  folder._prepared.cache_clear()
  read._load.cache_clear()
  read._images.cache_clear()
  read._index.cache_clear()
  records._builder.cache_clear()
  records._source.cache_clear()


def python(*args, **kwargs):
  """Starts another interpreter in which rotjax can be imported."""
  return subprocess.Popen(
    [sys.executable, *args],
    cwd=REPO,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    **kwargs,
  )


def hashes(images):
  """One digest an image."""
  return [hashlib.sha256(image.tobytes()).hexdigest() for image in images]


@pytest.fixture(scope="session")
def digits_root(tmp_path_factory):
  """A data directory in which mnist_5k is prepared."""
  root = tmp_path_factory.mktemp("digits")
  with pytest.MonkeyPatch.context() as patched:
    # `isolated` is later: a set in the user's own cache would be found first.
    patched.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    data.find("mnist_5k")(dir=str(root)).prepare()
  return root


def png(pixels):
  """Encodes an image without loss."""
  file = io.BytesIO()
  PIL.Image.fromarray(pixels).save(file, "PNG")
  return file.getvalue()


def build(root, name, splits, *, config=None, shape=(None, None, 3), **info):
  """Prepares a TFDS dataset as a user's own builder would.

  Args:
    root: the data directory.
    name: the dataset.
    splits: for each split a list of (encoded image, label).
    config: the name of its only config.
    shape: of the image feature.
    **info: `label`, the name of the label's feature; `dtype` of the image.

  Returns:
    The folder of the prepared version.
  """
  import tensorflow_datasets as tfds

  from rotjax.data.store import prepare

  label = info.get("label", "label")
  features = {
    "image": tfds.features.Image(shape=shape, dtype=info.get("dtype", np.uint8))
  }
  if label:
    features[label] = tfds.features.ClassLabel(num_classes=5)

  def examples(split):
    for i, (image, kind) in enumerate(split):
      yield i, {"image": image, **({label: kind} if label else {})}

  configs = [tfds.core.BuilderConfig(name=config)] if config else []
  with tfds.core.registered.skip_registration():
    builder_cls = type(
      "Builder",
      (tfds.core.GeneratorBasedBuilder,),
      {
        "name": name,
        "VERSION": tfds.core.Version("1.0.0"),
        "BUILDER_CONFIGS": configs,
        "__module__": __name__,
        "_info": lambda self: tfds.core.DatasetInfo(
          builder=self, features=tfds.features.FeaturesDict(features)
        ),
        "_split_generators": lambda self, dl_manager: {
          key: self._generate_examples(split) for key, split in splits.items()
        },
        "_generate_examples": lambda self, split: examples(split),
      },
    )
  with prepare.quiet():
    builder = builder_cls(
      data_dir=root, file_format="array_record", config=config
    )
    builder.download_and_prepare()
  return pathlib.Path(builder.data_dir)


def noise(n, seed=0, shape=(8, 8, 3)):
  """Random images of one size, with labels 0, 1, 2, 3, 4, 0, ..."""
  rng = np.random.default_rng(seed)
  images = rng.integers(0, 256, (n, *shape), np.uint8)
  return [(png(image), i % 5) for i, image in enumerate(images)]


@pytest.fixture
def originals(tmp_path, monkeypatch):
  """The four files of a small MNIST, with checksums that TFDS accepts.

  Returns:
    A function that writes them into a folder, and the arrays by file name.
  """
  from tensorflow_datasets.core.download import checksums

  from rotjax.data.store import tfds_builders

  rng = np.random.default_rng(1)
  arrays, contents, infos = {}, {}, {}
  for name, n in zip(idx.FILES, (100, 100, 30, 30), strict=True):
    if "images" in name:
      array = rng.integers(0, 256, (n, 28, 28), np.uint8)
    else:
      array = (np.arange(n) % 10).astype(np.uint8)
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim)
    header += struct.pack(f">{array.ndim}I", *array.shape)
    arrays[name] = array
    contents[name] = gzip.compress(header + array.tobytes())
    for cls in (tfds_builders.Mnist, tfds_builders.FashionMnist):
      infos[cls.URL + name] = checksums.UrlInfo(
        size=len(contents[name]),
        checksum=hashlib.sha256(contents[name]).hexdigest(),
        filename=name,
      )

  monkeypatch.setattr(checksums, "get_all_url_infos", lambda: dict(infos))

  def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
      (folder / name).write_bytes(content)
    return folder

  write.arrays = arrays
  write.infos = infos
  return write


@pytest.fixture(scope="session")
def helpers():
  """The functions above, for tests.

  A fixture, because every folder of tests may have a module conftest.
  """
  return types.SimpleNamespace(
    forget=forget, python=python, hashes=hashes, build=build, noise=noise
  )
