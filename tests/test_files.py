"""Paths as people write them, for every command that takes one."""

import errno
import os
import pathlib
import pwd

import pytest

from rotjax import cli, errors, export, files, report, tables
from rotjax.config import load
from rotjax.data.store import location

LONG = "x" * 300


def test_a_path_becomes_absolute(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv("HOME", str(tmp_path / "home"))
  assert files.absolute("a/b", "--workdir") == tmp_path / "a" / "b"
  assert files.absolute("~/a", "--workdir") == tmp_path / "home" / "a"
  assert files.absolute("./~", "--workdir") == tmp_path / "~"
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
  "given,words",
  [
    ("gs://bucket/run", "is an address"),
    ("s3://bucket/run", "is an address"),
    ("http://host/run", "is an address"),
    ("file:///tmp/run", "is an address"),
    ("", "not a path"),
    ("a\0b", "not a path"),
    (LONG, "File name too long"),
    ("/tmp/" + "x/" * 3000, "File name too long"),
    ("~no_such_user_here/run", "home folder is not known"),
    ("/dev/null/x", "is not a folder"),
    ("/proc/run", "cannot be written to"),
    ("/dev/null", "is not a folder"),
  ],
)
def test_a_folder_that_cannot_be_is_one_line(given, words):
  with pytest.raises(errors.UserError) as caught:
    files.folder_to_write(given, "--workdir")
  assert "--workdir" in str(caught.value)
  assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_read_only_parent_is_refused_and_a_read_only_run_is_not(tmp_path):
  (tmp_path / "run").mkdir()
  tmp_path.chmod(0o555)
  try:
    with pytest.raises(errors.UserError, match="cannot be written"):
      files.folder_to_write(tmp_path / "new", "--workdir")
    assert files.folder_to_write(tmp_path / "run", "--workdir").is_dir()
  finally:
    tmp_path.chmod(0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be another user")
def test_a_folder_of_another_user_is_refused(tmp_path):
  tmp_path.chmod(0o755)
  os.seteuid(65534)
  try:
    assert not files.writable(tmp_path)
  finally:
    os.seteuid(0)


def test_without_a_home_no_folder_called_tilde_is_made(tmp_path, monkeypatch):
  def nobody(uid):
    raise KeyError(uid)

  monkeypatch.chdir(tmp_path)
  for name in ("HOME", "XDG_CACHE_HOME", "TFDS_DATA_DIR"):
    monkeypatch.delenv(name, raising=False)
  monkeypatch.setattr(pwd, "getpwuid", nobody)
  for call in (location.cache_root, location.tfds_root):
    with pytest.raises(errors.UserError, match="home folder is not known"):
      call()
  with pytest.raises(errors.UserError, match="XDG_CACHE_HOME"):
    location.cache_root()
  assert not list(tmp_path.iterdir())


def test_a_working_directory_that_is_gone(tmp_path, monkeypatch):
  gone = tmp_path / "gone"
  gone.mkdir()
  monkeypatch.chdir(gone)
  gone.rmdir()
  with pytest.raises(errors.UserError, match="working directory is gone"):
    files.absolute("run", "--workdir")
  assert files.absolute(tmp_path, "--workdir") == tmp_path


ADDRESS = "gs://bucket/run"


@pytest.mark.parametrize(
  "call",
  [
    lambda: cli.workdir(ADDRESS, "runs/x"),
    lambda: cli.workdir("", "runs/x"),
    lambda: load.load(f"{ADDRESS}/mine.py:smoke"),
    lambda: report.main(["--workdir", ADDRESS]),
    lambda: tables.main(["--workdir", ADDRESS]),
    lambda: export.main(["--workdir", "/tmp", "--out", ADDRESS]),
    lambda: location.tfds_root(ADDRESS),
  ],
)
def test_every_command_refuses_an_address(call, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(errors.UserError, match="an address|not a path"):
    call()
  assert not list(tmp_path.iterdir())


def test_a_default_workdir_is_below_the_working_directory(
  tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  assert cli.workdir(None, "runs/x") == pathlib.Path(tmp_path) / "runs" / "x"


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
  file = tmp_path / "a.json"
  files.write_json(file, {"b": [1, 2.5], "a": "\u00e4"})
  assert files.read_json(file) == {"a": "\u00e4", "b": [1, 2.5]}
  before = file.read_bytes()

  def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")

  monkeypatch.setattr(os, "replace", full)
  with pytest.raises(OSError, match="No space left"):
    files.write_json(file, {})
  assert file.read_bytes() == before
  assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("content", [None, b"{", b"\xff"])
def test_json_that_cannot_be_read_is_named(tmp_path, content):
  file = tmp_path / "a.json"
  if content is not None:
    file.write_bytes(content)
  with pytest.raises(errors.UserError, match="a.json cannot be read"):
    files.read_json(file)
