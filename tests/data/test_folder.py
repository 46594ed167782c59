"""`folder`: prepared once, split by hash, whatever lies in the folder."""

import hashlib
import logging
import os
import re
import signal
import time

import numpy as np
import PIL.Image
import pytest

from rotjax import data, distributed, errors, stopping
from rotjax.data.ingest import (
  blocks,
  folder_files,
  prepare_folder,
  split_by_hash,
)
from rotjax.data.store import location
from rotjax.image import pictures


def _fill(root, n=60, seed=0, start=0):
  """Writes n pictures of 8 x 8 colours; returns their pixels by name.

  As BMP, whose bytes, and so the splits, are the same with every Pillow.
  """
  rng = np.random.default_rng(seed)
  root.mkdir(parents=True, exist_ok=True)
  pixels = {}
  for i in range(start, start + n):
    pixels[f"{i:03d}.bmp"] = rng.integers(0, 256, (8, 8, 3), np.uint8)
  for name, array in pixels.items():
    PIL.Image.fromarray(array).save(root / name)
  return pixels


def _folder(root, **options):
  return data.find("folder")(dir=str(root), **{"side": 8, **options})


def _snapshot(root):
  return {
    path: (path.lstat().st_mtime_ns, path.lstat().st_size)
    for path in sorted(root.rglob("*"))
  }


def _count_reads(monkeypatch):
  """The names of the files that are decoded from here on."""
  names, read = [], folder_files.read

  def counted(root, file, *size):
    names.append(file.name)
    return read(root, file, *size)

  monkeypatch.setattr(folder_files, "read", counted)
  return names


def _decoded(dataset):
  """Split and pixels of all images."""
  return {
    image.tobytes(): split
    for split in data.SPLITS
    for image in dataset.load(split).images
  }


def test_every_picture_is_in_the_split_of_its_hash(tmp_path):
  root = tmp_path / "pictures"
  pixels = _fill(root, 40)
  pixels.update(_fill(root / "deeper" / "still", 20, seed=1, start=40))
  (root / "notes.txt").write_text("not a picture")
  odd = root / os.fsdecode(b"caf\xe9 \n.bmp")
  os.rename(root / "000.bmp", odd)
  pixels[odd.name] = pixels["000.bmp"]
  before = _snapshot(root)
  dataset = _folder(root)
  expected = {}
  for path in root.rglob("*.bmp"):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    number = int(hashlib.sha256(digest.encode()).hexdigest()[:12], 16) / 2**48
    split = "test" if number < 0.1 else "train"
    expected[pixels[path.name].tobytes()] = (
      "validation" if number >= 0.95 else split
    )
  assert _decoded(dataset) == expected
  assert _snapshot(root) == before
  train = dataset.load("train")
  assert train.shape == (8, 8, 3) and train.center is None
  assert train.angle_deg is None
  assert not train.labels.any()
  assert "about 10% test, 5% validation" in dataset.protocol


def test_grey_and_streamed(tmp_path):
  root = tmp_path / "pictures"
  pixels = _fill(root)
  train = _folder(root, channels=1, max_resident_mb=0).load("train")
  assert isinstance(train, data.Streamed)
  assert train.shape == (8, 8, 1)
  greys = [p @ [0.299, 0.587, 0.114] for p in pixels.values()]
  for image in train.__getitems__(range(5))["image"][..., 0]:
    assert min(np.abs(image - grey).max() for grey in greys) < 1


def test_prepared_once_and_again_only_for_a_change(
  helpers, tmp_path, monkeypatch
):
  root = tmp_path / "pictures"
  _fill(root)
  names = _count_reads(monkeypatch)

  def reads(**options):
    helpers.forget()
    names.clear()
    _folder(root, **options).load("train")
    return len(names)

  assert reads() == 60
  assert reads() == 0
  (root / "notes.txt").write_text("no matter")
  assert reads(max_resident_mb=0) == 0
  _fill(root, 1, seed=5, start=60)
  assert reads() == 61
  assert reads() == 0
  os.utime(root / "000.bmp", ns=(1, 1))
  assert reads() == 61
  assert reads(channels=1) == 61
  assert reads(test_share=0.2) == 61
  os.rename(root / "000.bmp", root / "900.bmp")
  assert reads() == 61


def test_adding_files_moves_no_picture(helpers, tmp_path):
  root = tmp_path / "pictures"
  _fill(root)
  before = _decoded(_folder(root))
  helpers.forget()
  _fill(root / "more", 30, seed=2)
  (root / "000.bmp").rename(root / "renamed.bmp")
  after = _decoded(_folder(root))
  assert len(after) == 90
  assert {pixels: after[pixels] for pixels in before} == before


def test_groups_are_not_cut(tmp_path):
  root = tmp_path / "pictures"
  shots = {}
  for burst in range(30):
    part = _fill(root / "all", 3, seed=burst, start=10 * burst)
    for name, pixels in part.items():
      # "a_000.bmp", "a_001.bmp", "a_002.bmp", "b_010.bmp", ...
      letter = chr(ord("a") + burst % 26) * (1 + burst // 26)
      os.rename(root / "all" / name, root / "all" / f"{letter}_{name}")
      shots[pixels.tobytes()] = burst
  options = {"test_share": 0.2, "validation_share": 0.2}
  found = _decoded(_folder(root, group="prefix", **options))
  by_burst = {}
  for pixels, split in found.items():
    by_burst.setdefault(shots[pixels], set()).add(split)
  assert len(by_burst) == 30
  assert all(len(splits) == 1 for splits in by_burst.values())
  # They all lie in one folder: with group="folder" there is one split.
  with pytest.raises(
    errors.UserError,
    match="90 pictures .groups: 1, data.group = 'folder'. in .*too few",
  ):
    _folder(root, group="folder", **options).load("train")


def test_a_split_that_is_empty_names_a_share_that_fills_it(tmp_path):
  root = tmp_path / "pictures"
  _fill(root, 4)
  few = {"test_share": 0.001, "validation_share": 0.001}
  with pytest.raises(errors.UserError, match="gives one") as told:
    _folder(root, **few).load("train")
  enough = float(re.search(r"validation_share=(\S+) gives", str(told.value))[1])
  few["validation_share"] = enough
  with pytest.raises(errors.UserError, match="no test image") as told:
    _folder(root, **few).load("train")
  few["test_share"] = float(
    re.search(r"test_share=(\S+) gives", str(told.value))[1]
  )
  assert len(_folder(root, **few).load("test")) == 1
  with pytest.raises(errors.UserError, match="smaller shares"):
    _folder(root, test_share=0.998, validation_share=0.001).load("train")


def test_broken_files_are_listed_and_skipped(tmp_path, caplog):
  root = tmp_path / "pictures"
  _fill(root)
  whole = (root / "000.bmp").read_bytes()
  (root / "cut.png").write_bytes(whole[:60])
  os.symlink(root / "001.bmp", root / "link.png")
  os.symlink(root, root / "loop")
  (root / os.fsdecode(b"n\xffo.png")).write_text("no picture")
  with caplog.at_level(logging.INFO, logger="rotjax"):
    folder = _folder(root).prepare()
  left_out = (folder / "left_out.txt").read_text()
  assert left_out.count("\n") == 4
  lines = dict(line.split("\t") for line in left_out.splitlines())
  assert set(lines) == {"cut.png", "link.png", "loop", r"n\xffo.png"}
  assert "link" in lines["link.png"] and "link" in lines["loop"]
  assert lines[r"n\xffo.png"] == "not a picture that can be read"
  assert _warnings(caplog) == [
    f"left out of {root}: 1 x a symbolic link, which is not followed (loop)",
    f"3 of 63 pictures cannot be used: {folder / 'left_out.txt'}",
  ]
  assert len(_decoded(_folder(root))) == 60


def _warnings(caplog):
  return [r.message for r in caplog.records if r.levelname == "WARNING"]


def test_what_is_left_out_is_told_at_every_start(
  helpers, tmp_path, caplog, monkeypatch
):
  root = tmp_path / "pictures"
  _fill(root)
  # A run's plots, a result of one's own, formats that are not read.
  for folder, names in (
    ("runs/three", ("config.json", "summary.json", "plots/donut.png")),
    ("out", (".rotjax-upright", "000.bmp")),
    (".", ("a.heic", "b.HEIC", "c.gif", "d.pdf", "e.heic", "f.heic", "x.txt")),
  ):
    for name in names:
      (root / folder / name).parent.mkdir(parents=True, exist_ok=True)
      (root / folder / name).write_bytes((root / "000.bmp").read_bytes())
  scandir = os.scandir

  def refuse(path):  # the superuser, who may run the tests, reads everything
    if str(path).endswith("shut"):
      raise PermissionError(13, "Permission denied", path)
    return scandir(path)

  (root / "shut").mkdir()
  monkeypatch.setattr(os, "scandir", refuse)
  line = (
    f"left out of {root}: 4 x a format that is not read: .heic (a.heic, b.HEIC,"
    " e.heic, ...); 1 x a format that is not read: .gif (c.gif); 1 x a format"
    " that is not read: .pdf (d.pdf); 1 x pictures turned back by rotjax (out);"
    " 1 x the folder of a run (runs/three); 1 x Permission denied (shut)"
  )
  for _ in range(2):
    helpers.forget()
    caplog.clear()
    assert len(_decoded(_folder(root))) == 60
    assert _warnings(caplog) == [line]


def test_of_several_frames_the_first_is_used_and_it_is_told(tmp_path, caplog):
  root = tmp_path / "pictures"
  pixels = _fill(root)
  frames = [PIL.Image.fromarray(p) for p in list(pixels.values())[:3]]
  frames[0].save(root / "pages.tif", save_all=True, append_images=frames[1:])
  frames[0].copy().save(
    root / "phone.jpg", "MPO", save_all=True, append_images=[frames[1].copy()]
  )
  folder = _folder(root).prepare()
  assert _warnings(caplog) == [
    "1 of 62 pictures have several frames or pages, of which the first is"
    f" used: {folder / 'left_out.txt'}"
  ]
  assert (folder / "left_out.txt").read_text() == (
    "pages.tif\tall but the first of its 3 frames\n"
  )


@pytest.mark.parametrize("gone", [True, False])
def test_a_picture_that_changes_on_the_way(tmp_path, monkeypatch, gone):
  """Gone, or empty, between the listing and the reading: left out."""
  root = tmp_path / "pictures"
  _fill(root)
  listed = folder_files.walk(root)
  (root / "007.bmp").unlink()
  if not gone:
    (root / "007.bmp").touch()
  monkeypatch.setattr(folder_files, "walk", lambda _: listed)
  folder = _folder(root).prepare()
  reason = "No such file or directory" if gone else "an empty file"
  assert (folder / "left_out.txt").read_text() == f"007.bmp\t{reason}\n"


def test_a_file_that_may_be_read_now_is_read(helpers, tmp_path, monkeypatch):
  root = tmp_path / "pictures"
  _fill(root)
  contents, shut = folder_files.contents, True

  def refuse(root, name):  # the superuser, who may run the tests, reads all
    if shut and name in ("003.bmp", "004.bmp", "005.bmp", "006.bmp"):
      raise pictures.Unusable("Permission denied")
    return contents(root, name)

  monkeypatch.setattr(folder_files, "contents", refuse)
  with pytest.raises(errors.UserError, match="003.bmp .Permission denied"):
    _folder(root).load("train")
  # The block that was kept does not keep the refusal, here ...
  shut = False
  names = _count_reads(monkeypatch)
  assert len(_decoded(_folder(root))) == 60
  assert sorted(names) == ["003.bmp", "004.bmp", "005.bmp", "006.bmp"]
  # ... nor what is prepared: other permissions are another folder.
  helpers.forget()
  before = _folder(root).prepare()
  os.chmod(root / "003.bmp", 0o600)
  helpers.forget()
  assert _folder(root).prepare() != before


def test_too_many_broken_files_stop(helpers, tmp_path):
  root = tmp_path / "pictures"
  _fill(root)
  for i in range(6):
    (root / f"bad\n{i}.jpg").write_text("no picture")
  with pytest.raises(errors.UserError) as e:
    _folder(root).load("train")
  message = str(e.value)
  assert "6 of the first 66 pictures (of 66)" in message
  assert "more than data.max_broken = 0.05" in message
  assert r"bad\n0.jpg (not a picture that can be read)" in message
  assert "\n" not in message
  listed = message.rsplit("listed in ", 1)[1]
  with open(listed) as file:
    assert len(file.readlines()) == 6
  # The blocks are kept: accepting them costs no second decoding.
  helpers.forget()
  assert len(_decoded(_folder(root, max_broken=0.2))) == 60


@pytest.mark.parametrize(
  ("case", "message"),
  [
    ("missing", "does not exist"),
    ("empty", "holds no picture: names that end in .*jpg"),
    ("run", "holds no picture: .*left out: [.] .the folder of a run"),
    ("heic", "holds no picture: .*a.heic .a format that is not read: .heic"),
    ("links", "holds no picture.*left out: away .a symbolic link"),
    ("broken", "2 of the first 2 pictures"),
    ("few", "no (validation|test) image: 2 pictures .groups: 2"),
  ],
)
def test_a_folder_that_cannot_be_used(tmp_path, case, message):
  root = tmp_path / "pictures"
  if case != "missing":
    root.mkdir()
  if case == "links":
    os.symlink(tmp_path, root / "away")
  if case == "run":
    for name in ("config.json", "summary.json", "donut.png"):
      (root / name).touch()
  if case == "heic":
    (root / "a.heic").touch()
  if case == "broken":
    for name in ("a.png", "b.png"):
      (root / name).write_bytes(b"")
  if case == "few":
    _fill(root, 2)
  with pytest.raises(errors.UserError, match=message) as e:
    _folder(root).load("train")
  assert "\n" not in str(e.value)


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"side": 0}, "data.side = 0 is not in 1"),
    ({"channels": 4}, "data.channels = 4 is neither"),
    ({"group": "prefixes"}, "data.group.*did you mean 'prefix'"),
    ({"test_share": 0.0}, "must be positive"),
    ({"test_share": 0.6, "validation_share": 0.4}, "something to train on"),
    ({"max_broken": 1.0}, "data.max_broken = 1.0 is not a share"),
  ],
)
def test_options_are_checked(tmp_path, options, message):
  with pytest.raises(errors.UserError, match=message):
    data.find("folder")(dir=str(tmp_path), **options)


def test_nothing_is_written_into_the_folder(tmp_path, monkeypatch):
  root = tmp_path / "pictures"
  _fill(root)
  monkeypatch.setenv("XDG_CACHE_HOME", str(root / "cache"))
  with pytest.raises(errors.UserError, match="set XDG_CACHE_HOME"):
    _folder(root).load("train")
  assert not (root / "cache").exists()


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
  _fill(tmp_path / "pictures")
  (tmp_path / "file").write_text("")
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
  with pytest.raises(errors.UserError, match="XDG_CACHE_HOME may name") as e:
    _folder(tmp_path / "pictures").load("train")
  assert "\n" not in str(e.value)


def test_an_interrupted_preparation_goes_on(helpers, tmp_path, monkeypatch):
  """Killed as hard as can be, in another process, after some blocks."""
  root = tmp_path / "pictures"
  _fill(root, 100)
  code = f"""
import time
from rotjax import data
from rotjax.data.ingest import blocks, folder_files
blocks.BLOCK = 10
read = folder_files.read
def slow(*args):
  time.sleep(.1)
  return read(*args)
folder_files.read = slow
data.find("folder")(dir={str(root)!r}, side=8).prepare()
"""
  process = helpers.python("-c", code, env=dict(os.environ))
  scratch = location.cache_root() / "folders"
  try:
    deadline = time.time() + 60
    while len(list(scratch.glob("*/block-*.npz"))) < 3:
      assert process.poll() is None and time.time() < deadline
      time.sleep(0.01)
  finally:
    process.send_signal(signal.SIGKILL)
    process.communicate()
  kept = len(list(scratch.glob("*/block-*.npz")))
  assert 3 <= kept < 10
  assert not (location.cache_root() / "tfds").exists()
  # A block that the kill, or a full disk, cut short is decoded again.
  victim = sorted(scratch.glob("*/block-*.npz"))[0]
  victim.write_bytes(victim.read_bytes()[:-100])
  monkeypatch.setattr(blocks, "BLOCK", 10)
  names = _count_reads(monkeypatch)
  dataset = _folder(root)
  assert len(_decoded(dataset)) == 100
  assert len(names) == 100 - 10 * (kept - 1)
  assert not any(scratch.iterdir())  # nothing is left behind


def test_a_signal_stops_between_blocks(tmp_path, monkeypatch):
  root = tmp_path / "pictures"
  _fill(root, 30)
  monkeypatch.setattr(blocks, "BLOCK", 10)
  names, read = [], folder_files.read

  def signalled(root, file, *size):
    names.append(file.name)
    if len(names) == 10:
      os.kill(os.getpid(), signal.SIGTERM)
    return read(root, file, *size)

  monkeypatch.setattr(folder_files, "read", signalled)
  with pytest.raises(errors.Stopped), stopping.on_signals():
    _folder(root).load("train")
  assert len(names) in (10, 20)
  options = {"test_share": 0.2, "validation_share": 0.2}
  _folder(root, **options).load("train")
  assert sorted(names) == sorted(set(names)) and len(names) == 30


def test_one_of_several_processes_asks_no_other(tmp_path, monkeypatch):
  _fill(tmp_path / "pictures")
  monkeypatch.setattr(distributed, "count", lambda: 2)
  # Each prepares at its own pace: asking the others would never end. What
  # stopped one is told when all of them are done (distributed.together).
  monkeypatch.setattr(distributed, "gather", None)
  with pytest.raises(errors.Stopped), stopping.on_signals():
    os.kill(os.getpid(), signal.SIGTERM)
    _decoded(_folder(tmp_path / "pictures"))


def test_blocks_that_cannot_be_kept_are_decoded_again(tmp_path, monkeypatch):
  root = tmp_path / "pictures"
  _fill(root)
  monkeypatch.setattr(blocks.cache, "save", lambda *_: None)
  assert len(_decoded(_folder(root))) == 60
  # A file that goes in between is not silently an empty image.
  read, seen = folder_files.read, []

  def vanishing(root, file, *size):
    seen.append(file.name)
    if len(seen) > 60 and file.name == "007.bmp":
      return folder_files.Square(b"", "", "No such file or directory")
    return read(root, file, *size)

  monkeypatch.setattr(folder_files, "read", vanishing)
  with pytest.raises(errors.UserError, match="007.bmp changed meanwhile") as e:
    _folder(root, side=9).prepare()
  assert "\n" not in str(e.value)


def test_several_processes_prepare_it_once(helpers, tmp_path):
  root = tmp_path / "pictures"
  _fill(root)
  code = f"""
import logging
from rotjax import data
from rotjax.data.ingest import folder_files
logging.basicConfig(level=logging.INFO)
read = folder_files.read
def loud(root, file, *size):
  print(file.name)
  return read(root, file, *size)
folder_files.read = loud
data.find("folder")(dir={str(root)!r}, side=8).prepare()
"""
  processes = [helpers.python("-c", code, env=dict(os.environ)) for _ in "ab"]
  outputs = [process.communicate(timeout=120) for process in processes]
  assert [p.returncode for p in processes] == [0, 0], outputs
  assert sorted(len(out.splitlines()) for out, _ in outputs) == [0, 60]


def test_a_bar_on_a_terminal_only(tmp_path, monkeypatch, capsys, caplog):
  root = tmp_path / "pictures"
  _fill(root)
  _folder(root).prepare()
  assert capsys.readouterr().err == ""
  # Without one a line now and then.
  monkeypatch.setattr(blocks, "BLOCK", 20)
  monkeypatch.setattr(prepare_folder, "_TELL_SECONDS", 0)
  caplog.clear()  # a command that another test ran may have raised the level
  with caplog.at_level(logging.INFO, logger="rotjax"):
    _folder(root, side=9).prepare()
  lines = [r.message for r in caplog.records]
  assert lines[1:4] == [f"{n} of 60 pictures" for n in (0, 20, 40)]
  monkeypatch.setattr("sys.stderr.isatty", lambda: True)
  _folder(root, channels=1).prepare()
  assert "preparing" in capsys.readouterr().err


def test_warning_filters_are_left_as_they_were(tmp_path):
  import warnings

  _fill(tmp_path / "pictures")
  before = list(warnings.filters)
  _folder(tmp_path / "pictures").prepare()
  assert warnings.filters == before


def test_the_decoding_is_that_of_predict(tmp_path):
  """What a network is trained on and what it is asked about look the same."""
  pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 4), np.uint8)
  PIL.Image.fromarray(pixels).save(tmp_path / "x.png")
  with pictures.strict():
    square = folder_files.square((tmp_path / "x.png").read_bytes(), 24, 3)
  shown = pictures.flat(pictures.read(tmp_path / "x.png"), 3)
  np.testing.assert_array_equal(np.asarray(square), np.asarray(shown))


def test_group_choices_are_those_documented():
  assert split_by_hash.GROUPS == ("none", "folder", "prefix")
