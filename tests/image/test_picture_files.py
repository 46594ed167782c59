"""Which files of a folder are pictures, and what is said of the others."""

import os
import pathlib

import PIL.Image
import pytest

from rotjax.image import picture_files, pictures


def _fill(root, *names):
  for name in names:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(b"x")


def _find(*paths):
  """Names found, and of what was left out the reasons by path."""
  found = list(picture_files.find(map(str, paths)))
  taken = [f for f in found if isinstance(f, picture_files.Found)]
  rest = {f.path: f.reason for f in found if f not in taken}
  return [f.name.as_posix() for f in taken], rest


def test_formats_that_are_not_read_are_counted(tmp_path):
  _fill(tmp_path, "a.png", "b.HEIC", "deep/c.heic", "d.pdf", "e.cr2", "f.txt")
  names, rest = _find(tmp_path)
  assert names == ["a.png"]
  assert rest == {
    str(tmp_path): (
      "left out, of formats that are not read: 1 .cr2, 2 .heic, 1 .pdf"
    )
  }
  # Nothing else is there to be said of a folder of these alone.
  assert _find(tmp_path / "deep")[0] == []
  assert "1 .heic" in _find(tmp_path / "deep")[1][str(tmp_path / "deep")]


def test_what_is_read_is_not_called_unread():
  assert not picture_files.UNREAD & picture_files.endings()


@pytest.mark.parametrize(
  "files,kind",
  [
    (("config.json", "checkpoints/latest/x", "a.png"), "a run"),
    (("config.json", "summary.json", "plots/a.png"), "a run"),
    (("config.json", "metrics.jsonl", "a.png"), "a run"),
    (("sweep.json", "audits/a.png"), "a sweep"),
    (("audit.json", "audit.png", "a.png"), "an audit"),
    (("table.json", "donuts.png"), "tables"),
    ((".rotjax-upright", "a.png"), "turned back"),
  ],
)
def test_ones_own_output_is_no_input(tmp_path, files, kind):
  _fill(tmp_path, "a.png", "z/b.png")
  _fill(tmp_path / "m" / "own", *files)
  names, rest = _find(tmp_path)
  assert names == ["a.png", "z/b.png"]
  ((path, reason),) = rest.items()
  assert path == str(tmp_path / "m" / "own") and kind in reason
  # Whoever names it means it; but a run holds nothing else.
  names, rest = _find(tmp_path / "m" / "own")
  assert bool(names) == (kind not in ("a run", "a sweep"))
  assert bool(rest) != bool(names)


def test_a_users_own_config_makes_no_run(tmp_path):
  _fill(tmp_path, "photos/config.json", "photos/a.png", "b/summary.json")
  assert _find(tmp_path) == (["photos/a.png"], {})


def test_a_folder_of_results_may_be_named_itself(tmp_path):
  picture_files.mark_upright(tmp_path / "out" / "deep")
  _fill(tmp_path / "out" / "deep", "a.png")
  assert _find(tmp_path / "out" / "deep") == (["a.png"], {})
  # One that holds something is the user's and stays so.
  _fill(tmp_path / "mine", "b.png")
  (tmp_path / "new").mkdir()
  for name, count in (("mine", 1), ("new", 0)):
    picture_files.mark_upright(tmp_path / name)
    assert len(_find(tmp_path / name)[0]) == count
  names, rest = _find(tmp_path)
  assert names == ["mine/b.png"]
  assert set(rest) == {str(tmp_path / "new"), str(tmp_path / "out" / "deep")}


def test_a_folder_that_cannot_be_looked_into_is_named(tmp_path, monkeypatch):
  _fill(tmp_path, "a.png", "shut/b.png")
  scandir = os.scandir

  def refuse(path):  # the superuser, who may run the tests, reads everything
    if os.fspath(path).endswith("shut"):
      raise PermissionError(13, "Permission denied", path)
    return scandir(path)

  monkeypatch.setattr(os, "scandir", refuse)
  names, rest = _find(tmp_path)
  assert names == ["a.png"]
  shut = str(tmp_path / "shut")
  assert rest == {shut: "cannot be read: Permission denied"}
  assert _find(shut) == ([], rest)


def test_links_end(tmp_path):
  _fill(tmp_path, "a/b.png")
  (tmp_path / "a" / "up").symlink_to(tmp_path)
  (tmp_path / "a" / "self.png").symlink_to("self.png")
  names, rest = _find(tmp_path)
  assert names == ["a/b.png", "a/self.png"]
  assert rest == {
    str(tmp_path / "a" / "up"): "a symbolic link, which is not followed"
  }
  with pytest.raises(pictures.Unusable, match="symbolic links"):
    pictures.read(tmp_path / "a" / "self.png")


def test_home_is_where_the_shell_says(tmp_path, monkeypatch):
  monkeypatch.setenv("HOME", str(tmp_path / "home"))
  _fill(tmp_path / "home", "photos/a.png")
  assert _find("~/photos") == (["a.png"], {})
  # A name like any other where there is such a file.
  monkeypatch.chdir(tmp_path)
  _fill(pathlib.Path("~"), "b.png")
  assert _find("~") == (["b.png"], {})


def test_any_bytes_are_a_name(tmp_path):
  name = os.fsdecode(b"caf\xe9.png")
  PIL.Image.new("L", (3, 3)).save(tmp_path / "x.png")
  os.rename(tmp_path / "x.png", tmp_path / name)
  (found,) = picture_files.find([str(tmp_path)])
  assert pictures.read(found.path).size == (3, 3)


def test_pipes_and_devices_are_not_waited_for(tmp_path):
  os.mkfifo(tmp_path / "pipe.png")
  (tmp_path / "endless.png").symlink_to("/dev/zero")
  assert _find(tmp_path)[0] == ["endless.png", "pipe.png"]
  before = len(os.listdir("/dev/fd"))
  for name in ("endless.png", "pipe.png"):
    for look in (pictures.read, pictures.frames):
      with pytest.raises(pictures.Unusable, match="not a file"):
        look(tmp_path / name)
  assert len(os.listdir("/dev/fd")) == before


def test_a_picture_may_go_between_finding_and_reading(tmp_path):
  _fill(tmp_path, "a.png", "b.png")
  found = picture_files.find([str(tmp_path)])
  first = next(found)
  os.unlink(first.path)
  with pytest.raises(pictures.Unusable, match="No such file"):
    pictures.read(first.path)
  assert next(found).name.name == "b.png"


@pytest.mark.parametrize("ending", ["gif", "png", "webp", "tif", "avif"])
def test_frames_are_counted(tmp_path, ending):
  frames = [PIL.Image.new("RGB", (9, 9), (n, 0, 0)) for n in (0, 90, 200)]
  file = tmp_path / f"x.{ending}"
  frames[0].save(file)
  assert pictures.frames(file) == 1
  frames[0].save(file, save_all=True, append_images=frames[1:])
  assert pictures.frames(file) == 3


def test_a_preview_is_no_frame(tmp_path):
  first, second = (PIL.Image.new("RGB", (9, 9), (n, 0, 0)) for n in (0, 90))

  def save(name, form, other):  # copies: Pillow leaves its options behind
    first.copy().save(
      tmp_path / name, form, save_all=True, append_images=[other]
    )
    return pictures.frames(tmp_path / name)

  assert save("x.jpg", "MPO", second.copy()) == 1
  # A smaller version in a TIFF, or a mask, is marked by NewSubfileType.
  for kind, count in ((0, 2), (1, 1), (2, 2), (4, 1)):
    page = second.copy()
    page.encoderinfo = {"tiffinfo": {254: kind}}
    assert save("x.tif", "TIFF", page) == count


def test_pages_behind_damage_are_not_counted(tmp_path):
  pages = [PIL.Image.new("L", (9, 9), n) for n in (5, 90, 200)]
  file = tmp_path / "x.tif"
  pages[0].save(file, save_all=True, append_images=pages[1:])
  data = file.read_bytes()
  counts = set()
  for end in range(len(data) - 400, len(data), 7):
    file.write_bytes(data[:end])
    counts.add(pictures.frames(file))
    assert pictures.flat(pictures.read(file), 1).getpixel((4, 4)) == 5
  assert counts <= {1, 2, 3} and len(counts) > 1
