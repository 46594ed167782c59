import functools
import http.server
import os
import socket
import threading
import time

import numpy as np
import pytest

from rotjax import data, errors
from rotjax.data.store import idx, prepare


@pytest.fixture
def offline(monkeypatch):
  monkeypatch.setattr(prepare, "reachable", lambda url: False)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize("place", ["{name}", "downloads/manual", "."])
def test_prepared_from_original_files(
  helpers, name, place, originals, offline, tmp_path, capsys
):
  root = tmp_path / "tfds"  # $TFDS_DATA_DIR
  originals(root / place.format(name=name))
  dataset = data.find(name)()
  splits = {split: dataset.load(split) for split in data.SPLITS}
  assert [len(split) for split in splits.values()] == [95, 5, 30]
  train_images, train_labels, test_images, test_labels = (
    originals.arrays[file] for file in idx.FILES
  )

  def pairs(images, labels):
    return set(zip(helpers.hashes(images), labels.tolist(), strict=True))

  got = {
    key: pairs(split.images, split.labels) for key, split in splits.items()
  }
  assert got["test"] == pairs(test_images, test_labels)
  assert not got["train"] & got["validation"]
  assert got["train"] | got["validation"] == pairs(train_images, train_labels)
  assert (root / name / "3.0.1").is_dir()
  assert not list(root.glob(".preparing*"))
  out, err = capsys.readouterr()
  assert (out, err.count("\n")) == ("", 1)
  # Found again, without the original files.
  for file in idx.FILES:
    (root / place.format(name=name) / file).unlink()
  helpers.forget()
  assert len(data.find(name)(classes=(3,)).load("test")) == 3
  assert capsys.readouterr().err == ""


def test_validation_is_every_20th_whatever_the_classes(
  originals, offline, tmp_path
):
  originals(tmp_path / "tfds" / "mnist")
  kind = int(data.find("mnist")().load("validation").labels[0])
  found = []
  for classes in ((), (kind,), range(kind + 1)):
    dataset = data.find("mnist")(classes=classes)
    train, validation = dataset.load("train"), dataset.load("validation")
    assert train.origin == validation.origin == "train"
    assert (validation.indices % 20 == 19).all()
    assert not set(train.indices) & set(validation.indices)
    found.append({*train.indices[train.labels == kind]})
  assert found[0] == found[1] == found[2] != set()


def test_a_class_without_validation_examples(originals, offline, tmp_path):
  originals(tmp_path / "tfds" / "mnist")
  dataset = data.find("mnist")()
  present = set(dataset.load("validation").labels)
  absent = next(c for c in range(10) if c not in present)
  with pytest.raises(
    errors.UserError, match=f"no validation example of classes {absent}"
  ):
    data.find("mnist")(classes=(absent,)).load("validation")


def test_tfds_reads_the_prepared_dataset(originals, offline, tmp_path):
  import tensorflow_datasets as tfds

  originals(tmp_path / "tfds" / "mnist")
  ours = data.find("mnist")().load("test")
  source = tfds.data_source(
    "mnist", split="test", data_dir=str(tmp_path / "tfds"), download=False
  )
  np.testing.assert_array_equal(source[4]["image"], ours.images[4])


def test_a_read_only_folder_of_originals(originals, offline, tmp_path):
  root = tmp_path / "given"
  folder = originals(root / "mnist")
  for path in (folder, root):
    path.chmod(0o555)
  dataset = data.find("mnist")(dir=str(root))
  assert dataset.prepare().is_relative_to(tmp_path / "cache")
  assert len(dataset.load("train")) == 95
  assert sorted(path.name for path in folder.iterdir()) == sorted(idx.FILES)
  assert [path.name for path in root.iterdir()] == ["mnist"]


def test_a_tfrecord_dataset_is_left_alone(originals, offline, tmp_path):
  root = tmp_path / "tfds"
  originals(root / "downloads" / "manual")
  theirs = root / "mnist" / "3.0.1"
  theirs.mkdir(parents=True)
  (theirs / "dataset_info.json").write_text('{"fileFormat": "tfrecord"}')
  dataset = data.find("mnist")()
  assert dataset.prepare().is_relative_to(tmp_path / "cache")
  assert len(dataset.load("test")) == 30
  assert [path.name for path in theirs.iterdir()] == ["dataset_info.json"]


def test_files_that_are_not_the_originals(originals, offline, tmp_path, capsys):
  folder = originals(tmp_path / "given")
  (folder / idx.FILES[3]).write_bytes(b"changed")
  with pytest.raises(errors.UserError, match="not the original ones") as e:
    data.find("mnist")(dir=str(folder)).load("train")
  assert str(folder) in str(e.value) and "\n" not in str(e.value)
  assert sorted(path.name for path in folder.iterdir()) == sorted(idx.FILES)
  assert capsys.readouterr() == ("", "")


def test_no_data_and_no_network(offline, tmp_path):
  with pytest.raises(errors.UserError) as e:
    data.find("mnist")().load("train")
  message = str(e.value)
  root = tmp_path / "tfds"
  assert f"mnist is not prepared (as array_record) in {root} and" in message
  assert f"python -m rotjax.data prepare mnist --dir {root}" in message
  assert str(root / "downloads" / "manual") in message
  assert "\n" not in message
  assert not root.exists()


@pytest.fixture
def silent_port():
  """A port that takes connections and never answers."""
  with socket.create_server(("127.0.0.1", 0)) as server:
    yield server.getsockname()[1]


@pytest.mark.slow
def test_a_dead_network_costs_less_than_5_seconds(
  helpers, silent_port, tmp_path
):
  proxy = f"http://127.0.0.1:{silent_port}"
  env = {
    key: value
    for key, value in os.environ.items()
    if key.lower() not in ("no_proxy", "all_proxy")
  }
  env |= {"http_proxy": proxy, "https_proxy": proxy}
  # On a machine that is busy, starting Python is not what is measured.
  code = """
import sys, time
import tensorflow_datasets.image_classification.mnist
from rotjax.data import __main__ as command
start = time.monotonic()
status = command.main(["prepare", "mnist"])
print(time.monotonic() - start)
sys.exit(status)
"""
  process = helpers.python("-W", "error", "-c", code, env=env)
  out, err = process.communicate(timeout=60)
  assert process.returncode == 2
  assert float(out) < 5
  assert err.count("\n") == 1 and "cannot be downloaded" in err


def test_reachable_has_a_limit(silent_port, monkeypatch):
  monkeypatch.setenv("no_proxy", "127.0.0.1")
  start = time.monotonic()
  url = f"http://127.0.0.1:{silent_port}/"
  assert not prepare.reachable(url, seconds=0.2)
  assert time.monotonic() - start < 2


class _Handler(http.server.SimpleHTTPRequestHandler):
  def log_message(self, *args):
    pass

  def do_GET(self):
    if self.server.broken:
      self.send_error(404)
    else:
      super().do_GET()


@pytest.fixture
def server(originals, tmp_path, monkeypatch):
  """Serves the original files from this machine in place of the real host."""
  from rotjax.data.store import tfds_builders

  folder = originals(tmp_path / "served")
  handler = functools.partial(_Handler, directory=str(folder))
  with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
    server.broken = False
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    url = f"http://127.0.0.1:{server.server_address[1]}/"
    for key in list(originals.infos):
      originals.infos[url + key.rpartition("/")[2]] = originals.infos[key]
    monkeypatch.setattr(tfds_builders.Mnist, "URL", url)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()


def test_downloads_where_there_is_a_network(server, tmp_path):
  assert len(data.find("mnist")().load("train")) == 95
  assert [path.name for path in (tmp_path / "tfds").iterdir()] == ["mnist"]


def test_a_download_that_fails(server, tmp_path):
  server.broken = True  # but HEAD is answered
  with pytest.raises(errors.UserError, match="mnist could not be downloaded"):
    data.find("mnist")().load("train")
  assert not list((tmp_path / "tfds").iterdir())


_REAL = os.environ.get("ROTJAX_MNIST_DIR", "")


@pytest.mark.skipif(not _REAL, reason="ROTJAX_MNIST_DIR is not set")
def test_the_real_mnist(helpers, digits_root):
  """The published counts, and who shares digits with whom."""
  mnist_ = data.find("mnist")(dir=_REAL)
  splits = {split: mnist_.load(split) for split in data.SPLITS}
  threes = {split: (s.labels == 3).sum() for split, s in splits.items()}
  assert threes["train"] + threes["validation"] == 6131
  assert threes["test"] == 1010
  seen = {split: set(helpers.hashes(s.images)) for split, s in splits.items()}
  assert not seen["train"] & seen["validation"]
  assert not seen["test"] & (seen["train"] | seen["validation"])
  for split in data.SPLITS:
    ours = data.find("mnist_5k")(dir=str(digits_root)).load(split)
    found = set(helpers.hashes(ours.images))
    assert found <= seen["train"] | seen["validation"]
    assert not found & seen["test"]
